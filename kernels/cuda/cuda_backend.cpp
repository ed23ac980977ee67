#include "kernels/cuda/cuda_backend.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/hopper.h"
#include "kernels/cuda/pack.h"
#include "kernels/cuda/start.h"

namespace lapidary {

std::string why_no_cuda() { return cuda::why_unusable(); }

std::unique_ptr<Backend> make_cuda_backend(const BackendOptions& options) {
  try {
    return std::make_unique<cuda::CudaBackend>(options);
  } catch (const std::bad_alloc&) {
    cuda::require_start(cudaErrorMemoryAllocation, "the library's workspace");
    throw;
  }
}

namespace cuda {
namespace {

// Throws why this device or build cannot run the kernels for Hopper.
void check_hopper() {
  constexpr int kHopper = 9;  // major compute capability; later ones lack wgmma
  cudaDeviceProp device;
  CUDA_CHECK(cudaGetDeviceProperties(&device, 0));
  std::string reason;
  if (device.major != kHopper) {
    reason = std::string(device.name) + " has compute capability " + std::to_string(device.major) +
             "." + std::to_string(device.minor) + ", 9.0 is needed";
  } else if (!has_hopper_kernels()) {
    reason = "this build has no kernels for sm_90a";
  } else if (!has_tensor_maps()) {
    reason = "the driver knows no tensor maps";
  }
  if (reason.empty()) return;
  throw std::runtime_error("The hopper kernels cannot run here (" + reason +
                           "): use --cuda-path portable.");
}

// The number of multiprocessors of the first device; or throws why it cannot be used.
int open_device(const BackendOptions& options) {
  if (options.compute != DType::bf16) {
    throw std::runtime_error(
        std::string("The CUDA backend computes in bfloat16 alone: use --dtype bfloat16, or "
                    "--device cpu for ") +
        dtype_name(options.compute) + ".");
  }
  const std::string reason = why_unusable();
  if (!reason.empty()) {
    throw std::runtime_error("No GPU can be used (" + reason + "): use --device cpu.");
  }
  require_start(cudaSetDevice(0), "the device");
  if (options.cuda_path == CudaPath::hopper) check_hopper();
  require_start(cudaFree(nullptr), "the device");  // older runtimes open it no earlier
  int n = 0;
  require_start(cudaDeviceGetAttribute(&n, cudaDevAttrMultiProcessorCount, 0), "its properties");
  return n;
}

}  // namespace

void cuda_failed(const char* file, int line, const char* call, cudaError_t error) {
  std::fprintf(stderr, "%s:%d: CUDA: %s (%s)\n", file, line, cudaGetErrorString(error), call);
  std::fflush(stderr);
  std::_Exit(70);
}

CudaBackend::Stream::Stream() {
  require_start(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a stream");
}

CudaBackend::Stream::~Stream() { CUDA_CHECK(cudaStreamDestroy(stream)); }

CudaBackend::CudaBackend(const BackendOptions& options)
    : n_multiprocessors_(open_device(options)),
      path_(options.cuda_path),
      staging_(std::make_unique<Staging>(stream_)) {}

CudaBackend::~CudaBackend() { CUDA_CHECK(cudaStreamSynchronize(stream_)); }

std::string CudaBackend::description() const {
  cudaDeviceProp device;
  CUDA_CHECK(cudaGetDeviceProperties(&device, 0));
  char text[384];
  std::snprintf(text, sizeof(text),
                "%s, compute capability %d.%d, %d multiprocessors, %.1f GiB, bfloat16", device.name,
                device.major, device.minor, n_multiprocessors_,
                static_cast<double>(device.totalGlobalMem) / (1 << 30));
  return text;
}

int64_t CudaBackend::free_bytes() const {
  size_t free = 0;
  size_t total = 0;
  CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return static_cast<int64_t>(free);
}

int64_t CudaBackend::total_bytes() const {
  size_t free = 0;
  size_t total = 0;
  CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return static_cast<int64_t>(total);
}

Buffer CudaBackend::allocate(size_t bytes) {
  Buffer buffer = allocate_device(bytes);
  CUDA_CHECK(cudaMemsetAsync(buffer.data(), 0, bytes, stream_));
  return buffer;
}

void CudaBackend::upload(void* to, const void* from_host, size_t bytes) {
  for (size_t done = 0; done < bytes; done += Staging::kBytes) {
    const size_t part = std::min(bytes - done, Staging::kBytes);
    std::memcpy(staging_->fill(), static_cast<const char*>(from_host) + done, part);
    staging_->send(static_cast<char*>(to) + done, part);
  }
}

void CudaBackend::download(void* to_host, const void* from, size_t bytes) {
  CUDA_CHECK(cudaMemcpyAsync(to_host, from, bytes, cudaMemcpyDeviceToHost, stream_));
  CUDA_CHECK(cudaStreamSynchronize(stream_));
}

void CudaBackend::copy(void* to, const void* from, size_t bytes) {
  CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_));
}

Weight CudaBackend::pack(std::span<const HostMatrix> parts, WeightForm form) {
  return cuda::pack(parts, form, *staging_);
}

// A key's or value's row is contiguous: pages[page][head][offset][width].
Tensor CudaBackend::kv_pages(void* data, DType dtype, int64_t n_pages, int n_kv_heads,
                             int width) const {
  CHECK(dtype == DType::bf16 || dtype == DType::f8e4m3);
  CHECK(n_kv_heads > 0 && width > 0 && static_cast<size_t>(width) * dtype_bytes(dtype) % 16 == 0);
  return Tensor(data, dtype, {n_pages, n_kv_heads, kPageSize, width});
}

}  // namespace cuda
}  // namespace lapidary
