// Server-sent events on an open body: frames, keep-alive comments, the end mark. Frames are
// gathered and sent together by flush(), so that several ready tokens cost one system call. Used by
// the thread that serves the request.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "server/http/http_types.h"

namespace lapidary {

class SseWriter {
 public:
  // Comments are due after `ping_interval` without a frame; 0: never.
  SseWriter(BodyWriter& body, std::chrono::milliseconds ping_interval);

  // Begins a frame; the caller appends one line of JSON and calls end_frame().
  std::string& begin_frame();
  void end_frame();
  // An error of a stream that already began, then the end mark; the connection closes behind it.
  void fail(std::string_view error_json);
  void done();  // the end mark

  // These return false once the client is gone. Without anything to send, flush() pings if due.
  bool flush();
  bool ping_if_due();

  // The headers that a stream needs behind proxies.
  static HttpResponse response(std::function<void(BodyWriter&)> stream);

 private:
  using Clock = std::chrono::steady_clock;

  BodyWriter& body_;
  const std::chrono::milliseconds ping_interval_;
  Clock::time_point last_;
  std::string pending_;
};

}  // namespace lapidary
