// Streams, graphs, events, memory and the limits of a launch.
#include <cmath>

#include "tests/cuda/kernel_launch.h"

namespace cuda_on_cpu {
namespace {

using lapidary::DeviceArray;
using lapidary::try_launch;

__global__ void add_kernel(int* value, int amount) { *value += amount; }
__global__ void double_kernel(int* value) { *value *= 2; }
__global__ void idle_kernel() {}
__global__ void last_byte_kernel(size_t bytes, int* out) {
  auto* shared = static_cast<unsigned char*>(dynamic_shared());
  shared[bytes - 1] = 1;
  *out = reinterpret_cast<uintptr_t>(shared) % 128 == 0 ? shared[bytes - 1] : -1;
}

class StreamOfTest {
 public:
  StreamOfTest() { REQUIRE(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking) == cudaSuccess); }
  ~StreamOfTest() { cudaStreamDestroy(stream_); }
  StreamOfTest(const StreamOfTest&) = delete;
  StreamOfTest& operator=(const StreamOfTest&) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

cudaError_t launch_idle(dim3 grid, dim3 block, size_t shared_bytes = 0) {
  return try_launch(idle_kernel, grid, block, shared_bytes, nullptr);
}

}  // namespace

TEST_CASE("a captured graph does nothing until it is launched, and then each time", "[cuda]") {
  const StreamOfTest stream;
  DeviceArray<int> value(std::vector<int>{5});
  int seen = 0;
  REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  CHECK(cudaMemsetAsync(value.data(), 0, 4, stream) == cudaSuccess);
  CHECK(try_launch(add_kernel, 1, 1, 0, stream, value.data(), 3) == cudaSuccess);
  CHECK(try_launch(double_kernel, 1, 1, 0, stream, value.data()) == cudaSuccess);
  CHECK(cudaMemcpyAsync(&seen, value.data(), 4, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
  cudaGraph_t graph = nullptr;
  REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
  CHECK(value.host()[0] == 5);
  cudaGraphExec_t exec = nullptr;
  REQUIRE(cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess);
  CHECK(cudaGraphDestroy(graph) == cudaSuccess);
  for (int i = 0; i < 3; ++i) {
    seen = -1;
    REQUIRE(cudaGraphLaunch(exec, stream) == cudaSuccess);
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(seen == 6);
  }
  CHECK(cudaGraphExecDestroy(exec) == cudaSuccess);
}

TEST_CASE("a second stream is captured along if it is joined again", "[cuda]") {
  const StreamOfTest first, second;
  DeviceArray<int> a(std::vector<int>{1}), b(std::vector<int>{1});
  cudaEvent_t fork = nullptr, join = nullptr;
  cudaEventCreateWithFlags(&fork, cudaEventDisableTiming);
  cudaEventCreateWithFlags(&join, cudaEventDisableTiming);
  for (const bool joins : {true, false}) {
    REQUIRE(cudaStreamBeginCapture(first, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    CHECK(cudaEventRecord(fork, first) == cudaSuccess);
    CHECK(cudaStreamWaitEvent(second, fork) == cudaSuccess);
    CHECK(try_launch(add_kernel, 1, 1, 0, second, b.data(), 1) == cudaSuccess);
    CHECK(try_launch(add_kernel, 1, 1, 0, first, a.data(), 1) == cudaSuccess);
    CHECK(cudaEventRecord(join, second) == cudaSuccess);
    if (joins) CHECK(cudaStreamWaitEvent(first, join) == cudaSuccess);
    cudaGraph_t graph = nullptr;
    CHECK(cudaStreamEndCapture(first, &graph) ==
          (joins ? cudaSuccess : cudaErrorStreamCaptureUnjoined));
    if (!joins) break;
    cudaGraphExec_t exec = nullptr;
    REQUIRE(cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess);
    CHECK(cudaGraphLaunch(exec, first) == cudaSuccess);
    CHECK(cudaStreamSynchronize(first) == cudaSuccess);
    CHECK(a.host()[0] == 2);
    CHECK(b.host()[0] == 2);
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
  }
  cudaEventDestroy(fork);
  cudaEventDestroy(join);
}

TEST_CASE("capturing refuses what would wait or allocate", "[cuda]") {
  const StreamOfTest stream;
  REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  void* memory = nullptr;
  CHECK(cudaMalloc(&memory, 8) == cudaErrorStreamCaptureUnsupported);
  CHECK(cudaStreamSynchronize(stream) == cudaErrorStreamCaptureUnsupported);
  CHECK(cudaDeviceSynchronize() == cudaErrorStreamCaptureUnsupported);
  CHECK(launch_idle(1, 1) == cudaErrorStreamCaptureImplicit);  // the default stream
  cudaGraph_t graph = nullptr;
  CHECK(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
  cudaGraphDestroy(graph);
  CHECK(cudaGetLastError() == cudaErrorStreamCaptureImplicit);
  CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("launches beyond the device's limits are refused", "[cuda]") {
  CHECK(launch_idle(1, 1024) == cudaSuccess);
  CHECK(launch_idle(1, 1025) == cudaErrorInvalidConfiguration);
  CHECK(launch_idle(1, dim3(32, 33)) == cudaErrorInvalidConfiguration);
  CHECK(launch_idle(1, dim3(1, 1, 65)) == cudaErrorInvalidConfiguration);
  CHECK(launch_idle(0, 32) == cudaErrorInvalidConfiguration);
  CHECK(launch_idle(dim3(1, 65536), 32) == cudaErrorInvalidConfiguration);
  CHECK(launch_idle(dim3(1, 1, 65536), 32) == cudaErrorInvalidConfiguration);
  CHECK(cudaGetLastError() == cudaErrorInvalidConfiguration);
}

TEST_CASE("shared memory beyond 48 KiB must have been asked for", "[cuda]") {
  constexpr size_t kMost = 227 * 1024;
  DeviceArray<int> out(1);
  const auto with = [&](size_t bytes) {
    return try_launch(last_byte_kernel, 1, 1, bytes, nullptr, bytes, out.data());
  };
  CHECK(with(48 * 1024) == cudaSuccess);
  CHECK(with(48 * 1024 + 1) == cudaErrorInvalidValue);
  const auto ask = [](size_t bytes) {
    return cudaFuncSetAttribute(last_byte_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                static_cast<int>(bytes));
  };
  CHECK(ask(kMost + 1) == cudaErrorInvalidValue);
  CHECK(ask(100000) == cudaSuccess);
  CHECK(with(100001) == cudaErrorInvalidValue);
  CHECK(with(100000) == cudaSuccess);
  CHECK(ask(kMost) == cudaSuccess);
  CHECK(with(kMost) == cudaSuccess);
  CHECK(out.host()[0] == 1);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
}

TEST_CASE("device memory is aligned, NaN at first, and copies stay inside it", "[cuda]") {
  float* data = nullptr;
  REQUIRE(cudaMalloc(&data, 12) == cudaSuccess);
  CHECK(reinterpret_cast<uintptr_t>(data) % 256 == 0);
  float host[4] = {};
  CHECK(cudaMemcpy(host, data, 12, cudaMemcpyDeviceToHost) == cudaSuccess);
  CHECK(std::isnan(host[0]));
  CHECK(std::isnan(host[2]));
  CHECK(cudaMemcpy(host, data, 16, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(data + 1, host, 8, cudaMemcpyHostToDevice) == cudaSuccess);
  CHECK(cudaMemcpy(data + 1, host, 12, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(host, host + 2, 8, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(data, data + 1, 8, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  CHECK(cudaMemset(data, 0, 13) == cudaErrorInvalidValue);
  CHECK(cudaMemset(data, 0, 12) == cudaSuccess);
  CHECK(cudaFree(data) == cudaSuccess);
  CHECK(cudaFree(host) == cudaErrorInvalidValue);
  CHECK(cudaFree(nullptr) == cudaSuccess);
  void* too_much = nullptr;
  CHECK(cudaMalloc(&too_much, size_t{1} << 62) == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation);
}

TEST_CASE("late work of a stream waits for the host or for an event", "[cuda]") {
  cuda_on_cpu::set_schedule({.late_work = true});
  {
    const StreamOfTest stream, other;
    DeviceArray<int> value(std::vector<int>{1});
    int* seen = nullptr;  // page-locked
    REQUIRE(cudaMallocHost(&seen, sizeof(int)) == cudaSuccess);
    *seen = -1;
    cudaEvent_t added = nullptr;
    cudaEventCreateWithFlags(&added, cudaEventDisableTiming);
    CHECK(try_launch(add_kernel, 1, 1, 0, stream, value.data(), 4) == cudaSuccess);
    CHECK(cudaEventRecord(added, stream) == cudaSuccess);
    CHECK(try_launch(double_kernel, 1, 1, 0, stream, value.data()) == cudaSuccess);
    CHECK(value.host()[0] == 1);  // the default stream does not wait for this one
    CHECK(cudaStreamWaitEvent(other, added) == cudaSuccess);
    CHECK(cudaMemcpyAsync(seen, value.data(), 4, cudaMemcpyDeviceToHost, other) == cudaSuccess);
    CHECK(*seen == -1);
    CHECK(cudaEventQuery(added) == cudaErrorNotReady);
    CHECK(cudaStreamSynchronize(other) == cudaSuccess);
    CHECK(*seen == 5);
    CHECK(cudaStreamQuery(stream) == cudaSuccess);  // asked long enough
    CHECK(value.host()[0] == 10);
    cudaEventDestroy(added);
    cudaFreeHost(seen);
  }
  cuda_on_cpu::set_schedule({});
}

TEST_CASE("pageable memory is read and written before a copy returns, locked memory later",
          "[cuda]") {
  cuda_on_cpu::set_schedule({.late_work = true});
  {
    const StreamOfTest stream;
    DeviceArray<int> value(1);
    int pageable = 1;
    int* locked = nullptr;
    REQUIRE(cudaMallocHost(&locked, sizeof(int)) == cudaSuccess);
    CHECK(cudaMemcpyAsync(value.data(), &pageable, 4, cudaMemcpyHostToDevice, stream) ==
          cudaSuccess);
    pageable = 2;
    int seen = 0;
    CHECK(cudaMemcpyAsync(&seen, value.data(), 4, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
    CHECK(seen == 1);
    *locked = 3;
    CHECK(cudaMemcpyAsync(value.data(), locked, 4, cudaMemcpyHostToDevice, stream) == cudaSuccess);
    *locked = 4;  // too early
    CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(value.host()[0] == 4);
    cudaFreeHost(locked);
  }
  cuda_on_cpu::set_schedule({});
}

TEST_CASE("two-dimensional copies skip the pitch", "[cuda]") {
  DeviceArray<int> data(std::vector<int>(12, 0));
  const std::vector<int> rows = {1, 2, 3, 4, 5, 6};
  CHECK(cudaMemcpy2DAsync(data.data(), 16, rows.data(), 8, 8, 3, cudaMemcpyHostToDevice) ==
        cudaSuccess);
  CHECK(data.host() == std::vector<int>{1, 2, 0, 0, 3, 4, 0, 0, 5, 6, 0, 0});
  CHECK(cudaMemcpy2DAsync(data.data(), 4, rows.data(), 8, 8, 3, cudaMemcpyHostToDevice) ==
        cudaErrorInvalidValue);
  cudaGetLastError();
}

}  // namespace cuda_on_cpu
