// The P16 layout: W[count][panels][K/g][16][g], g = 2 for bf16 and 1 for float32. A panel is 16
// output features; one 64-byte line of it holds g inputs of each. Features are padded to 16 and
// inputs to g with zeros. gate_up alternates panels: 16 features of gate, the same 16 of up.
#pragma once

#include <span>

#include "kernels/backend.h"
#include "kernels/cpu/thread_pool.h"

namespace lapidary::cpu {

constexpr int64_t div_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit; }

// Lines a panel of `w` has.
inline int64_t panel_steps(const Weight& w) {
  return w.dtype == DType::bf16 ? div_up(w.cols, 2) : w.cols;
}
inline int64_t n_panels(const Weight& w) {
  return w.form == WeightForm::gate_up ? 2 * div_up(w.rows / 2, 16) : div_up(w.rows, 16);
}
inline const char* matrix_of(const Weight& w, int64_t index) {
  return static_cast<const char*>(w.buffer.data()) + index * n_panels(w) * panel_steps(w) * 64;
}

// About the nanoseconds that one thread needs for `bytes` of packed weight and n_rows inputs:
// reading them, or computing with them.
inline int64_t multiply_cost(int64_t bytes, int64_t n_rows) {
  return bytes / 24 > bytes * n_rows / 64 ? bytes / 24 : bytes * n_rows / 64;
}

// See Backend::pack.
Weight pack(std::span<const HostMatrix> parts, WeightForm form, DType compute, ThreadPool& pool);

// Row `row` of matrix `index` back as float32 [cols], times scale.
void unpack_row(const Weight& w, int64_t index, int64_t row, float scale, float* out);

}  // namespace lapidary::cpu
