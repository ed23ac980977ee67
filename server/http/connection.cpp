#include "server/http/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>

namespace lapidary {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kBufferBytes = 16 << 10;
constexpr int kMaxDiscards = 64;  // buffers; a client may send faster than we read
constexpr std::chrono::milliseconds kLingerTime{1000};

int wait_ms(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30));
}

// poll(2) until the deadline. True when an event came.
bool wait_for(std::span<pollfd> entries, Clock::time_point deadline) {
  for (;;) {
    const int n = ::poll(entries.data(), entries.size(), wait_ms(deadline));
    if (n > 0) return true;
    if (n < 0 && errno == EINTR) continue;
    return false;
  }
}

bool wait_for(int fd, short events, Clock::time_point deadline) {
  pollfd entry{fd, events, 0};
  return wait_for({&entry, 1}, deadline);
}

std::chrono::milliseconds time_for(size_t bytes, const ConnectionLimits& limits) {
  return limits.grace + std::chrono::milliseconds(bytes * 1000 / limits.min_bytes_per_s);
}

}  // namespace

Connection::Connection(int fd, const ConnectionLimits& limits, int stop_fd)
    : fd_(fd), limits_(limits), stop_fd_(stop_fd), buffer_(kBufferBytes) {
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Connection::~Connection() {
  if (abandoned_ || fault_ != ReadFault::none) linger();
  ::close(fd_);
}

bool Connection::wait_for_request() {
  in_head_ = true;
  head_bytes_ = head_lines_ = line_bytes_ = body_bytes_ = 0;
  last_ = 0;
  chunks_.reset();
  if (begin_ == end_ && receive(Clock::now() + limits_.idle) <= 0) {
    fault_ = ReadFault::none;  // there is no request that it could be a fault of
    return false;
  }
  phase_start_ = Clock::now();
  return true;
}

ssize_t Connection::read(char* out, size_t size) {
  if (fault_ != ReadFault::none) return -1;
  if (begin_ == end_) {
    const ssize_t n = receive(read_deadline());
    if (n == 0) return 0;
    if (n < 0) return -1;
  }
  // One byte at a time while in the head, so that its end is seen: the body has other limits.
  if (in_head_) {
    if (size == 0) return 0;
    *out = buffer_[begin_++];
    const ReadFault fault = take_head_byte(*out);
    return fault == ReadFault::none ? 1 : fail(fault);
  }
  const size_t n = std::min(size, end_ - begin_);
  std::copy_n(buffer_.data() + begin_, n, out);
  begin_ += n;
  const ReadFault fault = take_body({out, n});
  return fault == ReadFault::none ? static_cast<ssize_t>(n) : fail(fault);
}

ReadFault Connection::take_body(std::string_view bytes) {
  body_bytes_ += bytes.size();
  if (body_bytes_ > 2 * limits_.body_bytes + limits_.head_bytes) return ReadFault::body_too_large;
  return chunks_ && !chunks_->take(bytes) ? ReadFault::malformed : ReadFault::none;
}

ReadFault Connection::take_head_byte(char c) {
  ++head_bytes_;
  ++line_bytes_;
  const char before = last_;
  last_ = c;
  // A line ends with both. A reader that takes one alone for the end sees other headers than we do.
  if ((before == '\r') != (c == '\n')) return ReadFault::malformed;
  if (c == '\n') {
    if (line_bytes_ == 2) {
      in_head_ = false;
      phase_start_ = Clock::now();
    }
    ++head_lines_;
    line_bytes_ = 0;
  }
  if (line_bytes_ > limits_.line_bytes && head_lines_ == 0) return ReadFault::line_too_long;
  const bool fits = head_bytes_ <= limits_.head_bytes && head_lines_ <= limits_.head_lines &&
                    line_bytes_ <= limits_.line_bytes;
  return fits ? ReadFault::none : ReadFault::head_too_large;
}

Connection::Clock::time_point Connection::read_deadline() const {
  if (in_head_) return phase_start_ + limits_.head_time;
  return phase_start_ + time_for(body_bytes_, limits_);
}

ssize_t Connection::fail(ReadFault fault) {
  fault_ = fault;
  return -1;
}

ssize_t Connection::receive(Clock::time_point deadline) {
  for (;;) {
    std::array<pollfd, 2> entries{{{fd_, POLLIN, 0}, {stop_fd_, POLLIN, 0}}};
    if (!wait_for(entries, deadline)) return fail(ReadFault::too_slow);
    if (entries[1].revents != 0) return fail(ReadFault::stopping);
    const ssize_t n = ::recv(fd_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (n > 0) {
      begin_ = 0;
      end_ = static_cast<size_t>(n);
      return n;
    }
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    peer_closed_ = true;
    if (n < 0) return fail(ReadFault::closed);
    fault_ = ReadFault::closed;
    return 0;
  }
}

bool Connection::readable() const { return begin_ < end_ || wait_for(fd_, POLLIN, Clock::now()); }

bool Connection::write(std::string_view bytes) {
  const auto deadline = Clock::now() + time_for(bytes.size(), limits_);
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {
      if (!wait_for(fd_, POLLOUT, deadline)) return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

bool Connection::peer_gone() const {
  if (peer_closed_) return true;
  pollfd entry{fd_, POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

// Closing with unread input makes the kernel send a reset, which can destroy the answer on its way
// to the client. So: end our side, then read the rest away for a short while.
void Connection::linger() {
  if (peer_closed_) return;
  hang_up();
  const auto deadline = Clock::now() + kLingerTime;
  while (Clock::now() < deadline && receive(deadline) > 0) {
  }
}

void Connection::hang_up() {
  ::shutdown(fd_, SHUT_WR);
  for (int i = 0; i < kMaxDiscards; ++i) {
    if (::recv(fd_, buffer_.data(), buffer_.size(), MSG_DONTWAIT) <= 0) return;
  }
}

}  // namespace lapidary
