#include "kernels/cuda/workspace.h"

#include <algorithm>

#include "kernels/cuda/device_memory.h"

namespace lapidary::cuda {
namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kSmallestChunk = size_t{1} << 20;
constexpr size_t kLargestStep = size_t{64} << 20;

}  // namespace

void Workspace::reserve(size_t bytes) {
  if (chunks_.empty() && bytes > 0) chunks_.push_back(allocate_device(bytes));
}

size_t Workspace::bytes() const {
  size_t all = 0;
  for (const Buffer& chunk : chunks_) all += chunk.bytes();
  return all;
}

void* Workspace::take_bytes(size_t bytes) {
  while (chunk_ < chunks_.size() && used_ + bytes > chunks_[chunk_].bytes()) {
    ++chunk_;
    used_ = 0;
  }
  if (chunk_ == chunks_.size()) {
    // Twice the last one, so that they stay few, but no more than what a large take costs anyway.
    const size_t next = chunks_.empty() ? kSmallestChunk : 2 * chunks_.back().bytes();
    chunks_.push_back(allocate_device(std::max(bytes, std::min(next, kLargestStep))));
  }
  void* taken = static_cast<char*>(chunks_[chunk_].data()) + used_;
  used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return taken;
}

}  // namespace lapidary::cuda
