// Page ids of one layer group with their reference counts. Knows nothing of bytes or layers:
// KvCache owns those. Engine thread only.
//
// Invariants: (1) every id is either free (count 0, once in the free list) or held (count >= 1);
// (2) n_free() + held pages == n_pages().
#pragma once

#include <cstdint>
#include <vector>

namespace lapidary {

class BlockPool {
 public:
  explicit BlockPool(int n_pages);

  int n_pages() const { return static_cast<int>(refs_.size()); }
  int n_free() const { return static_cast<int>(free_.size()); }

  // A page with count 1. REQUIRES: n_free() > 0.
  int32_t take();
  void share(int32_t page);    // one more holder. REQUIRES: held
  void release(int32_t page);  // one holder less; free again at 0. REQUIRES: held

 private:
  std::vector<int32_t> refs_;
  std::vector<int32_t> free_;  // a stack: the page freed last is warm in cache
};

}  // namespace lapidary
