// Server-sent events on an open body: frames, keep-alive comments, the end mark. Frames are
// gathered and sent together by flush(), so that several ready tokens cost one system call. Used by
// the thread that serves the request.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "server/http/http_types.h"

namespace lapidary {

class SseWriter {
 public:
  // Comments are due after `ping_interval` without a frame; 0: never.
  SseWriter(BodyWriter& body, std::chrono::milliseconds ping_interval);

  // Begins a frame, of a named event or of none; the caller appends one line of JSON and calls
  // end_frame().
  std::string& begin_frame(std::string_view event = {});
  void end_frame();
  // An error of a stream that already began, then the end mark; the connection closes behind it.
  void fail(std::string_view error_json);
  void done();  // the end mark
  void cut();   // the connection closes behind what was written

  // What is sent to keep the connection alive, instead of a comment: a whole frame.
  void set_ping(std::string frame) { ping_ = std::move(frame); }

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
  std::string ping_ = ": keep-alive\n\n";
};

}  // namespace lapidary
