#include "engine/text/cut_table.h"

#include "config/utf8.h"
#include "engine/text/merge_table.h"
#include "engine/text/vocabulary.h"

namespace lapidary {
namespace {

// Spaces and word marks are one symbol; ASCII text holds spaces, so that is its name here.
char32_t folded(char32_t code_point) { return code_point == kWordMark ? U' ' : code_point; }

size_t pair_hash(char32_t left, char32_t right, int bits) {
  const uint64_t key = static_cast<uint64_t>(left) << 21 | right;
  return static_cast<size_t>((key * 0x9E3779B97F4A7C15u) >> (64 - bits));
}

}  // namespace

CutTable::CutTable(const Vocabulary& vocabulary, const MergeTable& merges) {
  for (const int32_t id : merges.results()) {
    const std::string_view text = vocabulary.text(id);
    char32_t left = 0;
    for (size_t at = 0; at < text.size();) {
      const Utf8CodePoint right = read_utf8(text, at);
      if (at > 0) add(folded(left), folded(right.value));
      left = right.value;
      at += static_cast<size_t>(right.length);
    }
  }
}

void CutTable::add(char32_t left, char32_t right) {
  if (left < 0x80 && right < 0x80) {
    ascii_[left][right >> 6] |= uint64_t{1} << (right & 63);
  } else {
    const size_t bit = pair_hash(left, right, kHashBits);
    hashed_[bit / 64] |= uint64_t{1} << (bit % 64);
  }
}

bool CutTable::joins(char32_t left, char32_t right) const {
  if (left < 0x80 && right < 0x80) {
    return joins_ascii(static_cast<unsigned char>(left), static_cast<unsigned char>(right));
  }
  const size_t bit = pair_hash(left, right, kHashBits);
  return (hashed_[bit / 64] >> (bit % 64) & 1) != 0;
}

size_t CutTable::next_cut(std::string_view text, size_t begin) const {
  Utf8CodePoint left = read_utf8(text, begin);
  if (left.length == 0) return begin + 1;  // a byte token, which nothing joins
  size_t at = begin + static_cast<size_t>(left.length);
  left.value = folded(left.value);
  while (at < text.size()) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80) {
      if (left.value < 0x80 ? !joins_ascii(static_cast<unsigned char>(left.value), byte)
                            : !joins(left.value, byte)) {
        return at;
      }
      left.value = byte;
      ++at;
      continue;
    }
    const Utf8CodePoint right = read_utf8(text, at);
    if (right.length == 0 || !joins(left.value, folded(right.value))) return at;
    left.value = folded(right.value);
    at += static_cast<size_t>(right.length);
  }
  return at;
}

}  // namespace lapidary
