// The invented device: its properties and the launch of a kernel.
#include <cstdio>
#include <map>

#include "tests/cuda_on_cpu/block.h"
#include "tests/cuda_on_cpu/runtime_state.h"
#include "tests/cuda_on_cpu/static_shared.h"

namespace cuda_on_cpu {
namespace {

constexpr size_t kSharedBytes = 48 * 1024;         // of a block that has not asked for more
constexpr int kMultiprocessors = 4;

size_t shared_bytes_opt_in = 227 * 1024;

Start start;

cudaError_t last_error = cudaSuccess;

std::map<const void*, size_t>& shared_bytes_asked_for() {
  static std::map<const void*, size_t> bytes;
  return bytes;
}

bool fits_device(const cudaLaunchConfig_t& config) {
  const dim3 grid = config.gridDim;
  const dim3 block = config.blockDim;
  const bool grid_fits = grid.x > 0 && grid.x <= 0x7fffffffU && grid.y > 0 && grid.y <= 65535 &&
                         grid.z > 0 && grid.z <= 65535;
  const bool block_fits = block.x > 0 && block.y > 0 && block.z > 0 && block.x <= 1024 &&
                          block.y <= 1024 && block.z <= 64 &&
                          uint64_t{block.x} * block.y * block.z <= 1024;
  return grid_fits && block_fits;
}

}  // namespace

void set_shared_opt_in(size_t bytes) { shared_bytes_opt_in = bytes; }
void set_start(const Start& as) { start = as; }

cudaError_t returned(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

cudaError_t set_attribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || static_cast<size_t>(value) > shared_bytes_opt_in) {
    return returned(cudaErrorInvalidValue);
  }
  shared_bytes_asked_for()[kernel] = static_cast<size_t>(value);
  return cudaSuccess;
}

cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel,
                   std::function<void()> thread) {
  if (!fits_device(config)) return returned(cudaErrorInvalidConfiguration);
  const auto asked = shared_bytes_asked_for().find(kernel);
  const size_t limit = asked == shared_bytes_asked_for().end()
                           ? kSharedBytes
                           : std::max(kSharedBytes, asked->second);
  if (config.dynamicSmemBytes > limit) return returned(cudaErrorInvalidValue);
  bool overlaps = false;
  for (unsigned i = 0; i < config.numAttrs; ++i) {
    const cudaLaunchAttribute& attribute = config.attrs[i];
    if (attribute.id != cudaLaunchAttributeProgrammaticStreamSerialization) {
      return returned(cudaErrorInvalidValue);
    }
    overlaps = attribute.val.programmaticStreamSerializationAllowed != 0;
  }
  const size_t sum_limit =
      asked == shared_bytes_asked_for().end() ? kSharedBytes : shared_bytes_opt_in;
  const auto run = [config, sum_limit, thread = std::move(thread)] {
    run_grid(config.gridDim, config.blockDim, config.dynamicSmemBytes, thread);
    require(static_shared_used() + config.dynamicSmemBytes <= sum_limit,
            "static and dynamic shared memory together are more than a block may have");
  };
  return returned(enqueue_grid(config.stream, run, overlaps));
}

}  // namespace cuda_on_cpu

using namespace cuda_on_cpu;

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorInsufficientDriver: return "CUDA driver version is insufficient";
    case cudaErrorDevicesUnavailable: return "all CUDA devices are busy or unavailable";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidResourceHandle: return "invalid resource handle";
    case cudaErrorNotReady: return "device not ready";
    case cudaErrorHostMemoryAlreadyRegistered: return "host memory is already registered";
    case cudaErrorHostMemoryNotRegistered: return "host memory is not registered";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted while a stream is captured";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
    case cudaErrorStreamCaptureUnjoined: return "capturing stream has unjoined work";
    case cudaErrorStreamCaptureImplicit: return "dependency on uncaptured work in another stream";
  }
  return "unrecognized error code";
}

const char* cudaGetErrorName(cudaError_t error) { return cudaGetErrorString(error); }

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }

cudaError_t cudaGetDeviceCount(int* n) {
  *n = start.count == cudaSuccess ? 1 : 0;
  return returned(start.count);
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  return returned(device == 0 ? start.open : cudaErrorInvalidDevice);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return returned(cudaErrorInvalidDevice);
  *properties = {};
  std::snprintf(properties->name, sizeof(properties->name), "CUDA on the CPU");
  size_t free_bytes = 0;
  cudaMemGetInfo(&free_bytes, &properties->totalGlobalMem);
  properties->sharedMemPerBlock = kSharedBytes;
  properties->sharedMemPerBlockOptin = shared_bytes_opt_in;
  properties->multiProcessorCount = kMultiprocessors;
  properties->major = start.major;
  properties->minor = 0;
  properties->l2CacheSize = 1 << 20;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties;
  const cudaError_t error = cudaGetDeviceProperties(&properties, device);
  if (error != cudaSuccess) return error;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock: *value = properties.maxThreadsPerBlock; break;
    case cudaDevAttrClockRate:
    case cudaDevAttrMemoryClockRate: *value = 1000 * 1000; break;
    case cudaDevAttrHostRegisterReadOnlySupported: *value = 0; break;
    case cudaDevAttrMultiProcessorCount: *value = properties.multiProcessorCount; break;
    case cudaDevAttrL2CacheSize: *value = properties.l2CacheSize; break;
    case cudaDevAttrComputeCapabilityMajor: *value = properties.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = properties.minor; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(properties.sharedMemPerBlockOptin);
      break;
  }
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = start.driver;
  return cudaSuccess;
}
