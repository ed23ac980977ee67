// The pages of one sequence in one layer group: block i holds positions [16 i, 16 i + 16). Blocks
// that fell behind the window are gone (-1) but keep their index, so positions stay absolute.
// Engine thread only.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/cache/block_pool.h"

namespace lapidary {

// Pages that hold n positions.
int blocks_for(int64_t n_positions);

class PageTable {
 public:
  int n_blocks() const { return static_cast<int>(pages_.size()); }
  const std::vector<int32_t>& pages() const { return pages_; }
  int32_t page_of(int position) const;

  // Takes pages so that positions [0, end) have one. REQUIRES: the pool has them.
  void grow(BlockPool& pool, int end);
  // Gives back the blocks that lie wholly before `position`.
  void evict_before(BlockPool& pool, int position);
  void clear(BlockPool& pool);

  // Takes over another table's pages by sharing them. A last page that is not full (n_positions
  // is no multiple of the page size) is replaced by a fresh one, into which the caller copies:
  // `from` and `to` then name the two pages, else both are -1. REQUIRES: empty, one free page.
  struct Copy {
    int32_t from = -1, to = -1;
  };
  Copy fork(BlockPool& pool, const PageTable& parent, int n_positions);

 private:
  std::vector<int32_t> pages_;
  int first_live_ = 0;
};

}  // namespace lapidary
