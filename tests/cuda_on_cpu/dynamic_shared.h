// The memory behind dynamic_shared(): of one grid, its content made anew for each block.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>

#include "tests/cuda_on_cpu/block.h"

namespace cuda_on_cpu {

// Exactly as large as the launch says, so that the address sanitizer sees the first byte beyond.
// Aligned to 128 bytes and no more, as DYNAMIC_SHARED promises.
class DynamicShared {
 public:
  explicit DynamicShared(size_t bytes) : bytes_(bytes) {
    void* memory = nullptr;
    if (posix_memalign(&memory, 1024, kDynamicSharedOffset + bytes + kGuardBytes) != 0) {
      throw std::bad_alloc();
    }
    memory_.reset(static_cast<unsigned char*>(memory));
    std::memset(data() + bytes, kGuard, kGuardBytes);
  }

  std::span<char> bytes() const { return {reinterpret_cast<char*>(data()), bytes_}; }
  void poison() { std::memset(data(), 0xff, bytes_); }
  void check_guard() const {
    for (size_t i = 0; i < kGuardBytes; ++i) {
      require(data()[bytes_ + i] == kGuard, "shared memory was written beyond its end");
    }
  }

 private:
  // Behind the dynamic shared memory, where the address sanitizer does not watch.
#ifdef __SANITIZE_ADDRESS__
  static constexpr size_t kGuardBytes = 0;
#else
  static constexpr size_t kGuardBytes = 128;
#endif
  static constexpr unsigned char kGuard = 0xa5;

  struct Free {
    void operator()(unsigned char* p) const { std::free(p); }
  };

  unsigned char* data() const { return memory_.get() + kDynamicSharedOffset; }

  size_t bytes_;
  std::unique_ptr<unsigned char, Free> memory_;
};

}  // namespace cuda_on_cpu
