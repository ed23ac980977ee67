// linear, geglu_linear and logits. Up to 16 rows of x: one launch of few_rows.cuh's strips, weights
// read once at the speed of memory. More rows: one dense product (gemm.h), and what it cannot end
// with (GeGLU, the soft cap) as one more pass over its float32 sums.
//
// Few rows: one block of 8 warps a strip of 16 weight rows, K shared out between the warps, 64 KiB
// of weights under way a block, so one block already covers the latency of memory (about 30 KiB a
// multiprocessor) and two fit. x is read by each block through L1: n / 16 of the weights' bytes.
// 26B at 4.3 TB/s, by arithmetic: qkv 8192 x 2816 (512 blocks) 10.7 us, global 9216 x 2816 12.1 us,
// attention output 2816 x 4096 (176 blocks, of which a multiprocessor holds two at once) 5.4 us,
// 2816 x 8192 10.7 us, dense gate and up 4224 x 2816 (264 blocks) 5.5 us, down 2816 x 2112 2.8 us,
// lm_head 262144 x 2816 (16384 blocks) 343 us. A launch and one trip to memory come on top.
//
// Many rows: 8192 x 2816 -> 4224 is 195 GFLOP, 247 us at 790 TFLOP/s. Its sums go out by at most
// 2048 rows at a time (35 MB), so that the pass that pairs gate and up finds them in L2 instead of
// moving 2 x 138 MB. The cap of [256, 262144] logits reads and writes 268 MB once more, 125 us.
#include <algorithm>

#include "kernels/check.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/few_rows.cuh"
#include "kernels/cuda/pack.h"
#include "kernels/cuda_memory.h"

namespace lapidary::cuda {
namespace {

constexpr int kMaxFewRows = 16;

// What becomes of a sum.
enum class Finish : uint8_t { plain, soft_cap, geglu };

struct FewRows {
  const void* x;       // [n, cols]
  const bf16* weight;  // [rows, cols]; geglu: gate and up of 8 outputs in turn
  void* out;           // [n, n_out]
  int n, n_out, rows, cols;
  float cap;
};

__device__ __forceinline__ float soft_capped(float x, float cap) {
  return cap == 0.0F ? x : cap * tanhf(x / cap);
}

// One block a strip of 16 weight rows.
template <int kTiles, Finish finish, typename X, typename Out>
__global__ __launch_bounds__(kStripThreads, 2) void few_rows_kernel(FewRows m) {
  __shared__ float kept[kStripWarps][kTiles][kStripSums];
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int group = static_cast<int>(threadIdx.x) % kWarpSize / 4;
  const int64_t first_row = int64_t{blockIdx.x} * kStripRows;

  const X* tokens[kTiles];
  float sums[kTiles][4] = {};
  for (int i = 0; i < kTiles; ++i) {
    const int token = min(i * kStripTokens + group, m.n - 1);
    tokens[i] = static_cast<const X*>(m.x) + int64_t{token} * m.cols;
  }
  strip_product(sums, strip_rows(m.weight, first_row, m.rows, m.cols), tokens, warp, kStripWarps,
                m.cols);
  after_previous_grid();  // warps without a step have not yet
  for (int i = 0; i < kTiles; ++i) keep_sums(kept[warp][i], sums[i]);
  __syncthreads();

  constexpr int kOutputs = finish == Finish::geglu ? kStripRows / 2 : kStripRows;
  const int tile = static_cast<int>(threadIdx.x) / (kOutputs * kStripTokens);
  const int token = static_cast<int>(threadIdx.x) / kOutputs % kStripTokens;
  const int output = static_cast<int>(threadIdx.x) % kOutputs;
  const int64_t column = int64_t{blockIdx.x} * kOutputs + output;
  const int64_t row = tile * kStripTokens + token;
  if (tile >= kTiles || row >= m.n || column >= m.n_out) return;
  const auto sum_of = [&](int strip_row) {
    return strip_sum(kept[0][tile], strip_row, token, kStripWarps, kTiles * kStripSums);
  };
  float y = sum_of(output);
  if constexpr (finish == Finish::geglu) y = gelu_tanh(y) * sum_of(output + 8);
  if constexpr (finish == Finish::soft_cap) y = soft_capped(y, m.cap);
  static_cast<Out*>(m.out)[row * m.n_out + column] = from_float<Out>(y);
}

template <Finish finish, typename X, typename Out>
void launch_few_rows(const FewRows& m, bool overlaps, cudaStream_t stream) {
  const LaunchShape shape{.grid = static_cast<unsigned>(div_up(m.rows, kStripRows)),
                          .block = kStripThreads,
                          .stream = stream,
                          .overlaps = overlaps};
  if (m.n <= kStripTokens) {
    launch(few_rows_kernel<1, finish, X, Out>, shape, m);
  } else {
    launch(few_rows_kernel<2, finish, X, Out>, shape, m);
  }
}

// --- many rows ---

__global__ __launch_bounds__(256) void to_bf16_kernel(const float* x, bf16* out, int64_t n) {
  const int64_t at = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * 8;
  if (at < n) store8(out + at, load8(x + at));
}

// Eight outputs a thread from sums [n, n_groups, 2, 8]: gate and up.
__global__ __launch_bounds__(256) void pair_kernel(const float* sums, bf16* out, int64_t n,
                                                   int n_groups, int n_out) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t row = i / n_groups;
  const int column = static_cast<int>(i % n_groups) * 8;
  if (row >= n) return;
  Float8 y = load8(sums + 16 * i);
  const Float8 up = load8(sums + 16 * i + 8);
  for (int k = 0; k < 8; ++k) y.v[k] = gelu_tanh(y.v[k]) * up.v[k];
  bf16* to = out + row * n_out + column;
  if (n_out % 8 == 0) {
    store8(to, y);
    return;
  }
  for (int k = 0; k < min(8, n_out - column); ++k) to[k] = from_float<bf16>(y.v[k]);
}

__global__ __launch_bounds__(256) void soft_cap_kernel(float* x, int64_t n, float cap) {
  const int64_t at = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * 8;
  if (at + 8 <= n) {
    Float8 values = load8(x + at);
    for (float& v : values.v) v = soft_capped(v, cap);
    store8(x + at, values);
  } else {
    for (int64_t i = at; i < n; ++i) x[i] = soft_capped(x[i], cap);
  }
}

template <typename... Parameters, typename... Arguments>
void launch_over(void (*kernel)(Parameters...), int64_t n_threads, cudaStream_t stream,
                 Arguments... arguments) {
  launch(kernel,
         {.grid = static_cast<unsigned>(div_up(n_threads, 256)), .block = 256, .stream = stream},
         arguments...);
}

FewRows few_rows(const Tensor& x, const Weight& w, const Tensor& out, float cap = 0.0F) {
  return {.x = x.data,
          .weight = static_cast<const bf16*>(w.buffer.data()),
          .out = out.data,
          .n = static_cast<int>(x.dim(0)),
          .n_out = static_cast<int>(out.dim(1)),
          .rows = static_cast<int>(stored_rows(w.form, w.rows)),
          .cols = static_cast<int>(w.cols),
          .cap = cap};
}

void check_weight(const Weight& w, WeightForm form) {
  CHECK(w.form == form && w.dtype == DType::bf16 && w.count == 1 && w.cols % 8 == 0);
}

}  // namespace

