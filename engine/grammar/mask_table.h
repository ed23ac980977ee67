// The masks of a grammar's nodes, filled by whoever makes one first. Any thread, without waiting:
// who meets a node that another is just writing makes its mask for itself.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/grammar/grammar_vocabulary.h"

namespace lapidary {

class MaskTable {
 public:
  explicit MaskTable(size_t n_nodes) : states_(n_nodes), masks_(n_nodes) {}

  // Null: not there.
  const std::shared_ptr<const NodeMask>& find(uint32_t node) const {
    static const std::shared_ptr<const NodeMask> none;
    return states_[node].load(std::memory_order_acquire) == kThere ? masks_[node] : none;
  }
  // Does nothing where there is one, and beyond kMaxBytes.
  void keep(uint32_t node, std::shared_ptr<const NodeMask> mask);

  // Something was left out.
  bool is_full() const { return is_full_.load(std::memory_order_relaxed); }
  size_t bytes() const {
    return states_.size() * (sizeof(states_[0]) + sizeof(masks_[0])) +
           mask_bytes_.load(std::memory_order_relaxed);
  }

  // What would go beyond is worked out at each use.
  static constexpr size_t kMaxBytes = size_t{16} << 20;

 private:
  enum State : uint8_t { kNone, kWriting, kThere };

  std::vector<std::atomic<uint8_t>> states_;
  std::vector<std::shared_ptr<const NodeMask>> masks_;  // written once, before kThere
  std::atomic<size_t> mask_bytes_ = 0;
  std::atomic<bool> is_full_ = false;
};

}  // namespace lapidary
