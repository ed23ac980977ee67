// linear, geglu_linear, logits, and the multiplication they share.
#include <algorithm>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/pack.h"

namespace lapidary::cpu {
namespace {

int64_t round_up(int64_t n, int64_t unit) { return div_up(n, unit) * unit; }

}  // namespace

Product CpuBackend::product_of(const Weight& w) const {
  if (w.dtype == DType::f32) return Product::f32_f32;
  return compute_ == DType::bf16 ? Product::bf16_bf16 : Product::bf16_f32;
}

int64_t CpuBackend::prepared_bytes(int64_t cols, Product product) const {
  // One line more than needed keeps rows of a power of two off the same cache sets.
  return round_up(round_up(cols, kLanes) * input_bytes(product), 64) + 64;
}

const void* const* CpuBackend::prepare_rows(const float* x, int64_t n, int64_t cols,
                                            Product product) {
  auto* rows = row_pointers_.reserve<const void*>(static_cast<size_t>(n));
  if (product != Product::bf16_bf16 && cols % 2 == 0) {
    for (int64_t i = 0; i < n; ++i) rows[i] = x + i * cols;
    return rows;
  }
  const int64_t stride = prepared_bytes(cols, product);
  auto* out = prepared_.reserve<char>(static_cast<size_t>(n * stride));
  pool_.run_ranges(n, cols / 16, [&](int, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      char* row = out + i * stride;
      rows[i] = row;
      if (product == Product::bf16_bf16) {
        kernels_.prepare(x + i * cols, cols, row);
      } else {
        std::copy_n(x + i * cols, cols, reinterpret_cast<float*>(row));
        reinterpret_cast<float*>(row)[cols] = 0;
      }
    }
  });
  return rows;
}

CpuBackend::Cut CpuBackend::cut(int64_t n_panels, int64_t n_rows, bool pair) const {
  const int64_t enough = 4 * n_threads();
  const int64_t smallest = pair ? 2 : 1;
  Cut c{};
  c.group = std::max<int64_t>(kernels_.tile_lines, smallest);
  if (c.group < 4) c.group = 4;
  while (c.group > smallest && div_up(n_panels, c.group) < enough) c.group /= 2;
  c.n_groups = div_up(n_panels, c.group);
  // Few panels and many rows: share the rows out as well, by whole tiles.
  c.n_row_blocks = std::min(div_up(enough, c.n_groups), div_up(n_rows, 8 * kernels_.tile_rows));
  c.rows = round_up(div_up(n_rows, c.n_row_blocks), kernels_.tile_rows);
  c.n_row_blocks = div_up(n_rows, c.rows);
  return c;
}

void CpuBackend::multiply(const Multiplication& m) {
  const Weight& w = *m.weight;
  const bool geglu = w.form == WeightForm::gate_up;
  const auto kernel = geglu ? kernels_.geglu[static_cast<int>(m.product)]
                            : kernels_.multiply[static_cast<int>(m.product)];
  const int64_t panels = n_panels(w);
  const int64_t steps = panel_steps(w);
  const Cut c = cut(panels, m.n_rows, geglu);
  const int64_t pieces = c.n_groups * c.n_row_blocks;
  const auto panels_of = [&](int64_t i) {
    return matrix_of(w, 0) + i / c.n_row_blocks * c.group * steps * 64;
  };
  const auto piece = [&](int64_t i, bool is_last) {
    const int64_t panel = i / c.n_row_blocks * c.group;
    const int64_t row = i % c.n_row_blocks * c.rows;
    const int64_t column = (geglu ? panel / 2 : panel) * kLanes;
    PanelJob job{};
    job.rows = m.rows + row;
    job.n_rows = std::min(c.rows, m.n_rows - row);
    job.panels = panels_of(i);
    job.next = is_last ? nullptr : panels_of(i + 1);
    job.n_panels = std::min(c.group, panels - panel);
    job.n_steps = steps;
    float* out = m.out + row * m.n_cols + column;
    job.out = out;
    job.out_stride = m.n_cols * 4;
    job.n_cols = m.n_cols - column;
    kernel(job);
    if (m.cap <= 0) return;
    const int64_t width = std::min(job.n_panels * kLanes, job.n_cols);
    for (int64_t r = 0; r < job.n_rows; ++r) kernels_.soft_cap(out + r * m.n_cols, width, m.cap);
  };
  const int64_t cost = multiply_cost(c.group * steps * 64, std::min(c.rows, m.n_rows));
  pool_.run_ranges(pieces, cost, [&](int, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) piece(i, i + 1 == end);
  });
}

void CpuBackend::multiply_all(const Tensor& x, const Weight& w, WeightForm form, float cap,
                              const Tensor& out) {
  const int64_t n = x.dim(0);
  const int64_t n_cols = form == WeightForm::gate_up ? w.rows / 2 : w.rows;
  CHECK(w.form == form && w.count == 1);
  expect_shape(x, DType::f32, {n, w.cols});
  expect_shape(out, DType::f32, {n, n_cols});
  if (n == 0) return;
  const Product product = product_of(w);
  multiply({.rows = prepare_rows(x.as<float>(), n, w.cols, product),
            .n_rows = n,
            .weight = &w,
            .product = product,
            .out = out.as<float>(),
            .n_cols = n_cols,
            .cap = cap});
}

void CpuBackend::linear(const LinearArgs& args) {
  multiply_all(args.x, *args.weight, WeightForm::stacked, 0, args.out);
}

void CpuBackend::geglu_linear(const GegluLinearArgs& args) {
  multiply_all(args.x, *args.weight, WeightForm::gate_up, 0, args.out);
}

void CpuBackend::logits(const LogitsArgs& args) {
  multiply_all(args.x, *args.table, WeightForm::stacked, args.cap, args.out);
}

}  // namespace lapidary::cpu
