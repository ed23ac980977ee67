// Byte-pair encoding of one piece of text: the pair with the lowest rank merges first, the leftmost
// of equals. O(n log n) in the length of the piece, whatever it holds. Owns its work space and is
// used by one thread at a time; refers to a vocabulary and merges that outlive the call only.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/text/merge_table.h"
#include "engine/text/vocabulary.h"

namespace lapidary {

class BytePairMerger {
 public:
  // Appends the ids of `piece` to `ids`. REQUIRES: fewer than 2^31 bytes, all bytes in the
  // vocabulary as <0xHH>.
  void encode(const Vocabulary& vocabulary, const MergeTable& merges, std::string_view piece,
              std::vector<int32_t>& ids);

 private:
  void split(const Vocabulary& vocabulary, std::string_view piece);
  void merge_short(const MergeTable& merges);
  void merge_long(const MergeTable& merges);
  void offer(const MergeTable& merges, uint32_t left, uint32_t right);

  std::vector<int32_t> symbols_;
  std::vector<uint32_t> ranks_;            // of the pair that symbol i begins
  std::vector<uint32_t> next_, previous_;  // the symbols left of and right of i in merge_long
  std::vector<uint64_t> heap_;             // rank, then position: the smallest is the next merge
};

}  // namespace lapidary
