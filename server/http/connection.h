// One client's socket with all its limits: how long a request's head may take and how large it may
// be, the least rate of a body, how long a write may hang, how long an idle connection lives. A
// thread serves a connection, so every limit here is also a limit on holding a thread. Owns the
// descriptor; used by one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "server/http/chunk_guard.h"

namespace lapidary {

struct ConnectionLimits {
  std::chrono::milliseconds idle{15'000};       // between two requests
  std::chrono::milliseconds head_time{10'000};  // first byte to the blank line
  std::chrono::milliseconds grace{10'000};      // a body or a write may take this long ...
  size_t min_bytes_per_s = 10'000;              // ... and afterwards must keep this rate
  size_t head_bytes = 64 << 10;
  size_t head_lines = 100;
  size_t line_bytes = 8192;     // of one line of the head
  size_t body_bytes = 4 << 20;  // payload; framing may add as much again
};

// Why reading stopped.
enum class ReadFault {
  none,
  closed,
  too_slow,
  line_too_long,  // the request line
  head_too_large,
  body_too_large,
  malformed,  // lines or chunks that another reader would cut elsewhere
  stopping,   // the server stops, and the request was not complete yet
};

class Connection {
 public:
  // `stop_fd` becomes readable when the server stops: idle connections and uploads then end.
  Connection(int fd, const ConnectionLimits& limits, int stop_fd);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Waits for the first byte of the next request. False: closed, idle for too long, or stopping.
  bool wait_for_request();

  // Up to `size` bytes; 0 at the end of input, -1 on a fault.
  ssize_t read(char* out, size_t size);
  bool readable() const;
  ReadFault fault() const { return fault_; }

  // All of it, or false.
  bool write(std::string_view bytes);

  // The peer closed its side or reset the connection.
  bool peer_gone() const;

  // The body that follows is in chunks; its framing is checked as it is read.
  void expect_chunks() { chunks_.emplace(); }

  // Input will stay unread: closing reads some of it away first (see linger()).
  void abandon_input() { abandoned_ = true; }
  // Ends our side and reads away what has come, without waiting for more.
  void hang_up();

  int fd() const { return fd_; }

 private:
  using Clock = std::chrono::steady_clock;

  // Fills the buffer; as read(2). Waits until `deadline`.
  ssize_t receive(Clock::time_point deadline);
  Clock::time_point read_deadline() const;
  ssize_t fail(ReadFault fault);
  ReadFault take_head_byte(char c);
  ReadFault take_body(std::string_view bytes);
  void linger();

  const int fd_;
  const ConnectionLimits& limits_;
  const int stop_fd_;
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;  // unread part of the buffer

  bool in_head_ = true;
  size_t head_bytes_ = 0, head_lines_ = 0, line_bytes_ = 0;
  char last_ = 0;
  size_t body_bytes_ = 0;
  std::optional<ChunkGuard> chunks_;
  Clock::time_point phase_start_;  // of the head, then of the body
  bool peer_closed_ = false, abandoned_ = false;
  ReadFault fault_ = ReadFault::none;
};

}  // namespace lapidary