void CudaBackend::linear(const LinearArgs& args) {
  const Weight& w = *args.weight;
  const int64_t n = args.x.dim(0);
  const bool is_wide = args.x.dtype == DType::f32;
  check_weight(w, WeightForm::stacked);
  expect_shape(args.x, is_wide ? DType::f32 : DType::bf16, {n, w.cols});
  expect_shape(args.out, DType::bf16, {n, w.rows});
  if (n == 0) return;
  if (n <= kMaxFewRows) {
    const FewRows m = few_rows(args.x, w, args.out);
    if (is_wide) {
      launch_few_rows<Finish::plain, float, bf16>(m, is_hopper(), stream_);
    } else {
      launch_few_rows<Finish::plain, bf16, bf16>(m, is_hopper(), stream_);
    }
    return;
  }
  const auto* x = static_cast<const bf16*>(args.x.data);
  if (is_wide) {
    workspace_.clear();
    auto* rounded = workspace_.take<bf16>(n * w.cols);
    launch_over(to_bf16_kernel, n * w.cols / 8, stream_, args.x.as<float>(), rounded, n * w.cols);
    x = rounded;
  }
  gemm_.run({.x = x,
             .weight = static_cast<const bf16*>(w.buffer.data()),
             .out = args.out.data,
             .out_dtype = DType::bf16,
             .n = n,
             .rows = w.rows,
             .cols = w.cols},
            stream_);
}

void CudaBackend::geglu_linear(const GegluLinearArgs& args) {
  const Weight& w = *args.weight;
  const int64_t n = args.x.dim(0);
  const int64_t n_out = w.rows / 2;
  check_weight(w, WeightForm::gate_up);
  expect_shape(args.x, DType::bf16, {n, w.cols});
  expect_shape(args.out, DType::bf16, {n, n_out});
  if (n == 0) return;
  const FewRows m = few_rows(args.x, w, args.out);
  if (n <= kMaxFewRows) return launch_few_rows<Finish::geglu, bf16, bf16>(m, is_hopper(), stream_);
  workspace_.clear();
  auto* sums = workspace_.take<float>(std::min(n, kPairedRows) * m.rows);
  for (int64_t begin = 0; begin < n; begin += kPairedRows) {
    const int64_t n_rows = std::min(n - begin, kPairedRows);
    gemm_.run({.x = args.x.as<bf16>() + begin * w.cols,
               .weight = m.weight,
               .out = sums,
               .out_dtype = DType::f32,
               .n = n_rows,
               .rows = m.rows,
               .cols = w.cols},
              stream_);
    launch_over(pair_kernel, n_rows * m.rows / 16, stream_, sums,
                args.out.as<bf16>() + begin * n_out, n_rows, m.rows / 16, n_out);
  }
}

void CudaBackend::logits(const LogitsArgs& args) {
  const Weight& w = *args.table;
  const int64_t n = args.x.dim(0);
  check_weight(w, WeightForm::stacked);
  expect_shape(args.x, DType::bf16, {n, w.cols});
  expect_shape(args.out, DType::f32, {n, w.rows});
  if (n == 0) return;
  const FewRows m = few_rows(args.x, w, args.out, args.cap);
  if (n <= kMaxFewRows) {
    return launch_few_rows<Finish::soft_cap, bf16, float>(m, is_hopper(), stream_);
  }
  gemm_.run({.x = args.x.as<bf16>(),
             .weight = m.weight,
             .out = args.out.data,
             .out_dtype = DType::f32,
             .n = n,
             .rows = w.rows,
             .cols = w.cols},
            stream_);
  if (args.cap == 0.0F) return;
  launch_over(soft_cap_kernel, div_up(n * w.rows, 8), stream_, args.out.as<float>(), n * w.rows,
              args.cap);
}

}  // namespace lapidary::cuda
