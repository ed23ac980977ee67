// Token ids to text, a token at a time, for streaming: text comes out as soon as it is valid UTF-8.
// Owned by the stream it serves, used by one thread at a time; refers to a Tokenizer that must
// outlive it. An incomplete sequence is held back (at most 3 bytes); bytes that can no longer
// become valid UTF-8 come out as U+FFFD, one for each maximal part of a sequence.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lapidary {

class Tokenizer;

class IncrementalDecoder {
 public:
  // With skip_control, control tokens give no text and do not interrupt a sequence of bytes.
  explicit IncrementalDecoder(const Tokenizer& tokenizer, bool skip_control = true);

  // The text that this token completes; may be empty.
  std::string push(int32_t id);
  // The same, appended to `text`.
  void push(int32_t id, std::string& text);
  // What is still held back, as U+FFFD. The decoder is then as new.
  std::string finish();

  // Whether bytes are held back.
  bool holds_back() const { return n_held_ > 0; }

 private:
  void push_byte(unsigned char byte, std::string& text);

  const Tokenizer* tokenizer_;
  bool skip_control_;
  unsigned char held_[4] = {};
  int n_held_ = 0;
};

}  // namespace lapidary
