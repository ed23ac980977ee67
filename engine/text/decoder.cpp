#include "engine/text/decoder.h"

#include <algorithm>

#include "config/utf8.h"
#include "engine/text/tokenizer.h"

namespace lapidary {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Whether some continuation makes these 1 to 3 bytes one valid code point.
bool may_become_valid(std::string_view bytes) {
  // The continuations that matter: the lowest and the highest byte, which reach every range that
  // the second byte may have to lie in.
  for (const char filler : {'\x80', '\xBF'}) {
    std::string completed(bytes);
    completed.append(4 - std::min<size_t>(bytes.size(), 4), filler);
    const int length = read_utf8(completed, 0).length;
    if (static_cast<size_t>(length) > bytes.size()) return true;
  }
  return false;
}

}  // namespace

IncrementalDecoder::IncrementalDecoder(const Tokenizer& tokenizer, bool skip_control)
    : tokenizer_(&tokenizer), skip_control_(skip_control) {}

std::string IncrementalDecoder::push(int32_t id) {
  std::string text;
  push(id, text);
  return text;
}

void IncrementalDecoder::push(int32_t id, std::string& text) {
  if (skip_control_ && tokenizer_->is_control(id)) return;
  const std::string_view bytes = tokenizer_->token_bytes(id);
  const bool is_byte_token = bytes.size() == 1 && tokenizer_->token_text(id).size() == 6;
  if (is_byte_token) {
    push_byte(static_cast<unsigned char>(bytes.front()), text);
  } else if (!bytes.empty()) {
    text += finish();
    text += bytes;
  }
}

void IncrementalDecoder::push_byte(unsigned char byte, std::string& text) {
  held_[n_held_++] = byte;
  const auto held = [&] {
    return std::string_view(reinterpret_cast<const char*>(held_), static_cast<size_t>(n_held_));
  };
  if (read_utf8(held(), 0).length == n_held_) {
    text += held();
    n_held_ = 0;
  } else if (!may_become_valid(held())) {
    // Of what is held only the last byte may begin something new: before it came, the rest could
    // still have become valid.
    text += kReplacement;
    const bool had_more = n_held_ > 1;
    n_held_ = 0;
    if (had_more) push_byte(byte, text);
  }
}

std::string IncrementalDecoder::finish() {
  if (n_held_ == 0) return {};
  n_held_ = 0;
  return std::string(kReplacement);
}

}  // namespace lapidary
