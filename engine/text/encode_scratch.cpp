#include "engine/text/encode_scratch.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace lapidary {

EncodeScratchPool::EncodeScratchPool()
    : max_free_(std::clamp(std::thread::hardware_concurrency(), 1u, 16u)) {
  free_.reserve(max_free_);
}

std::unique_ptr<EncodeScratch> EncodeScratchPool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      std::unique_ptr<EncodeScratch> scratch = std::move(free_.back());
      free_.pop_back();
      return scratch;
    }
  }
  return std::make_unique<EncodeScratch>();
}

void EncodeScratchPool::give_back(std::unique_ptr<EncodeScratch> scratch) {
  const std::lock_guard lock(mutex_);
  if (free_.size() < max_free_) free_.push_back(std::move(scratch));
}

}  // namespace lapidary
