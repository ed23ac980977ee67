#include "server/http/chunk_guard.h"

#include <algorithm>

namespace lapidary {
namespace {

constexpr int kMaxDigits = 15;  // so that a size fits

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

bool ChunkGuard::take(std::string_view bytes) {
  while (!bytes.empty() && state_ != State::failed) {
    if (state_ == State::data) {
      const auto n = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
      left_ -= n;
      bytes.remove_prefix(n);
      if (left_ == 0) state_ = State::data_end;
    } else {
      const char c = bytes.front();
      bytes.remove_prefix(1);
      state_ = step(c);
      last_ = c;
    }
  }
  return state_ != State::failed;
}

ChunkGuard::State ChunkGuard::step(char c) {
  // In every line CR and LF stand together only.
  if ((last_ == '\r') != (c == '\n')) return State::failed;
  switch (state_) {
    case State::size:
      if (const int value = hex_value(c); value >= 0 && n_digits_ < kMaxDigits) {
        left_ = left_ * 16 + static_cast<uint64_t>(value);
        ++n_digits_;
        return State::size;
      }
      if (n_digits_ == 0 || (c != '\r' && c != ';' && c != ' ' && c != '\t')) return State::failed;
      return State::extension;
    case State::extension:
      if (c != '\n') return State::extension;
      return left_ > 0 ? State::data : State::trailer;
    case State::data_end:
      if (c != '\n') return c == '\r' ? State::data_end : State::failed;
      n_digits_ = 0;
      return State::size;
    case State::trailer:
      return State::trailer;
    default:
      return State::failed;
  }
}

}  // namespace lapidary
