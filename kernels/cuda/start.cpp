#include "kernels/cuda/start.h"

#include <fstream>
#include <stdexcept>
#include <string>

#include "kernels/cuda/cuda_backend.h"

namespace lapidary::cuda {
namespace {

constexpr int kOldestArchitecture = 8;  // the first with bf16 tensor cores and cp.async

// 13000 is 13.0.
std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string why_no_count(cudaError_t error) {
  int built = 0;
  int driver = 0;
  cudaRuntimeGetVersion(&built);
  cudaDriverGetVersion(&driver);
  if (error == cudaErrorNoDevice) return "no NVIDIA GPU is visible";
  if (error == cudaErrorInsufficientDriver && driver == 0) return "the NVIDIA driver is missing";
  if (error == cudaErrorInsufficientDriver) {
    return "the NVIDIA driver is for CUDA " + version_text(driver) + ", this build needs " +
           version_text(built);
  }
  return std::string("CUDA says: ") + cudaGetErrorString(error);
}

}  // namespace

std::string why_unusable() {
  int n = 0;
  const cudaError_t error = cudaGetDeviceCount(&n);
  if (error != cudaSuccess) {
    cudaGetLastError();  // it is dealt with here
    return why_no_count(error);
  }
  if (n == 0) return "no NVIDIA GPU is visible";
  cudaDeviceProp device;
  if (cudaGetDeviceProperties(&device, 0) != cudaSuccess) {
    return std::string("CUDA says: ") + cudaGetErrorString(cudaGetLastError());
  }
  if (device.major >= kOldestArchitecture) return "";
  return std::string(device.name) + " has compute capability " + std::to_string(device.major) +
         "." + std::to_string(device.minor) + ", 8.0 is needed";
}

DeviceFacts CudaBackend::facts() const {
  DeviceFacts facts;
  cudaDeviceProp device;
  CUDA_CHECK(cudaGetDeviceProperties(&device, 0));
  int clock_khz = 0;
  int memory_khz = 0;
  int runtime = 0;
  int driver = 0;
  CUDA_CHECK(cudaDeviceGetAttribute(&clock_khz, cudaDevAttrClockRate, 0));
  CUDA_CHECK(cudaDeviceGetAttribute(&memory_khz, cudaDevAttrMemoryClockRate, 0));
  CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
  CUDA_CHECK(cudaDriverGetVersion(&driver));
  facts.name = device.name;
  facts.runtime = version_text(runtime);
  // The driver's own number stands in a file of its kernel module; its CUDA version is known
  // anyway.
  std::ifstream file("/proc/driver/nvidia/version");
  std::getline(file, facts.driver);
  facts.driver += (facts.driver.empty() ? "CUDA " : ", CUDA ") + version_text(driver);
  facts.clock_mhz = clock_khz / 1000;
  facts.memory_mhz = memory_khz / 1000;
  facts.cache_bytes = device.l2CacheSize;
  return facts;
}

void require_start(cudaError_t error, const char* wanted) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // it is dealt with here
  if (error == cudaErrorMemoryAllocation) {
    throw std::runtime_error(std::string("The GPU's memory is full (while asking for ") + wanted +
                             "): end what holds it, which nvidia-smi lists, or use --device cpu.");
  }
  if (error == cudaErrorDevicesUnavailable) {
    throw std::runtime_error(
        "The GPU is held by another process: end it (nvidia-smi lists it), or use --device cpu.");
  }
  throw std::runtime_error(std::string("The GPU cannot be started: ") + cudaGetErrorString(error) +
                           " (while asking for " + wanted +
                           "); see what nvidia-smi says, or use --device cpu.");
}

}  // namespace lapidary::cuda
