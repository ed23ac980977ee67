// Device and page-locked memory as host memory, and copies between them.
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "tests/cuda_on_cpu/block.h"
#include "tests/cuda_on_cpu/runtime_state.h"

namespace cuda_on_cpu {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr size_t kGuardBytes = 0;
#else
constexpr size_t kGuardBytes = 64;
#endif
constexpr unsigned char kGuard = 0xa5;

struct Allocations {
  std::mutex mutex;
  std::map<const char*, size_t> bytes;   // of device memory, by address
  std::map<const char*, size_t> pinned;  // of the host's page-locked memory
  size_t allocated = 0;                  // bytes of device memory
  size_t total = size_t{8} << 30;        // of the device
};

Allocations& allocations() {
  static Allocations all;
  return all;
}

bool lies_in(const std::map<const char*, size_t>& ranges, const void* data, size_t bytes) {
  auto after = ranges.upper_bound(static_cast<const char*>(data));
  if (after == ranges.begin()) return false;
  const auto& [start, length] = *std::prev(after);
  const auto offset = static_cast<size_t>(static_cast<const char*>(data) - start);
  return offset <= length && bytes <= length - offset;
}

// The system is asked to put a byte back where it came from: directly, as the start of a page may be
// another's memory, which a sanitizer would hold against write().
bool is_writable(const void* data) {
  int ends[2];
  if (pipe(ends) != 0) return false;
  void* place = const_cast<void*>(data);
  const bool is = syscall(SYS_write, ends[1], place, 1) == 1 &&
                  syscall(SYS_read, ends[0], place, 1) == 1;
  close(ends[0]);
  close(ends[1]);
  return is;
}

// Whether a copy may read or write it after the call: the host's pageable memory is read before
// cudaMemcpyAsync returns, and written before it returns.
bool is_pageable(const void* data) {
  Allocations& all = allocations();
  const std::lock_guard lock(all.mutex);
  return !lies_in(all.bytes, data, 0) && !lies_in(all.pinned, data, 0);
}

void forget_pinned(void* data) {
  Allocations& all = allocations();
  const std::lock_guard lock(all.mutex);
  all.pinned.erase(static_cast<char*>(data));
}

// Which sides of a copy are on the device; a pointer that is neither allocation is the host's.
bool fits_kind(const void* to, size_t to_bytes, const void* from, size_t from_bytes,
               cudaMemcpyKind kind) {
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind == cudaMemcpyDefault || kind == cudaMemcpyHostToHost) return true;
  return is_device_memory(to, to_bytes) == to_device &&
         is_device_memory(from, from_bytes) == from_device;
}

}  // namespace

bool is_device_memory(const void* data, size_t bytes) {
  Allocations& all = allocations();
  const std::lock_guard lock(all.mutex);
  return lies_in(all.bytes, data, bytes);
}

void set_device_memory(size_t bytes) {
  Allocations& all = allocations();
  const std::lock_guard lock(all.mutex);
  all.total = bytes;
}

}  // namespace cuda_on_cpu

using namespace cuda_on_cpu;

cudaError_t cudaMalloc(void** data, size_t bytes) {
  *data = nullptr;
  if (is_any_captured()) return returned(cudaErrorStreamCaptureUnsupported);
  if (bytes == 0) return cudaSuccess;
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  cudaMemGetInfo(&free_bytes, &total_bytes);
  if (bytes > free_bytes || posix_memalign(data, 256, bytes + kGuardBytes) != 0) {
    *data = nullptr;
    return returned(cudaErrorMemoryAllocation);
  }
  std::memset(*data, 0xff, bytes);
  std::memset(static_cast<char*>(*data) + bytes, kGuard, kGuardBytes);
  Allocations& all = allocations();
  const std::lock_guard lock(all.mutex);
  all.bytes[static_cast<char*>(*data)] = bytes;
  all.allocated += bytes;
  return cudaSuccess;
}

