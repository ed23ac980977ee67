// The merges of a byte-pair tokenizer: (left id, right id) -> rank, and rank -> the id they become.
// A lower rank merges first. Filled while a tokenizer is loaded, read by any thread afterwards.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lapidary {

class MergeTable {
 public:
  // Ids and ranks share a 64-bit slot, so that one cache line answers a look-up.
  static constexpr int kIdBits = 21;
  static constexpr size_t kMaxIds = size_t{1} << kIdBits;
  static constexpr uint32_t kNone = (1u << (64 - 2 * kIdBits)) - 1;
  static constexpr size_t kMaxMerges = kNone;

  MergeTable() : MergeTable(0) {}
  // REQUIRES: n_merges <= kMaxMerges.
  explicit MergeTable(size_t n_merges)
      : slots_(std::bit_ceil(2 * n_merges + 2), kEmpty),
        shift_(64 - std::countr_zero(slots_.size())) {
    results_.reserve(n_merges);
  }

  // Adds the merge with the next rank; false when the pair has one already.
  // REQUIRES: ids below kMaxIds, no more merges than were announced.
  bool add(int32_t left, int32_t right, int32_t result) {
    const uint64_t key = pair_key(left, right);
    size_t slot = first_slot(key);
    while (slots_[slot] != kEmpty) {
      if (slots_[slot] >> kRankBits == key) return false;
      slot = (slot + 1) & (slots_.size() - 1);
    }
    slots_[slot] = key << kRankBits | results_.size();
    results_.push_back(result);
    return true;
  }

  // The rank of this pair; kNone when the two do not merge.
  uint32_t rank(int32_t left, int32_t right) const {
    const uint64_t key = pair_key(left, right);
    size_t slot = first_slot(key);
    while (slots_[slot] != kEmpty) {
      if (slots_[slot] >> kRankBits == key) return static_cast<uint32_t>(slots_[slot]) & kNone;
      slot = (slot + 1) & (slots_.size() - 1);
    }
    return kNone;
  }

  int32_t result(uint32_t rank) const { return results_[rank]; }
  const std::vector<int32_t>& results() const { return results_; }

 private:
  static constexpr int kRankBits = 64 - 2 * kIdBits;
  static constexpr uint64_t kEmpty = ~uint64_t{0};  // would be rank kNone, which no merge has

  static uint64_t pair_key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(left) << kIdBits | static_cast<uint64_t>(right);
  }
  size_t first_slot(uint64_t key) const { return (key * 0x9E3779B97F4A7C15u) >> shift_; }

  std::vector<uint64_t> slots_;  // open addressing, a power of two, at most half full
  int shift_;
  std::vector<int32_t> results_;
};

}  // namespace lapidary
