#include "kernels/cuda/pack.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "kernels/cpu/bf16.h"
#include "kernels/cuda/device_memory.h"

namespace lapidary::cuda {
namespace {

struct SourceRow {
  const char* data = nullptr;  // null: zeros
  DType dtype = DType::bf16;
};

SourceRow row_of_part(const HostMatrix& part, int64_t index, int64_t row) {
  const int64_t element = (part.count > 1 ? index * part.count_stride : 0) + row * part.cols;
  return {static_cast<const char*>(part.data) +
              element * static_cast<int64_t>(dtype_bytes(part.dtype)),
          part.dtype};
}

SourceRow source_row(std::span<const HostMatrix> parts, WeightForm form, int64_t index,
                     int64_t row) {
  if (form == WeightForm::gate_up) {
    const HostMatrix& part = parts[static_cast<size_t>(row / kGateUpGroup % 2)];
    row = row / (2 * kGateUpGroup) * kGateUpGroup + row % kGateUpGroup;
    return row < part.rows ? row_of_part(part, index, row) : SourceRow{};
  }
  for (const HostMatrix& part : parts) {
    if (row < part.rows) return row_of_part(part, index, row);
    row -= part.rows;
  }
  return {};
}

void write_row(const SourceRow& from, int64_t cols, uint16_t* to) {
  const auto bytes = static_cast<size_t>(cols) * 2;
  if (from.data == nullptr) {
    std::memset(to, 0, bytes);
  } else if (from.dtype == DType::bf16) {
    std::memcpy(to, from.data, bytes);
  } else {
    for (int64_t k = 0; k < cols; ++k) {
      to[k] = cpu::float_to_bf16(cpu::read_float(from.data, from.dtype, k));
    }
  }
}

void check_parts(std::span<const HostMatrix> parts, WeightForm form) {
  CHECK(!parts.empty());
  for (const HostMatrix& part : parts) {
    CHECK(part.cols == parts[0].cols && part.count == parts[0].count && part.rows > 0);
    CHECK(part.dtype == DType::bf16 || part.dtype == DType::f16 || part.dtype == DType::f32);
  }
  if (form == WeightForm::gate_up) CHECK(parts.size() == 2 && parts[0].rows == parts[1].rows);
  const int64_t cols = parts[0].cols;
  if (cols % 8 == 0) return;
  throw std::runtime_error("A weight of this model has " + std::to_string(cols) +
                           " columns: --device cuda needs a multiple of 8; use --device cpu.");
}

}  // namespace

Weight pack(std::span<const HostMatrix> parts, WeightForm form, Staging& staging) {
  check_parts(parts, form);
  Weight w;
  w.dtype = DType::bf16;
  w.form = form;
  w.cols = parts[0].cols;
  w.count = parts[0].count;
  for (const HostMatrix& part : parts) w.rows += part.rows;
  const int64_t rows = stored_rows(form, w.rows);
  const int64_t n_rows = w.count * rows;
  const auto row_bytes = static_cast<size_t>(w.cols) * 2;
  CHECK(row_bytes <= Staging::kBytes);
  w.buffer = allocate_device(static_cast<size_t>(n_rows) * row_bytes);
  auto* to = static_cast<char*>(w.buffer.data());
  const auto rows_at_once = static_cast<int64_t>(Staging::kBytes / row_bytes);
  for (int64_t begin = 0; begin < n_rows; begin += rows_at_once) {
    const int64_t n = std::min(rows_at_once, n_rows - begin);
    auto* filled = static_cast<uint16_t*>(staging.fill());
    for (int64_t i = 0; i < n; ++i) {
      const int64_t row = begin + i;
      write_row(source_row(parts, form, row / rows, row % rows), w.cols, filled + i * w.cols);
    }
    staging.send(to + static_cast<size_t>(begin) * row_bytes, static_cast<size_t>(n) * row_bytes);
  }
  return w;
}

}  // namespace lapidary::cuda
