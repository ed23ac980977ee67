// Reads and writes single elements of the CPU backend's KV pages (layout: kernels/README.md), so
// that attention and qkv can each be tested without the other.
#pragma once

#include "kernels/backend.h"
#include "kernels/cpu/bf16.h"

namespace lapidary {

inline int64_t key_index(const Tensor& pages, int64_t page, int64_t head, int64_t slot, int64_t d) {
  const int64_t head_dim = pages.dim(3);
  const int64_t g = pages.dtype == DType::bf16 ? 2 : 1;
  const int64_t start = (page * pages.dim(1) + head) * kPageSize * head_dim;
  return start + (d / g * kPageSize + slot) * g + d % g;
}

inline int64_t value_index(const Tensor& pages, int64_t page, int64_t head, int64_t slot,
                           int64_t d) {
  return ((page * pages.dim(1) + head) * kPageSize + slot) * pages.dim(3) + d;
}

inline float page_element(const Tensor& pages, int64_t index) {
  if (pages.dtype == DType::f32) return pages.as<float>()[index];
  return cpu::bf16_to_float(pages.as<uint16_t>()[index]);
}

inline void set_page_element(const Tensor& pages, int64_t index, float x) {
  if (pages.dtype == DType::f32) {
    pages.as<float>()[index] = x;
  } else {
    pages.as<uint16_t>()[index] = cpu::float_to_bf16(x);
  }
}

}  // namespace lapidary
