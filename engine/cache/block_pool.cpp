#include "engine/cache/block_pool.h"

#include "kernels/check.h"

namespace lapidary {

BlockPool::BlockPool(int n_pages) : refs_(n_pages, 0) {
  free_.reserve(n_pages);
  for (int32_t page = n_pages - 1; page >= 0; --page) free_.push_back(page);
}

int32_t BlockPool::take() {
  CHECK(!free_.empty());
  const int32_t page = free_.back();
  free_.pop_back();
  refs_[page] = 1;
  return page;
}

void BlockPool::share(int32_t page) {
  CHECK(refs_[page] > 0);
  ++refs_[page];
}

void BlockPool::release(int32_t page) {
  CHECK(refs_[page] > 0);
  if (--refs_[page] == 0) free_.push_back(page);
}

}  // namespace lapidary
