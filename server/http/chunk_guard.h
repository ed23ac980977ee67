// Checks the framing of a chunked request body while the HTTP library reads it: a size is plain
// hexadecimal digits, every line ends with CR LF, data ends where its size says. The library takes
// more ("-2", " 10", a lone LF), which a proxy in front may read differently. Plain state, used by
// the connection's thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace lapidary {

class ChunkGuard {
 public:
  // The next bytes of the body. False: malformed, now and from then on.
  bool take(std::string_view bytes);

 private:
  enum class State { size, extension, data, data_end, trailer, failed };

  State step(char c);

  State state_ = State::size;
  uint64_t left_ = 0;  // of the chunk
  int n_digits_ = 0;   // of the size
  char last_ = 0;      // byte that was no data
};

}  // namespace lapidary
