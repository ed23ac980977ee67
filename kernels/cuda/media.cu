// add_embeddings, clip, pool_rows, widen: what towers and soft tokens need beside the
// decoder's verbs. One launch each, a thread for each element that is written; nothing is shared
// between threads.
//
// Bytes, by arithmetic at 4.3 TB/s (large tower, hidden 1152, 2376 patches of an image at 280 soft
// tokens): add_embeddings 2 + 2 * 2 + 4 a column, 27 MB or 6 us; clip 4 a column; pool_rows reads
// the residual stream once, 11 MB or 3 us; widen 6 a column of 264 rows, under 1 us.
#include "kernels/check.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/lanes.cuh"
#include "kernels/cuda/thread_each.cuh"

namespace lapidary::cuda {
namespace {

// A thread: an element.
__global__ void add_embeddings_kernel(const bf16* x, const int32_t* ids, const bf16* table,
                                      int64_t n, int64_t n_ids, int64_t hidden, float* out) {
  const int64_t i = thread_of_grid();
  if (i >= n * hidden) return;
  const int64_t row = i / hidden;
  const int64_t column = i % hidden;
  float sum = to_float(x[i]);
  for (int64_t j = 0; j < n_ids; ++j) {
    sum += to_float(table[int64_t{ids[row * n_ids + j]} * hidden + column]);
  }
  out[i] = sum;
}

// A thread: an element; x and out may be the same.
__global__ void clip_kernel(const bf16* x, float low, float high, int64_t n, int64_t width,
                            int64_t out_width, bf16* out) {
  const int64_t i = thread_of_grid();
  if (i >= n * width) return;
  const float value = fminf(fmaxf(to_float(x[i]), low), high);
  out[i / width * out_width + i % width] = from_float<bf16>(value);
}

struct PoolRows {
  const float* h;
  const int32_t* rows;  // [n, n_pooled]
  float scale;          // divided by n_pooled
  const float *shift, *factor;
  int64_t n, n_pooled, hidden;
  float* out;
};

// A thread: a column of a pooled row.
__global__ void pool_rows_kernel(PoolRows in) {
  const int64_t i = thread_of_grid();
  if (i >= in.n * in.hidden) return;
  const int64_t row = i / in.hidden;
  const int64_t column = i % in.hidden;
  float sum = 0.0F;
  for (int64_t j = 0; j < in.n_pooled; ++j) {
    sum += in.h[int64_t{in.rows[row * in.n_pooled + j]} * in.hidden + column];
  }
  const float shift = in.shift == nullptr ? 0.0F : in.shift[column];
  const float factor = in.factor == nullptr ? 1.0F : in.factor[column];
  in.out[i] = (sum * in.scale - shift) * factor;
}

// A thread: an element.
__global__ void widen_kernel(const bf16* x, int64_t n, float* out) {
  const int64_t i = thread_of_grid();
  if (i < n) out[i] = to_float(x[i]);
}

}  // namespace

void CudaBackend::add_embeddings(const AddEmbeddingsArgs& args) {
  const Weight& table = *args.table;
  const int64_t n = args.x.dim(0);
  const int64_t hidden = table.cols;
  const int64_t n_ids = args.ids.dim(1);
  CHECK(table.form == WeightForm::stacked && table.count == 1 && table.dtype == DType::bf16);
  expect_shape(args.x, DType::bf16, {n, hidden});
  expect_shape(args.ids, DType::i32, {n, n_ids});
  expect_shape(args.out, DType::f32, {n, hidden});
  if (n == 0) return;
  launch(add_embeddings_kernel, a_thread_each(n * hidden, stream_), args.x.as<bf16>(),
         args.ids.as<int32_t>(), static_cast<const bf16*>(table.buffer.data()), n, n_ids, hidden,
         args.out.as<float>());
}

void CudaBackend::clip(const ClipArgs& args) {
  const int64_t n = args.x.dim(0);
  const int64_t width = args.x.dim(1);
  const int64_t out_width = args.out.dim(1);
  expect_shape(args.x, DType::bf16, {n, width});
  expect_shape(args.out, DType::bf16, {n, out_width});
  CHECK(args.low <= args.high && args.column >= 0 && args.column + width <= out_width);
  if (n == 0) return;
  launch(clip_kernel, a_thread_each(n * width, stream_), args.x.as<bf16>(), args.low, args.high, n,
         width, out_width, args.out.as<bf16>() + args.column);
}

void CudaBackend::pool_rows(const PoolRowsArgs& args) {
  const int64_t n = args.rows.dim(0);
  const int64_t n_pooled = args.rows.dim(1);
  const int64_t hidden = args.h.dim(1);
  CHECK(n_pooled > 0);
  expect_shape(args.h, DType::f32, {args.h.dim(0), hidden});
  expect_shape(args.rows, DType::i32, {n, n_pooled});
  expect_shape(args.out, DType::f32, {n, hidden});
  if (!args.shift.empty()) expect_shape(args.shift, DType::f32, {hidden});
  if (!args.factor.empty()) expect_shape(args.factor, DType::f32, {hidden});
  if (n == 0) return;
  launch(pool_rows_kernel, a_thread_each(n * hidden, stream_),
         PoolRows{.h = args.h.as<float>(),
                  .rows = args.rows.as<int32_t>(),
                  .scale = args.scale / static_cast<float>(n_pooled),
                  .shift = args.shift.as<float>(),
                  .factor = args.factor.as<float>(),
                  .n = n,
                  .n_pooled = n_pooled,
                  .hidden = hidden,
                  .out = args.out.as<float>()});
}

void CudaBackend::widen(const WidenArgs& args) {
  expect_shape(args.x, DType::bf16, {args.x.dim(0), args.x.dim(1)});
  expect_shape(args.out, DType::f32, {args.x.dim(0), args.x.dim(1)});
  const int64_t n = args.x.count();
  if (n == 0) return;
  launch(widen_kernel, a_thread_each(n, stream_), args.x.as<bf16>(), n, args.out.as<float>());
}

}  // namespace lapidary::cuda
