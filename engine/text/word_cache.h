// Remembers the ids of short pieces of text: ordinary text repeats its words. A fixed number of
// slots, newer pieces push out older ones, nothing is ever wrong or unbounded. Not thread-safe:
// each lives in an EncodeScratch.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace lapidary {

class WordCache {
 public:
  static constexpr size_t kMaxKeyBytes = 32;
  static constexpr size_t kMaxIds = 7;

  struct Key {
    std::array<uint64_t, kMaxKeyBytes / 8> words;  // the text, then zeros
    uint32_t length;
    uint32_t slot;
  };

  // REQUIRES: piece is part of a text that ends at `text_end`, 1 to kMaxKeyBytes long.
  static Key key(std::string_view piece, const char* text_end);

  // The ids of the piece; empty when it is not known.
  std::span<const int32_t> find(const Key& key) const;
  // Pieces of more than kMaxIds ids are not kept.
  void insert(const Key& key, std::span<const int32_t> ids);

 private:
  static constexpr uint32_t kSlots = 1 << 14;

  // One cache line.
  struct alignas(64) Slot {
    std::array<uint64_t, kMaxKeyBytes / 8> words;
    uint16_t length;  // 0: free
    uint16_t n_ids;
    std::array<int32_t, kMaxIds> ids;
  };
  static_assert(sizeof(Slot) == 64);

  static bool holds(const Slot& slot, const Key& key) {
    return slot.length == key.length && slot.words == key.words;
  }

  // A piece may stand in its slot or in the neighbour that differs in the last bit.
  std::vector<Slot> slots_ = std::vector<Slot>(kSlots);
};

inline WordCache::Key WordCache::key(std::string_view piece, const char* text_end) {
  Key key{};
  key.length = static_cast<uint32_t>(piece.size());
  if (static_cast<size_t>(text_end - piece.data()) >= kMaxKeyBytes) {
    // Reading on into the text and masking is faster than a copy of unknown length.
    std::memcpy(key.words.data(), piece.data(), kMaxKeyBytes);
    for (size_t i = 0; i < key.words.size(); ++i) {
      const size_t kept = std::min<size_t>(piece.size() - std::min(piece.size(), i * 8), 8);
      key.words[i] &= kept == 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * kept)) - 1;
    }
  } else {
    std::memcpy(key.words.data(), piece.data(), piece.size());
  }
  uint64_t hash = key.length;
  for (const uint64_t word : key.words) {
    hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
  }
  key.slot = static_cast<uint32_t>(hash) & (kSlots - 1);
  return key;
}

inline std::span<const int32_t> WordCache::find(const Key& key) const {
  for (const uint32_t index : {key.slot, key.slot ^ 1}) {
    const Slot& slot = slots_[index];
    if (holds(slot, key)) return {slot.ids.data(), slot.n_ids};
  }
  return {};
}

inline void WordCache::insert(const Key& key, std::span<const int32_t> ids) {
  if (ids.size() > kMaxIds) return;
  Slot& slot = slots_[key.slot];
  slots_[key.slot ^ 1] = slot;  // the older of the two goes
  slot.words = key.words;
  slot.length = static_cast<uint16_t>(key.length);
  slot.n_ids = static_cast<uint16_t>(ids.size());
  std::copy(ids.begin(), ids.end(), slot.ids.begin());
}

}  // namespace lapidary