cudaError_t cudaFree(void* data) {
  if (data == nullptr) return cudaSuccess;
  if (is_any_captured()) return returned(cudaErrorStreamCaptureUnsupported);
  cudaDeviceSynchronize();
  Allocations& all = allocations();
  const std::lock_guard lock(all.mutex);
  const auto found = all.bytes.find(static_cast<char*>(data));
  if (found == all.bytes.end()) return returned(cudaErrorInvalidValue);
  const auto* guard = static_cast<const unsigned char*>(data) + found->second;
  for (size_t i = 0; i < kGuardBytes; ++i) {
    require(guard[i] == kGuard, "device memory was written beyond its end");
  }
  std::memset(data, 0xff, found->second);
  all.allocated -= found->second;
  all.bytes.erase(found);
  std::free(data);
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** data, size_t bytes) {
  if (is_any_captured()) return returned(cudaErrorStreamCaptureUnsupported);
  if (posix_memalign(data, 4096, bytes == 0 ? 1 : bytes) != 0) {
    return returned(cudaErrorMemoryAllocation);
  }
  return cudaHostRegister(*data, bytes, cudaHostRegisterDefault);
}
cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned) {
  return cudaMallocHost(data, bytes);
}
cudaError_t cudaFreeHost(void* data) {
  cudaDeviceSynchronize();
  forget_pinned(data);
  std::free(data);
  return cudaSuccess;
}

// As on most systems: read-only memory cannot be pinned.
cudaError_t cudaHostRegister(void* data, size_t bytes, unsigned flags) {
  if (is_any_captured()) return returned(cudaErrorStreamCaptureUnsupported);
  if ((flags & cudaHostRegisterReadOnly) != 0) return returned(cudaErrorInvalidValue);
  if (!is_writable(data)) return returned(cudaErrorInvalidValue);
  Allocations& all = allocations();
  const std::lock_guard lock(all.mutex);
  return all.pinned.emplace(static_cast<char*>(data), bytes).second
             ? cudaSuccess
             : returned(cudaErrorHostMemoryAlreadyRegistered);
}
cudaError_t cudaHostUnregister(void* data) {
  cudaDeviceSynchronize();
  Allocations& all = allocations();
  const std::lock_guard lock(all.mutex);
  return all.pinned.erase(static_cast<char*>(data)) == 1
             ? cudaSuccess
             : returned(cudaErrorHostMemoryNotRegistered);
}
cudaError_t cudaHostGetDevicePointer(void** on_device, void* data, unsigned) {
  Allocations& all = allocations();
  const std::lock_guard lock(all.mutex);
  if (!all.pinned.contains(static_cast<char*>(data))) return returned(cudaErrorHostMemoryNotRegistered);
  *on_device = data;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  Allocations& all = allocations();
  const std::lock_guard lock(all.mutex);
  *free = all.total > all.allocated ? all.total - all.allocated : 0;
  *total = all.total;
  return cudaSuccess;
}

cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch,
                              size_t width, size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
  if (width > to_pitch || width > from_pitch) return returned(cudaErrorInvalidValue);
  if (width == 0 || height == 0) return cudaSuccess;
  const size_t to_bytes = to_pitch * (height - 1) + width;
  const size_t from_bytes = from_pitch * (height - 1) + width;
  if (!fits_kind(to, to_bytes, from, from_bytes, kind)) return returned(cudaErrorInvalidValue);
  std::shared_ptr<std::vector<char>> staged;
  if (is_pageable(from) && !is_captured(stream)) {
    const auto* bytes = static_cast<const char*>(from);
    staged = std::make_shared<std::vector<char>>(bytes, bytes + from_bytes);
    from = staged->data();
  }
  const cudaError_t error = enqueue(stream, [=, kept = staged] {
    for (size_t row = 0; row < height; ++row) {
      std::memcpy(static_cast<char*>(to) + row * to_pitch,
                  static_cast<const char*>(from) + row * from_pitch, width);
    }
  });
  if (error != cudaSuccess) return returned(error);
  return is_pageable(to) && !is_captured(stream) ? cudaStreamSynchronize(stream) : cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return cudaMemcpy2DAsync(to, bytes, from, bytes, bytes, 1, kind, stream);
}

cudaError_t cudaMemsetAsync(void* data, int value, size_t bytes, cudaStream_t stream) {
  if (bytes > 0 && !is_device_memory(data, bytes)) return returned(cudaErrorInvalidValue);
  return returned(enqueue(stream, [=] {
    if (bytes > 0) std::memset(data, value, bytes);
  }));
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  const cudaError_t error = cudaMemcpyAsync(to, from, bytes, kind, nullptr);
  return error != cudaSuccess ? error : cudaStreamSynchronize(nullptr);
}
cudaError_t cudaMemset(void* data, int value, size_t bytes) {
  const cudaError_t error = cudaMemsetAsync(data, value, bytes, nullptr);
  return error != cudaSuccess ? error : cudaStreamSynchronize(nullptr);
}
