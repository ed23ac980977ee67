#include "kernels/cpu/pack.h"

#include <algorithm>
#include <array>

#include "kernels/cpu/bf16.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/memory.h"

namespace lapidary::cpu {
namespace {

// Where the 16 rows of one panel come from; null rows are padding.
struct PanelSource {
  std::array<const char*, kLanes> rows{};
  std::array<DType, kLanes> dtype{};

  PanelSource() { dtype.fill(DType::bf16); }
};

// Row `row` of `parts` laid after one another, of matrix `index`.
void set_row(PanelSource& source, int lane, std::span<const HostMatrix> parts, int64_t index,
             int64_t row) {
  for (const HostMatrix& part : parts) {
    if (row >= part.rows) {
      row -= part.rows;
      continue;
    }
    const int64_t element = (part.count > 1 ? index * part.count_stride : 0) + row * part.cols;
    source.rows[lane] = static_cast<const char*>(part.data) +
                        element * static_cast<int64_t>(dtype_bytes(part.dtype));
    source.dtype[lane] = part.dtype;
    return;
  }
}

PanelSource panel_source(std::span<const HostMatrix> parts, WeightForm form, int64_t index,
                         int64_t panel) {
  PanelSource source;
  if (form == WeightForm::gate_up) {
    parts = parts.subspan(panel % 2, 1);
    panel /= 2;
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    set_row(source, lane, parts, index, panel * kLanes + lane);
  }
  return source;
}

// 32-bit words of bf16 pairs: the transpose of 16 rows, a few words at a time so that what is
// written stays in the first cache.
void pack_bf16_panel(const PanelSource& source, int64_t cols, uint32_t* out) {
  constexpr int64_t kBlock = 32;
  const int64_t pairs = cols / 2;
  for (int64_t k = 0; k < pairs; k += kBlock) {
    const int64_t n = std::min(kBlock, pairs - k);
    for (int lane = 0; lane < kLanes; ++lane) {
      if (source.rows[lane] == nullptr) continue;
      uint32_t words[kBlock];
      std::memcpy(words, source.rows[lane] + k * 4, static_cast<size_t>(n) * 4);
      for (int64_t i = 0; i < n; ++i) out[(k + i) * kLanes + lane] = words[i];
    }
  }
  if (cols % 2 == 0) return;
  for (int lane = 0; lane < kLanes; ++lane) {
    if (source.rows[lane] == nullptr) continue;
    uint16_t last;
    std::memcpy(&last, source.rows[lane] + (cols - 1) * 2, 2);
    out[pairs * kLanes + lane] = last;
  }
}

void pack_panel(const PanelSource& source, DType to, int64_t cols, void* out) {
  const bool all_bf16 = std::all_of(source.dtype.begin(), source.dtype.end(),
                                    [](DType t) { return t == DType::bf16; });
  for (int lane = 0; lane < kLanes; ++lane) {
    if (to == DType::bf16 && all_bf16) break;
    if (source.rows[lane] == nullptr) continue;
    for (int64_t k = 0; k < cols; ++k) {
      const float x = read_float(source.rows[lane], source.dtype[lane], k);
      if (to == DType::f32) {
        static_cast<float*>(out)[k * kLanes + lane] = x;
      } else {
        static_cast<uint16_t*>(out)[(k / 2 * kLanes + lane) * 2 + k % 2] = float_to_bf16(x);
      }
    }
  }
  if (to == DType::bf16 && all_bf16) pack_bf16_panel(source, cols, static_cast<uint32_t*>(out));
}

void check_parts(std::span<const HostMatrix> parts, WeightForm form) {
  CHECK(!parts.empty());
  for (const HostMatrix& part : parts) {
    CHECK(part.cols == parts[0].cols && part.count == parts[0].count && part.rows > 0);
    CHECK(part.dtype == DType::bf16 || part.dtype == DType::f16 || part.dtype == DType::f32);
  }
  if (form == WeightForm::gate_up) CHECK(parts.size() == 2 && parts[0].rows == parts[1].rows);
}

}  // namespace

Weight pack(std::span<const HostMatrix> parts, WeightForm form, DType compute, ThreadPool& pool) {
  check_parts(parts, form);
  Weight w;
  w.form = form;
  w.cols = parts[0].cols;
  w.count = parts[0].count;
  bool all_bf16 = true;
  for (const HostMatrix& part : parts) {
    w.rows += part.rows;
    all_bf16 = all_bf16 && part.dtype == DType::bf16;
  }
  w.dtype = all_bf16 || compute == DType::bf16 ? DType::bf16 : DType::f32;
  const int64_t panels = n_panels(w);
  const int64_t bytes = panel_steps(w) * 64;
  w.buffer = allocate_zeroed(static_cast<size_t>(w.count * panels * bytes));
  auto* out = static_cast<char*>(w.buffer.data());
  pool.run_ranges(w.count * panels, bytes, [&](int, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      pack_panel(panel_source(parts, form, i / panels, i % panels), w.dtype, w.cols,
                 out + i * bytes);
    }
  });
  return w;
}

void unpack_row(const Weight& w, int64_t index, int64_t row, float scale, float* out) {
  int64_t panel = row / kLanes;
  int64_t lane = row % kLanes;
  if (w.form == WeightForm::gate_up) {
    const int64_t ffn = w.rows / 2;
    const int64_t up = row >= ffn ? 1 : 0;
    panel = (row - up * ffn) / kLanes * 2 + up;
    lane = (row - up * ffn) % kLanes;
  }
  const char* from = matrix_of(w, index) + panel * panel_steps(w) * 64;
  if (w.dtype == DType::f32) {
    const auto* x = reinterpret_cast<const float*>(from) + lane;
    for (int64_t k = 0; k < w.cols; ++k) out[k] = x[k * kLanes] * scale;
    return;
  }
  const auto* x = reinterpret_cast<const uint16_t*>(from) + lane * 2;
  for (int64_t k = 0; k < w.cols; ++k) {
    out[k] = bf16_to_float(x[k / 2 * 2 * kLanes + k % 2]) * scale;
  }
}

}  // namespace lapidary::cpu
