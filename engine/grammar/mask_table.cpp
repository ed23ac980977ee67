#include "engine/grammar/mask_table.h"

namespace lapidary {

void MaskTable::keep(uint32_t node, std::shared_ptr<const NodeMask> mask) {
  const size_t bytes = mask->bytes();
  if (mask_bytes_.load(std::memory_order_relaxed) + bytes > kMaxBytes) {
    is_full_.store(true, std::memory_order_relaxed);
    return;
  }
  uint8_t expected = kNone;
  if (!states_[node].compare_exchange_strong(expected, kWriting)) return;
  mask_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  masks_[node] = std::move(mask);
  states_[node].store(kThere, std::memory_order_release);
}

}  // namespace lapidary
