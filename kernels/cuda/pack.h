// Weights on the device: bf16, row-major [count][stored rows][cols].
//   stacked: row r of the parts laid after one another is stored row r.
//   gate_up: groups of 8 rows of gate, then the same 8 rows of up. Row i of gate is stored row
//     i / 8 * 16 + i % 8, row i of up 8 rows further; the last group is filled with zero rows.
#pragma once

#include <span>

#include "kernels/backend.h"
#include "kernels/cuda/staging.h"

namespace lapidary::cuda {

constexpr int64_t kGateUpGroup = 8;

// Rows of one matrix in memory. Weight::rows counts only those that are not padding.
constexpr int64_t stored_rows(WeightForm form, int64_t rows) {
  if (form == WeightForm::stacked) return rows;
  return div_up(rows / 2, kGateUpGroup) * 2 * kGateUpGroup;
}

// See Backend::pack. Throws std::runtime_error, one sentence, if cols is no multiple of 8.
Weight pack(std::span<const HostMatrix> parts, WeightForm form, Staging& staging);

}  // namespace lapidary::cuda
