#include "tests/cuda_on_cpu/proxies.h"

#include <span>
#include <vector>

#include "tests/cuda_on_cpu/block.h"

namespace cuda_on_cpu {
namespace {

constexpr uint32_t kFirstAddress = 1024 + kDynamicSharedOffset;  // below: the system's

// A copy of dynamic shared memory, made when a block first needs it.
std::vector<unsigned char> view;

std::vector<unsigned char>& present_view() {
  const size_t n = dynamic_shared_bytes().size();
  // What is not written holds the same in both.
  if (view.empty()) view.assign(n, 0xff);
  return view;
}

size_t offset_of(const void* place, size_t n) {
  const std::span<char> all = dynamic_shared_bytes();
  const auto offset = static_cast<size_t>(static_cast<const char*>(place) - all.data());
  require(offset <= all.size() && n <= all.size() - offset,
          "a bulk copy or wgmma leaves the block's dynamic shared memory");
  return offset;
}

}  // namespace

uint32_t shared_address(const void* place) {
  return kFirstAddress + static_cast<uint32_t>(offset_of(place, 0));
}

const unsigned char* async_view(uint32_t address, size_t n) {
  const size_t offset = address - kFirstAddress;
  const size_t size = dynamic_shared_bytes().size();
  require(address >= kFirstAddress && offset <= size && n <= size - offset,
          "a matrix descriptor leaves the block's dynamic shared memory");
  return present_view().data() + offset;
}

void proxy_fence() {
  const Unobserved for_all;
  const std::span<char> all = dynamic_shared_bytes();
  std::memcpy(present_view().data(), all.data(), all.size());
}

void expect_async_write(const void* to, size_t n) {
  const Unobserved for_all;
  const size_t offset = offset_of(to, n);
  require(std::memcmp(to, present_view().data() + offset, n) == 0,
          "a bulk copy overwrites what threads wrote without a proxy fence behind it");
}

void async_write(void* to, const void* from, size_t n) {
  const size_t offset = offset_of(to, n);
  std::memcpy(to, from, n);
  std::memcpy(present_view().data() + offset, from, n);
}

void begin_proxies() { view.clear(); }

}  // namespace cuda_on_cpu
