#include "server/dialect/white_space.h"

namespace lapidary {
namespace {

bool is_space_1(unsigned char a) { return (a >= 0x09 && a <= 0x0D) || (a >= 0x1C && a <= 0x20); }

// U+0085, U+00A0
bool is_space_2(unsigned char a, unsigned char b) { return a == 0xC2 && (b == 0x85 || b == 0xA0); }

// U+1680, U+2000-200A, U+2028, U+2029, U+202F, U+205F, U+3000
bool is_space_3(unsigned char a, unsigned char b, unsigned char c) {
  if (a == 0xE1) return b == 0x9A && c == 0x80;
  if (a == 0xE3) return b == 0x80 && c == 0x80;
  if (a != 0xE2) return false;
  if (b == 0x81) return c == 0x9F;
  return b == 0x80 && ((c >= 0x80 && c <= 0x8A) || c == 0xA8 || c == 0xA9 || c == 0xAF);
}

unsigned char byte_at(std::string_view text, size_t i) {
  return static_cast<unsigned char>(text[i]);
}

}  // namespace

size_t leading_space_bytes(std::string_view text) {
  const size_t n = text.size();
  if (n >= 1 && is_space_1(byte_at(text, 0))) return 1;
  if (n >= 2 && is_space_2(byte_at(text, 0), byte_at(text, 1))) return 2;
  if (n >= 3 && is_space_3(byte_at(text, 0), byte_at(text, 1), byte_at(text, 2))) return 3;
  return 0;
}

size_t trailing_space_bytes(std::string_view text) {
  const size_t n = text.size();
  if (n >= 1 && is_space_1(byte_at(text, n - 1))) return 1;
  if (n >= 2 && is_space_2(byte_at(text, n - 2), byte_at(text, n - 1))) return 2;
  if (n >= 3 && is_space_3(byte_at(text, n - 3), byte_at(text, n - 2), byte_at(text, n - 1))) {
    return 3;
  }
  return 0;
}

std::string_view strip_end(std::string_view text) {
  while (const size_t n = trailing_space_bytes(text)) text.remove_suffix(n);
  return text;
}

std::string_view strip(std::string_view text) {
  while (const size_t n = leading_space_bytes(text)) text.remove_prefix(n);
  return strip_end(text);
}

}  // namespace lapidary
