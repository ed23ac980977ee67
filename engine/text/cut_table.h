// Where a text may be cut without changing its ids: between two code points that stand next to each
// other in no entry that merges build, since no merge can then join what is left of the cut with
// what is right of it. Computed from the vocabulary itself, so nothing about newlines, digits or
// word marks is taken on trust: `>\u2581</` is an entry, hence no cut between `>` and a space.
// Filled while a tokenizer is loaded, read by any thread afterwards.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace lapidary {

class MergeTable;
class Vocabulary;

class CutTable {
 public:
  CutTable() = default;
  CutTable(const Vocabulary& vocabulary, const MergeTable& merges);

  // The end of the piece of `text` that begins at `begin` and has a cut at its end (or is the
  // rest). Spaces count as U+2581. REQUIRES: begin < text.size().
  size_t next_cut(std::string_view text, size_t begin) const;

 private:
  // Beyond ASCII the pairs are kept as bits under a hash: two pairs that collide lose a cut,
  // which costs time only.
  static constexpr int kHashBits = 22;

  bool joins_ascii(unsigned char left, unsigned char right) const {
    return (ascii_[left][right >> 6] >> (right & 63) & 1) != 0;
  }
  bool joins(char32_t left, char32_t right) const;
  void add(char32_t left, char32_t right);

  std::array<std::array<uint64_t, 2>, 128> ascii_{};
  std::vector<uint64_t> hashed_ = std::vector<uint64_t>((size_t{1} << kHashBits) / 64);
};

}  // namespace lapidary
