// Which shapes the CUDA backend computes, as plain numbers: known in every build, so that a model
// is refused, and a plan for a GPU made, on machines that have none. The kernels' checks use the
// same numbers. Constants and pure functions, any thread.
#pragma once

#include <cstdint>

#include "kernels/tensor.h"

namespace lapidary::cuda {

constexpr int kHeadDims[] = {16, 32, 64, 256, 512};
constexpr int kMaxGroup = 16;  // query heads that share a kv head
constexpr int kMaxExperts = 128;
constexpr int kMaxChosen = 8;   // experts of a token
constexpr int kColumnUnit = 8;  // columns of a matrix: a row starts on 16 bytes
constexpr int kMaxHidden = 8192;
constexpr int64_t kMaxVocab = int64_t{1} << 22;

constexpr bool computes_head_dim(int head_dim) {
  for (const int known : kHeadDims) {
    if (known == head_dim) return true;
  }
  return false;
}

// Whether K pages of layers with one projection for K and V hold the turned dims alone. A row of
// them must fill whole loads of 16 bytes, and heads of 512 are cut for 128 turned dims.
constexpr bool stores_v_once(int head_dim, int turned_dims, DType kv) {
  if (head_dim == 512) return turned_dims == 128;
  const bool is_small = head_dim == 16 || head_dim == 32 || head_dim == 64;
  return is_small && turned_dims < head_dim &&
         turned_dims * static_cast<int64_t>(dtype_bytes(kv)) % 16 == 0;
}

}  // namespace lapidary::cuda
