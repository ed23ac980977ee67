// Reads mapped files ahead of whoever copies from the mapping, with several requests at once, so
// that a disk is busy while the copies go on and no copy stops at a page that is not there yet.
// Threads of its own, which only give hints: nothing depends on them but time.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace lapidary {

class ReadAhead {
 public:
  struct Range {
    const std::byte* data = nullptr;
    int64_t bytes = 0;
  };
  struct Limits {
    int64_t window = int64_t{256} << 20;  // bytes ahead of what was reached
    int64_t block = int64_t{4} << 20;     // bytes of one request
    int n_threads = 4;
  };

  // Starts at once. The ranges must stay mapped as long as this lives.
  ReadAhead(std::vector<Range> ranges, const Limits& limits);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // So many more bytes of the ranges are no longer needed.
  void pass(int64_t bytes);

  int64_t total() const { return total_; }
  // Bytes that were asked for, all requests done.
  int64_t done() const;

 private:
  void run();
  Range next_block();  // with mutex_ held; empty: none may be read yet, or none is left

  const std::vector<Range> ranges_;
  const Limits limits_;
  int64_t total_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  size_t range_ = 0;    // the next block's
  int64_t offset_ = 0;  // in it
  int64_t given_ = 0, done_ = 0, passed_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace lapidary
