// Per-layer embeddings (E2B, E4B): the inputs of all layers at once, and one layer's gate.
#include <cmath>

#include "kernels/cpu/bf16.h"
#include "kernels/cpu/cpu_backend.h"

namespace lapidary::cpu {

void CpuBackend::ple_inputs(const PleInputsArgs& args) {
  const int64_t n = args.ids.dim(0);
  const int64_t dim = args.norm.dim(0);
  const int64_t width = args.table.cols;
  CHECK(dim > 0 && width % dim == 0 && args.table.count == 1);
  expect_shape(args.ids, DType::i32, {n});
  expect_shape(args.projected, DType::f32, {n, width});
  expect_shape(args.norm, DType::f32, {dim});
  expect_shape(args.out, DType::f32, {n, width});
  const auto* ids = args.ids.as<int32_t>();
  for (int64_t t = 0; t < n; ++t) CHECK(ids[t] >= 0 && ids[t] < args.table.rows);
  const float half = std::sqrt(0.5F);
  for (Scratch& scratch : of_thread_) scratch.reserve<float>(static_cast<size_t>(dim));
  pool_.run_ranges(n, width, [&](int thread, int64_t begin, int64_t end) {
    auto* slice = of_thread_[thread].reserve<float>(static_cast<size_t>(dim));
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t from = 0; from < width; from += dim) {
        const float* projected = args.projected.as<float>() + t * width + from;
        float* out = args.out.as<float>() + t * width + from;
        for (int64_t i = 0; i < dim; ++i) slice[i] = projected[i] * args.proj_scale;
        kernels_.rms_norm(slice, args.norm.as<float>(), args.eps, dim, slice);
        for (int64_t i = 0; i < dim; ++i) {
          const float entry =
              read_float(args.table.data, args.table.dtype, ids[t] * width + from + i);
          out[i] = (slice[i] + entry * args.table_scale) * half;
        }
      }
    }
  });
}

void CpuBackend::ple_gate(const PleGateArgs& args) {
  const int64_t n = args.gate.dim(0);
  const int64_t dim = args.gate.dim(1);
  const int64_t width = args.ple.dim(1);
  expect_shape(args.gate, DType::f32, {n, dim});
  expect_shape(args.ple, DType::f32, {n, width});
  expect_shape(args.out, DType::f32, {n, dim});
  CHECK(args.layer >= 0 && (args.layer + 1) * dim <= width);
  const auto* gate = args.gate.as<float>();
  const auto* ple = args.ple.as<float>() + args.layer * dim;
  auto* out = args.out.as<float>();
  pool_.run_ranges(n, dim, [&](int, int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      kernels_.gelu_mul(gate + t * dim, ple + t * width, dim, out + t * dim);
    }
  });
}

}  // namespace lapidary::cpu
