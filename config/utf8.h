// UTF-8, one code point at a time: what the Unicode standard calls well-formed (no overlong forms,
// no surrogates, nothing above U+10FFFF). Pure functions, any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lapidary {

struct Utf8CodePoint {
  char32_t value;
  int length;  // in bytes, 1 to 4; 0 where the bytes are not well-formed (or end too early)
};

// The code point that begins at text[at]. REQUIRES: at < text.size().
inline Utf8CodePoint read_utf8(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  const size_t left = text.size() - at;
  const auto continues = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const auto bits = [&](size_t i) { return static_cast<char32_t>(byte(i) & 0x3F); };
  if (first < 0xC2) return {0, 0};
  if (first < 0xE0) {
    if (left < 2 || !continues(1)) return {0, 0};
    return {static_cast<char32_t>(first & 0x1F) << 6 | bits(1), 2};
  }
  if (first < 0xF0) {
    if (left < 3 || !continues(1) || !continues(2)) return {0, 0};
    const char32_t value = static_cast<char32_t>(first & 0x0F) << 12 | bits(1) << 6 | bits(2);
    if (value < 0x800 || (value >= 0xD800 && value < 0xE000)) return {0, 0};
    return {value, 3};
  }
  if (first > 0xF4 || left < 4 || !continues(1) || !continues(2) || !continues(3)) return {0, 0};
  const char32_t value =
      static_cast<char32_t>(first & 0x07) << 18 | bits(1) << 12 | bits(2) << 6 | bits(3);
  if (value < 0x10000 || value > 0x10FFFF) return {0, 0};
  return {value, 4};
}

// REQUIRES: code_point is a Unicode scalar value.
inline void append_utf8(char32_t code_point, std::string& text) {
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

}  // namespace lapidary
