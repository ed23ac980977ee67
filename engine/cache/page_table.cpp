#include "engine/cache/page_table.h"

#include <algorithm>

#include "kernels/backend.h"

namespace lapidary {

int blocks_for(int64_t n_positions) {
  return static_cast<int>((n_positions + kPageSize - 1) / kPageSize);
}

int32_t PageTable::page_of(int position) const { return pages_[position / kPageSize]; }

void PageTable::grow(BlockPool& pool, int end) {
  while (n_blocks() < blocks_for(end)) pages_.push_back(pool.take());
}

void PageTable::evict_before(BlockPool& pool, int position) {
  const int end = std::min(position / kPageSize, n_blocks());
  for (; first_live_ < end; ++first_live_) {
    pool.release(pages_[first_live_]);
    pages_[first_live_] = -1;
  }
}

void PageTable::clear(BlockPool& pool) {
  for (int i = first_live_; i < n_blocks(); ++i) pool.release(pages_[i]);
  pages_.clear();
  first_live_ = 0;
}

PageTable::Copy PageTable::fork(BlockPool& pool, const PageTable& parent, int n_positions) {
  CHECK(pages_.empty() && parent.n_blocks() >= blocks_for(n_positions));
  pages_.assign(parent.pages_.begin(), parent.pages_.begin() + blocks_for(n_positions));
  first_live_ = std::min(parent.first_live_, n_blocks());
  const bool partial = n_positions % kPageSize != 0;
  const int n_shared = n_blocks() - (partial ? 1 : 0);
  for (int i = first_live_; i < n_shared; ++i) pool.share(pages_[i]);
  if (!partial) return {};
  const Copy copy{pages_.back(), pool.take()};
  pages_.back() = copy.to;
  return copy;
}

}  // namespace lapidary
