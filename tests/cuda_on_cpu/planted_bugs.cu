// Kernels with one bug each, of the kinds that kernels have. What the CPU's runtime must report at
// least under one schedule, and never of the same kernel without its bug: see planted_bugs.cpp.
#include "tests/cuda_on_cpu/planted_bugs.h"

#include <algorithm>
#include <numeric>

#include "kernels/cuda/ptx.cuh"

namespace planted {
namespace {

using namespace lapidary::cuda;

constexpr int kThreads = 96;

// Device memory of n elements: 1, 2, 3, ..
template <typename T>
class Counted {
 public:
  explicit Counted(int64_t n) : n_(n) {
    std::vector<T> values(static_cast<size_t>(n));
    std::iota(values.begin(), values.end(), T{1});
    CUDA_CHECK(cudaMalloc(&data, bytes()));
    CUDA_CHECK(cudaMemcpy(data, values.data(), bytes(), cudaMemcpyHostToDevice));
  }
  ~Counted() { free(); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

  void free() {
    if (data != nullptr) CUDA_CHECK(cudaFree(data));
    data = nullptr;
  }
  std::vector<T> host() const {
    std::vector<T> values(static_cast<size_t>(n_));
    CUDA_CHECK(cudaMemcpy(values.data(), data, bytes(), cudaMemcpyDeviceToHost));
    return values;
  }

  T* data = nullptr;

 private:
  size_t bytes() const { return static_cast<size_t>(n_) * sizeof(T); }
  int64_t n_;
};

std::vector<float> reversed_and(int n, float added) {
  std::vector<float> values;
  for (int i = 0; i < n; ++i) values.push_back(static_cast<float>(n - i) + added);
  return values;
}

// --- barriers and shared memory ---

enum class Exchange { right, no_barrier, no_second_barrier, shared_overrun, skipped_barrier };

// Twice to the mirror image and one more each time: back at the same place, plus two.
__global__ void exchange_kernel(Exchange bug, float* values) {
  __shared__ float cells[kThreads];
  float* shared = cells;  // whose length the compiler has forgotten
  const int i = static_cast<int>(threadIdx.x);
  float mine = values[i];
  for (int round = 0; round < 2; ++round) {
    const int place = bug == Exchange::shared_overrun ? i + 1 : i;
    shared[place] = mine;
    if (bug == Exchange::skipped_barrier && round == 1 && i == 17) return;
    if (bug != Exchange::no_barrier) __syncthreads();
    mine = shared[kThreads - 1 - i + place - i] + 1.0F;
    if (bug != Exchange::no_second_barrier) __syncthreads();
  }
  values[i] = mine;
}

bool exchange(Exchange bug) {
  Counted<float> values(kThreads);
  launch(exchange_kernel, {1, kThreads}, bug, values.data);
  const auto got = values.host();
  for (int i = 0; i < kThreads; ++i) {
    if (got[i] != static_cast<float>(i + 3)) return false;
  }
  return true;
}

// A sum in shared memory that somebody must have set to zero.
__global__ void count_kernel(bool zeroes, float* out) {
  __shared__ float sum;
  if (zeroes && threadIdx.x == 0) sum = 0.0F;
  __syncthreads();
  atomicAdd(&sum, 1.0F);
  __syncthreads();
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

bool count(bool zeroes) {
  Counted<float> out(3);
  launch(count_kernel, {3, kThreads}, zeroes, out.data);
  return out.host() == std::vector<float>(3, kThreads);
}

__global__ void dynamic_kernel(int n, int overrun, float* out) {
  DYNAMIC_SHARED(float, shared);
  const int i = static_cast<int>(threadIdx.x);
  shared[i + (i == n - 1 ? overrun : 0)] = static_cast<float>(i);
  __syncthreads();
  out[i] = shared[n - 1 - i - (i == 0 ? -overrun : 0)] + 1.0F;
}

bool dynamic(int overrun) {
  Counted<float> out(kThreads);
  launch(dynamic_kernel, {1, kThreads, kThreads * sizeof(float)}, kThreads, overrun, out.data);
  return out.host() == reversed_and(kThreads, 0.0F);
}

bool shared_bytes(size_t asked, size_t used) {
  if (asked > 0) {
    CUDA_CHECK(cudaFuncSetAttribute(dynamic_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(asked)));
  }
  Counted<float> out(kThreads);
  cudaLaunchConfig_t config{};
  config.gridDim = 1;
  config.blockDim = kThreads;
  config.dynamicSmemBytes = used;
  CUDA_CHECK(cudaLaunchKernelEx(&config, dynamic_kernel, kThreads, 0, out.data));
  return true;
}

constexpr size_t kKiB = 1024;

__global__ void both_kernel(float* out) {
  constexpr int kFixed = 8 * kKiB / sizeof(float);
  __shared__ float fixed[kFixed];
  DYNAMIC_SHARED(float, shared);
  fixed[threadIdx.x] = fixed[kFixed - 1 - threadIdx.x] = 1.0F;
  shared[threadIdx.x] = 1.0F;
  __syncthreads();
  out[threadIdx.x] = fixed[kThreads - 1 - threadIdx.x] + shared[threadIdx.x];
}

bool static_and_dynamic(bool too_much) {
  Counted<float> out(kThreads);
  launch(both_kernel, {1, kThreads, (too_much ? 41 : 40) * kKiB}, out.data);
  return out.host() == std::vector<float>(kThreads, 2.0F);
}

// --- warps ---

enum class Sum { right, lane_left_out, lane_gone, unnamed_source, no_syncwarp };

// The sum of a warp's values, to every lane.
__global__ void sum_kernel(Sum bug, float* values) {
  __shared__ float shared[kThreads];
  const int i = static_cast<int>(threadIdx.x);
  const int lane = i % kWarpSize;
  float mine = values[i];
  if (bug == Sum::lane_gone && i == 40) return;
  for (int step = 16; step > 0; step /= 2) {
    if (bug == Sum::lane_left_out && lane == 5 && step == 4) continue;
    const unsigned mask = bug == Sum::unnamed_source && lane < 16 ? 0xffffU : kAllLanes;
    mine += __shfl_xor_sync(mask, mine, step);
  }
  // Once around the warp through memory.
  shared[i] = mine;
  if (bug != Sum::no_syncwarp) __syncwarp();
  values[i] = shared[i - lane + (lane + 1) % kWarpSize];
}

bool sum(Sum bug) {
  Counted<float> values(kThreads);
  launch(sum_kernel, {1, kThreads}, bug, values.data);
  const auto got = values.host();
  for (int i = 0; i < kThreads; ++i) {
    const float expected = static_cast<float>(i / 32 * 32 * 32 + 528);
    if (got[i] != expected) return false;
  }
  return true;
}

// a . b with b the unit matrix; its fragment's two registers in their order or exchanged.
__global__ void mma_kernel(bool exchanged, float* out) {
  const int lane = static_cast<int>(threadIdx.x);
  const int g = lane / 4;
  const int t = lane % 4;
  const auto pair = [](int first, int second) {
    return uint32_t{__bfloat16_as_ushort(__float2bfloat16_rn(static_cast<float>(first)))} |
           uint32_t{__bfloat16_as_ushort(__float2bfloat16_rn(static_cast<float>(second)))} << 16;
  };
  const auto a_pair = [&](int row, int k) { return pair(row * 16 + k, row * 16 + k + 1); };
  const uint32_t a[4] = {a_pair(g, 2 * t), a_pair(g + 8, 2 * t), a_pair(g, 2 * t + 8),
                         a_pair(g + 8, 2 * t + 8)};
  const uint32_t low = pair(g == 2 * t ? 1 : 0, g == 2 * t + 1 ? 1 : 0);
  const uint32_t b[2] = {exchanged ? 0 : low, exchanged ? low : 0};
  float d[4] = {};
  mma_bf16(d, a, b);
  for (int i = 0; i < 4; ++i) out[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}

bool multiply(bool exchanged) {
  Counted<float> out(16 * 8);
  launch(mma_kernel, {1, 32}, exchanged, out.data);
  const auto got = out.host();
  for (int i = 0; i < 16 * 8; ++i) {
    if (got[i] != static_cast<float>(i / 8 * 16 + i % 8)) return false;
  }
  return true;
}

// --- asynchronous copies ---

enum class Pipe { right, no_wait, no_second_barrier, no_barrier, one_group_too_few };

// Two stages: while one is read, the next is copied into the other.
__global__ void pipe_kernel(Pipe bug, const float* in, int n_stages, float* out) {
  __shared__ __align__(16) float shared[2][4 * kThreads];
  const int i = static_cast<int>(threadIdx.x);
  const auto begin = [&](int stage) {
    if (stage < n_stages) async_copy16(&shared[stage % 2][4 * i], in + (stage * kThreads + i) * 4);
    async_commit();
  };
  begin(0);
  for (int stage = 0; stage < n_stages; ++stage) {
    begin(stage + 1);
    if (bug == Pipe::one_group_too_few) {
      async_wait<2>();
    } else if (bug != Pipe::no_wait) {
      async_wait<1>();
    }
    if (bug != Pipe::no_barrier) __syncthreads();
    const int other = kThreads - 1 - i;
    for (int k = 0; k < 4; ++k) {
      out[(stage * kThreads + other) * 4 + k] = shared[stage % 2][4 * other + k];
    }
    if (bug != Pipe::no_second_barrier) __syncthreads();
  }
}

bool pipe(Pipe bug) {
  constexpr int kStages = 5;
  Counted<float> in(kStages * kThreads * 4), out(kStages * kThreads * 4);
  CUDA_CHECK(cudaMemset(out.data, 0xff, kStages * kThreads * 4 * sizeof(float)));
  launch(pipe_kernel, {1, kThreads}, bug, in.data, kStages, out.data);
  return out.host() == in.host();
}

// --- global memory ---

__global__ void tally_kernel(bool is_atomic, float* sum) {
  if (is_atomic) {
    atomicAdd(sum, 1.0F);
  } else {
    *sum += 1.0F;
  }
}

bool tally(bool is_atomic) {
  Counted<float> sum(1);
  launch(tally_kernel, {1, kThreads}, is_atomic, sum.data);
  return sum.host()[0] == kThreads + 1.0F;
}

enum class Rows { right, last_left_out, read_beyond, write_beyond };

__global__ void rows_kernel(Rows bug, const float* in, int n, float* out) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const int end = bug == Rows::last_left_out ? n - 1 : bug == Rows::write_beyond ? n + 1 : n;
  if (i >= end) return;
  out[i] = in[bug == Rows::read_beyond ? i + 1 : bug == Rows::write_beyond ? 0 : i] + 1.0F;
}

bool rows(Rows bug) {
  constexpr int kRows = 200;
  Counted<float> in(kRows), out(kRows);
  CUDA_CHECK(cudaMemset(out.data, 0xff, kRows * sizeof(float)));
  launch(rows_kernel, {3, kThreads}, bug, in.data, kRows, out.data);
  const auto got = out.host();
  const auto source = in.host();
  // Where it reads and writes is what must be noticed, not the values.
  if (bug == Rows::read_beyond || bug == Rows::write_beyond) return true;
  for (int i = 0; i < kRows; ++i) {
    if (got[i] != source[i] + 1.0F) return false;
  }
  return true;
}

// The block that is taken to run last adds up what the others wrote.
__global__ void blocks_kernel(bool counts, const float* in, float* partial, unsigned* n_done,
                              float* total) {
  __shared__ bool is_last;
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = in[blockIdx.x];
    __threadfence();
    is_last = counts ? atomicInc(n_done, gridDim.x - 1) == gridDim.x - 1
                     : blockIdx.x == gridDim.x - 1;
  }
  __syncthreads();
  if (!is_last || threadIdx.x != 0) return;
  *total = 0.0F;
  for (unsigned b = 0; b < gridDim.x; ++b) *total += partial[b];
}

bool blocks(bool counts) {
  constexpr int kBlocks = 7;
  Counted<float> in(kBlocks), partial(kBlocks), total(1);
  Counted<unsigned> n_done(1);
  CUDA_CHECK(cudaMemset(n_done.data, 0, sizeof(unsigned)));
  CUDA_CHECK(cudaMemset(partial.data, 0xff, kBlocks * sizeof(float)));
  launch(blocks_kernel, {kBlocks, 32}, counts, in.data, partial.data, n_done.data, total.data);
  return total.host()[0] == 28.0F;
}

__global__ void load_kernel(int offset, bool streaming, const float* in, float* out) {
  const auto* from = reinterpret_cast<const Bits128*>(in + 4 * threadIdx.x + offset);
  const Bits128 bits = streaming ? load_streaming(from) : *from;
  for (int k = 0; k < 4; ++k) out[4 * threadIdx.x + k] = __uint_as_float(bits.word[k]);
}

bool load(int offset, bool streaming) {
  Counted<float> in(32 * 4 + 4), out(32 * 4);
  launch(load_kernel, {1, 32}, offset, streaming, in.data, out.data);
  return out.host()[5] == static_cast<float>(6 + offset);
}

__global__ void increment_kernel(float* value) { *value += 1.0F; }

bool freed(bool early) {
  Counted<float> value(1);
  float* data = value.data;
  if (early) value.free();
  launch(increment_kernel, {1, 1}, data);
  return early || value.host()[0] == 2.0F;
}

bool captured(bool waits) {
  Counted<float> value(1);
  cudaStream_t stream = nullptr;
  CUDA_CHECK(cudaStreamCreate(&stream));
  CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  launch(increment_kernel, {1, 1, 0, stream}, value.data);
  if (waits) CUDA_CHECK(cudaStreamSynchronize(stream));
  cudaGraph_t graph = nullptr;
  CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
  CUDA_CHECK(cudaGraphDestroy(graph));
  CUDA_CHECK(cudaStreamDestroy(stream));
  return value.host()[0] == 1.0F;
}

}  // namespace

std::vector<PlantedBug> planted_bugs() {
  using enum Needs;
  const auto of = [](auto function, auto right, auto bug) {
    return [=](bool planted) { return function(planted ? bug : right); };
  };
  return {
      {"barrier missing after writing shared memory", nothing,
       of(exchange, Exchange::right, Exchange::no_barrier)},
      {"barrier missing before shared memory is written anew", nothing,
       of(exchange, Exchange::right, Exchange::no_second_barrier)},
      {"one thread leaves before a barrier", nothing,
       of(exchange, Exchange::right, Exchange::skipped_barrier)},
      {"static shared memory overrun", address_sanitizer,
       of(exchange, Exchange::right, Exchange::shared_overrun)},
      {"dynamic shared memory overrun", nothing, of(dynamic, 0, 1)},
      {"shared memory not set to zero", nothing, of(count, true, false)},
      {"more than 48 KiB of shared memory, not asked for", nothing,
       [](bool planted) { return shared_bytes(0, (planted ? 49 : 48) * kKiB); }},
      {"more shared memory than a block can have", nothing,
       [](bool planted) { return shared_bytes((planted ? 228 : 227) * kKiB, 227 * kKiB); }},
      {"static and dynamic shared memory are too much together", nothing,
       of(static_and_dynamic, false, true)},
      {"a lane leaves out one shuffle", nothing, of(sum, Sum::right, Sum::lane_left_out)},
      {"a shuffle's mask names a lane that has exited", nothing,
       of(sum, Sum::right, Sum::lane_gone)},
      {"lanes give different masks", nothing, of(sum, Sum::right, Sum::unnamed_source)},
      {"syncwarp missing between lanes' memory", nothing, of(sum, Sum::right, Sum::no_syncwarp)},
      {"fragment registers exchanged", nothing, of(multiply, false, true)},
      {"asynchronous copies never waited for", nothing, of(pipe, Pipe::right, Pipe::no_wait)},
      {"asynchronous copies waited for one group too few", nothing,
       of(pipe, Pipe::right, Pipe::one_group_too_few)},
      {"barrier missing after an asynchronous copy", nothing,
       of(pipe, Pipe::right, Pipe::no_barrier)},
      {"barrier missing before a stage is copied anew", nothing,
       of(pipe, Pipe::right, Pipe::no_second_barrier)},
      {"output left unwritten", nothing, of(rows, Rows::right, Rows::last_left_out)},
      {"global memory read beyond its end", address_sanitizer,
       of(rows, Rows::right, Rows::read_beyond)},
      {"global memory written beyond its end", nothing,
       of(rows, Rows::right, Rows::write_beyond)},
      {"global memory used after it was freed", address_sanitizer, of(freed, false, true)},
      {"threads add to one place, not atomically", thread_sanitizer, of(tally, true, false)},
      {"blocks taken to run in order", nothing, of(blocks, true, false)},
      {"16 bytes streamed from a misaligned address", nothing,
       [](bool planted) { return load(planted ? 1 : 0, true); }},
      {"16 bytes read from a misaligned address", undefined_sanitizer,
       [](bool planted) { return load(planted ? 1 : 0, false); }},
      {"waiting for the device while its work is recorded", nothing, of(captured, false, true)},
  };
}

}  // namespace planted
