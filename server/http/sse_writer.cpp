#include "server/http/sse_writer.h"

#include <utility>

namespace lapidary {

SseWriter::SseWriter(BodyWriter& body, std::chrono::milliseconds ping_interval)
    : body_(body), ping_interval_(ping_interval), last_(Clock::now()) {}

std::string& SseWriter::begin_frame(std::string_view event) {
  if (!event.empty()) {
    pending_ += "event: ";
    pending_ += event;
    pending_ += '\n';
  }
  pending_ += "data: ";
  return pending_;
}

void SseWriter::end_frame() { pending_ += "\n\n"; }

void SseWriter::fail(std::string_view error_json) {
  begin_frame() += error_json;
  end_frame();
  done();
  cut();
}

void SseWriter::cut() { body_.close_connection(); }

void SseWriter::done() { pending_ += "data: [DONE]\n\n"; }

bool SseWriter::flush() {
  // Tokens may come for long without anything to show: a hidden thought, a held stop string.
  if (pending_.empty()) return ping_if_due();
  // A client that left is seen here even when the kernel still takes what is written.
  if (body_.client_gone()) return false;
  const bool written = body_.write(pending_);
  pending_.clear();
  last_ = Clock::now();
  return written;
}

bool SseWriter::ping_if_due() {
  if (body_.client_gone()) return false;
  if (ping_interval_.count() == 0 || Clock::now() - last_ < ping_interval_) return true;
  last_ = Clock::now();
  return body_.write(ping_);
}

HttpResponse SseWriter::response(std::function<void(BodyWriter&)> stream) {
  HttpResponse response;
  response.content_type = "text/event-stream";
  response.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
  response.stream = std::move(stream);
  return response;
}

}  // namespace lapidary
