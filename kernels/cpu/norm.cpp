// rms_norm, add_norm, moe_combine: one row at a time.
#include "kernels/cpu/cpu_backend.h"

namespace lapidary::cpu {
namespace {

void check_next(const NextNorm& next, int64_t n, int64_t hidden) {
  if (next.out.empty()) return;
  expect_shape(next.weight, DType::f32, {hidden});
  expect_shape(next.out, DType::f32, {n, hidden});
}

}  // namespace

void CpuBackend::next_norm(const NextNorm& next, const float* h, float eps, int64_t row) const {
  if (next.out.empty()) return;
  const int64_t hidden = next.weight.dim(0);
  kernels_.rms_norm(h, next.weight.as<float>(), eps, hidden,
                    next.out.as<float>() + row * hidden);
}

void CpuBackend::rms_norm(const RmsNormArgs& args) {
  const int64_t n = args.x.dim(0);
  const int64_t hidden = args.x.dim(1);
  expect_shape(args.x, DType::f32, {n, hidden});
  expect_shape(args.weight, DType::f32, {hidden});
  expect_shape(args.out, DType::f32, {n, hidden});
  const auto* x = args.x.as<float>();
  auto* out = args.out.as<float>();
  pool_.run_ranges(n, hidden / 8, [&](int, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      kernels_.rms_norm(x + i * hidden, args.weight.as<float>(), args.eps, hidden,
                        out + i * hidden);
    }
  });
}

void CpuBackend::add_norm(const AddNormArgs& args) {
  const int64_t n = args.h.dim(0);
  const int64_t hidden = args.h.dim(1);
  expect_shape(args.h, DType::f32, {n, hidden});
  expect_shape(args.x, DType::f32, {n, hidden});
  expect_shape(args.weight, DType::f32, {hidden});
  check_next(args.next, n, hidden);
  check_next(args.next_2, n, hidden);
  auto* h = args.h.as<float>();
  const auto* x = args.x.as<float>();
  pool_.run_ranges(n, hidden / 3, [&](int, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* row = h + i * hidden;
      kernels_.add_norm(row, x + i * hidden, args.weight.as<float>(), args.eps, args.scale,
                        hidden);
      next_norm(args.next, row, args.eps, i);
      next_norm(args.next_2, row, args.eps, i);
    }
  });
}

void CpuBackend::moe_combine(const MoeCombineArgs& args) {
  const int64_t n = args.h.dim(0);
  const int64_t hidden = args.h.dim(1);
  expect_shape(args.h, DType::f32, {n, hidden});
  expect_shape(args.dense, DType::f32, {n, hidden});
  expect_shape(args.sparse, DType::f32, {n, hidden});
  expect_shape(args.dense_weight, DType::f32, {hidden});
  expect_shape(args.sparse_weight, DType::f32, {hidden});
  expect_shape(args.weight, DType::f32, {hidden});
  check_next(args.next, n, hidden);
  auto* h = args.h.as<float>();
  const auto* dense = args.dense.as<float>();
  const auto* sparse = args.sparse.as<float>();
  for (Scratch& scratch : of_thread_) scratch.reserve<float>(2 * static_cast<size_t>(hidden));
  pool_.run_ranges(n, hidden / 3, [&](int thread, int64_t begin, int64_t end) {
    auto* a = of_thread_[thread].reserve<float>(2 * static_cast<size_t>(hidden));
    float* b = a + hidden;
    for (int64_t i = begin; i < end; ++i) {
      kernels_.rms_norm(dense + i * hidden, args.dense_weight.as<float>(), args.eps, hidden, a);
      kernels_.rms_norm(sparse + i * hidden, args.sparse_weight.as<float>(), args.eps, hidden, b);
      kernels_.add(a, b, hidden, a);
      kernels_.add_norm(h + i * hidden, a, args.weight.as<float>(), args.eps, args.scale, hidden);
      next_norm(args.next, h + i * hidden, args.eps, i);
    }
  });
}

}  // namespace lapidary::cpu
