#include "kernels/cpu/memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace lapidary::cpu {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kLarge = size_t{1} << 20;

size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

// Maps one huge page more than asked, so that an aligned start lies inside.
Buffer map_huge(size_t bytes) {
  const size_t length = round_up(bytes, kHugePage) + kHugePage;
  void* mapped = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  const auto start = round_up(reinterpret_cast<uintptr_t>(mapped), kHugePage);
  auto* data = reinterpret_cast<void*>(start);  // NOLINT(performance-no-int-to-ptr)
  madvise(data, round_up(bytes, kHugePage), MADV_HUGEPAGE);
  return Buffer(data, bytes, [mapped, length](void*) { munmap(mapped, length); });
}

}  // namespace

Buffer allocate_zeroed(size_t bytes) {
  if (bytes > SIZE_MAX - 2 * kHugePage) throw std::bad_alloc();
  if (bytes >= kLarge) return map_huge(bytes);
  const size_t length = round_up(bytes == 0 ? 1 : bytes, 64);
  void* data = std::aligned_alloc(64, length);
  if (data == nullptr) throw std::bad_alloc();
  std::memset(data, 0, length);
  return Buffer(data, bytes, [](void* p) { std::free(p); });
}

void* Scratch::reserve_bytes(size_t bytes) {
  if (buffer_.bytes() < bytes || !buffer_) {
    buffer_ = Buffer();
    buffer_ = allocate_zeroed(bytes + bytes / 4);
  }
  return buffer_.data();
}

}  // namespace lapidary::cpu
