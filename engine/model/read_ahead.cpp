#include "engine/model/read_ahead.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace lapidary {
namespace {

// Brings the pages in and maps them; on kernels before 5.14, asks for them.
void bring(const ReadAhead::Range& range) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t first = reinterpret_cast<uintptr_t>(range.data) / page * page;
  const uintptr_t last =
      reinterpret_cast<uintptr_t>(range.data) + static_cast<uintptr_t>(range.bytes);
  auto* begin = reinterpret_cast<void*>(first);  // NOLINT(performance-no-int-to-ptr)
#ifdef MADV_POPULATE_READ
  if (::madvise(begin, last - first, MADV_POPULATE_READ) == 0) return;
#endif
  ::madvise(begin, last - first, MADV_WILLNEED);
}

}  // namespace

ReadAhead::ReadAhead(std::vector<Range> ranges, const Limits& limits)
    : ranges_(std::move(ranges)), limits_(limits) {
  for (const Range& range : ranges_) total_ += range.bytes;
  for (int i = 0; i < limits_.n_threads; ++i) threads_.emplace_back([this] { run(); });
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ReadAhead::pass(int64_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    passed_ += bytes;
  }
  wake_.notify_all();
}

int64_t ReadAhead::done() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

ReadAhead::Range ReadAhead::next_block() {
  while (range_ < ranges_.size() && offset_ == ranges_[range_].bytes) {
    ++range_;
    offset_ = 0;
  }
  if (range_ == ranges_.size() || given_ >= passed_ + limits_.window) return {};
  const Range& range = ranges_[range_];
  const Range block{range.data + offset_, std::min(limits_.block, range.bytes - offset_)};
  offset_ += block.bytes;
  given_ += block.bytes;
  return block;
}

void ReadAhead::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_ && given_ < total_) {
    const Range block = next_block();
    if (block.bytes == 0) {
      wake_.wait(lock);
      continue;
    }
    // What was passed meanwhile need not be read.
    const bool is_behind = given_ <= passed_;
    lock.unlock();
    if (!is_behind) bring(block);
    lock.lock();
    done_ += block.bytes;
  }
}

}  // namespace lapidary
