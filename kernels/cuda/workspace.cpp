#include "kernels/cuda/workspace.h"

#include <algorithm>
#include <new>
#include <string>

#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/launch.h"

namespace lapidary::cuda {
namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kSmallestChunk = size_t{1} << 20;
constexpr size_t kLargestStep = size_t{64} << 20;

}  // namespace

void Workspace::reserve(size_t bytes) {
  if (chunks_.empty() && bytes > 0) grow(bytes);
  is_reserved_ = true;
}

size_t Workspace::bytes() const {
  size_t all = 0;
  for (const Buffer& chunk : chunks_) all += chunk.bytes();
  return all;
}

void Workspace::grow(size_t bytes) {
  try {
    chunks_.push_back(allocate_device(bytes));
  } catch (const std::bad_alloc&) {
    if (!is_reserved_) throw;
    // A verb of a running engine: nobody above it could go on.
    const std::string wanted = std::to_string(bytes) + " bytes of workspace beyond those reserved";
    cuda_failed(__FILE__, __LINE__, wanted.c_str(), cudaErrorMemoryAllocation);
  }
}

void* Workspace::take_bytes(size_t bytes) {
  while (chunk_ < chunks_.size() && used_ + bytes > chunks_[chunk_].bytes()) {
    ++chunk_;
    used_ = 0;
  }
  if (chunk_ == chunks_.size()) {
    // Twice the last one, so that they stay few, but no more than what a large take costs anyway.
    const size_t next = chunks_.empty() ? kSmallestChunk : 2 * chunks_.back().bytes();
    grow(std::max(bytes, std::min(next, kLargestStep)));
  }
  void* taken = static_cast<char*>(chunks_[chunk_].data()) + used_;
  used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return taken;
}

}  // namespace lapidary::cuda
