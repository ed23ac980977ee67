// add_embeddings, clip, pool_rows, widen: what towers and soft tokens need beside the
// decoder's verbs. Each reads and writes a row once; the loops are as fast as memory.
#include <algorithm>
#include <cstring>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/pack.h"

namespace lapidary::cpu {

void CpuBackend::add_embeddings(const AddEmbeddingsArgs& args) {
  const Weight& table = *args.table;
  const int64_t n = args.x.dim(0);
  const int64_t hidden = table.cols;
  const int64_t n_ids = args.ids.dim(1);
  CHECK(table.form == WeightForm::stacked && table.count == 1);
  expect_shape(args.x, DType::f32, {n, hidden});
  expect_shape(args.ids, DType::i32, {n, n_ids});
  expect_shape(args.out, DType::f32, {n, hidden});
  const auto* ids = args.ids.as<int32_t>();
  for (int64_t i = 0; i < n * n_ids; ++i) CHECK(ids[i] >= 0 && ids[i] < table.rows);
  for (Scratch& scratch : of_thread_) scratch.reserve<float>(static_cast<size_t>(hidden));
  pool_.run_ranges(n, 2 * n_ids * hidden, [&](int thread, int64_t begin, int64_t end) {
    auto* row = of_thread_[thread].reserve<float>(static_cast<size_t>(hidden));
    for (int64_t t = begin; t < end; ++t) {
      const float* x = args.x.as<float>() + t * hidden;
      float* out = args.out.as<float>() + t * hidden;
      std::copy_n(x, hidden, out);
      for (int64_t j = 0; j < n_ids; ++j) {
        unpack_row(table, 0, ids[t * n_ids + j], 1.0F, row);
        for (int64_t i = 0; i < hidden; ++i) out[i] += row[i];
      }
    }
  });
}

void CpuBackend::clip(const ClipArgs& args) {
  const int64_t n = args.x.dim(0);
  const int64_t width = args.x.dim(1);
  const int64_t out_width = args.out.dim(1);
  expect_shape(args.x, DType::f32, {n, width});
  expect_shape(args.out, DType::f32, {n, out_width});
  CHECK(args.low <= args.high && args.column >= 0 && args.column + width <= out_width);
  pool_.run_ranges(n, width, [&](int, int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* x = args.x.as<float>() + t * width;
      float* out = args.out.as<float>() + t * out_width + args.column;
      for (int64_t i = 0; i < width; ++i) out[i] = std::min(std::max(x[i], args.low), args.high);
    }
  });
}

void CpuBackend::pool_rows(const PoolRowsArgs& args) {
  const int64_t n = args.rows.dim(0);
  const int64_t n_pooled = args.rows.dim(1);
  const int64_t hidden = args.h.dim(1);
  CHECK(n_pooled > 0);
  expect_shape(args.h, DType::f32, {args.h.dim(0), hidden});
  expect_shape(args.rows, DType::i32, {n, n_pooled});
  expect_shape(args.out, DType::f32, {n, hidden});
  if (!args.shift.empty()) expect_shape(args.shift, DType::f32, {hidden});
  if (!args.factor.empty()) expect_shape(args.factor, DType::f32, {hidden});
  const auto* rows = args.rows.as<int32_t>();
  for (int64_t i = 0; i < n * n_pooled; ++i) CHECK(rows[i] >= 0 && rows[i] < args.h.dim(0));
  const float scale = args.scale / static_cast<float>(n_pooled);
  pool_.run_ranges(n, n_pooled * hidden, [&](int, int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      float* out = args.out.as<float>() + t * hidden;
      std::fill_n(out, hidden, 0.0F);
      for (int64_t j = 0; j < n_pooled; ++j) {
        const float* h = args.h.as<float>() + rows[t * n_pooled + j] * hidden;
        for (int64_t i = 0; i < hidden; ++i) out[i] += h[i];
      }
      for (int64_t i = 0; i < hidden; ++i) {
        const float shift = args.shift.empty() ? 0.0F : args.shift.as<float>()[i];
        const float factor = args.factor.empty() ? 1.0F : args.factor.as<float>()[i];
        out[i] = (out[i] * scale - shift) * factor;
      }
    }
  });
}

void CpuBackend::widen(const WidenArgs& args) {
  expect_shape(args.x, DType::f32, {args.x.dim(0), args.x.dim(1)});
  expect_shape(args.out, DType::f32, {args.x.dim(0), args.x.dim(1)});
  std::memcpy(args.out.data, args.x.data, args.x.bytes());
}

}  // namespace lapidary::cpu
