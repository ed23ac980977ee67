// rope_table and qkv: per-head norms, rotation, and the write of K and V into their pages.
#include <cmath>
#include <cstring>

#include "kernels/cpu/bf16.h"
#include "kernels/cpu/cpu_backend.h"

namespace lapidary::cpu {
namespace {

// K [head_dim] into lane `offset` of a page of its head (see CpuBackend::kv_pages).
void write_key(const float* k, int head_dim, DType dtype, int offset, void* page) {
  if (dtype == DType::f32) {
    auto* out = static_cast<float*>(page) + offset;
    for (int d = 0; d < head_dim; ++d) out[d * kPageSize] = k[d];
    return;
  }
  auto* out = static_cast<uint32_t*>(page) + offset;
  for (int d = 0; d < head_dim; d += 2) {
    const uint32_t high = float_to_bf16(k[d + 1]);
    out[d / 2 * kPageSize] = (high << 16) | float_to_bf16(k[d]);
  }
}

void write_value(const float* v, int head_dim, DType dtype, int offset, void* page) {
  if (dtype == DType::f32) {
    std::memcpy(static_cast<float*>(page) + offset * head_dim, v,
                static_cast<size_t>(head_dim) * 4);
    return;
  }
  auto* out = static_cast<uint16_t*>(page) + offset * head_dim;
  for (int d = 0; d < head_dim; ++d) out[d] = float_to_bf16(v[d]);
}

// Where a head's part of a page begins.
void* head_page(const Tensor& pages, int64_t page, int64_t head) {
  const int64_t elements = pages.dim(2) * pages.dim(3);
  return static_cast<char*>(pages.data) +
         (page * pages.dim(1) + head) * elements * static_cast<int64_t>(dtype_bytes(pages.dtype));
}

void check_shapes(const QkvArgs& args, int64_t n) {
  const int64_t d = args.head_dim;
  const bool writes = !args.k_pages.empty();
  const int64_t kv = writes ? (args.k_eq_v ? 1 : 2) * args.n_kv_heads : 0;
  const int64_t angles = args.rope.dim(2);
  expect_shape(args.qkv, DType::f32, {n, (args.n_heads + kv) * d});
  expect_shape(args.q_norm, DType::f32, {d});
  expect_shape(args.rope, DType::f32, {n, 2, angles});
  expect_shape(args.q, DType::f32, {n, args.n_heads * d});
  CHECK(d % kLanes == 0 && angles <= d / 2);
  if (!writes) return;
  expect_shape(args.k_norm, DType::f32, {d});
  expect_shape(args.slots, DType::i32, {n});
  const int64_t pages = args.k_pages.dim(0);
  expect_shape(args.k_pages, args.k_pages.dtype, {pages, args.n_kv_heads, kPageSize, d});
  expect_shape(args.v_pages, args.k_pages.dtype, {pages, args.n_kv_heads, kPageSize, d});
  for (int64_t i = 0; i < n; ++i) {
    const int32_t slot = args.slots.as<int32_t>()[i];
    CHECK(slot >= 0 && slot < pages * kPageSize);
  }
}

}  // namespace

void CpuBackend::rope_table(const RopeTableArgs& args) {
  const int64_t n = args.positions.dim(0);
  const int64_t angles = args.inv_freq.dim(0);
  expect_shape(args.positions, DType::i32, {n});
  expect_shape(args.inv_freq, DType::f32, {angles});
  expect_shape(args.out, DType::f32, {n, 2, angles});
  const auto* positions = args.positions.as<int32_t>();
  const auto* inv_freq = args.inv_freq.as<float>();
  pool_.run_ranges(n, 40 * angles, [&](int, int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      float* cos_row = args.out.as<float>() + t * 2 * angles;
      for (int64_t i = 0; i < angles; ++i) {
        // The one rounding that the model was trained with; sine and cosine of that are exact.
        const float angle = static_cast<float>(positions[t]) * inv_freq[i];
        cos_row[i] = static_cast<float>(std::cos(static_cast<double>(angle)));
        cos_row[angles + i] = static_cast<float>(std::sin(static_cast<double>(angle)));
      }
    }
  });
}

void CpuBackend::qkv(const QkvArgs& args) {
  const int64_t n = args.qkv.dim(0);
  check_shapes(args, n);
  const int64_t d = args.head_dim;
  const int64_t angles = args.rope.dim(2);
  const int64_t row_size = args.qkv.dim(1);
  const int kv_heads = args.k_pages.empty() ? 0 : args.n_kv_heads;
  const int heads = args.n_heads + kv_heads;
  for (Scratch& scratch : of_thread_) scratch.reserve<float>(static_cast<size_t>(d));
  pool_.run_ranges(n * heads, d / 3, [&](int thread, int64_t begin, int64_t end) {
    auto* buffer = of_thread_[thread].reserve<float>(static_cast<size_t>(d));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t t = i / heads;
      const int64_t head = i % heads;
      const float* raw = args.qkv.as<float>() + t * row_size + head * d;
      const float* rope = args.rope.as<float>() + t * 2 * angles;
      if (head < args.n_heads) {
        float* q = args.q.as<float>() + (t * args.n_heads + head) * d;
        kernels_.rms_norm(raw, args.q_norm.as<float>(), args.eps, d, q);
        kernels_.rope(q, rope, angles, d);
        continue;
      }
      const int64_t kv_head = head - args.n_heads;
      const int32_t slot = args.slots.as<int32_t>()[t];
      const int offset = slot % kPageSize;
      kernels_.rms_norm(raw, args.k_norm.as<float>(), args.eps, d, buffer);
      kernels_.rope(buffer, rope, angles, d);
      write_key(buffer, args.head_dim, args.k_pages.dtype, offset,
                head_page(args.k_pages, slot / kPageSize, kv_head));
      const float* raw_v = args.k_eq_v ? raw : raw + args.n_kv_heads * d;
      kernels_.rms_norm(raw_v, nullptr, args.eps, d, buffer);
      write_value(buffer, args.head_dim, args.v_pages.dtype, offset,
                  head_page(args.v_pages, slot / kPageSize, kv_head));
    }
  });
}

}  // namespace lapidary::cpu
