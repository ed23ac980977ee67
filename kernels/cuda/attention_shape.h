// How a block of threads cuts attention: the shape of its tile, which warp computes what, and what
// lies in its shared memory. All compile-time; the table at the end is the tuning.
//
// Scores [rows, keys] = Q . K^T and sums [rows, head_dim] += P . V are two products with two
// divisions among the warps: the first by rows and keys, the second by rows and dims. P goes from
// one to the other through shared memory, and so do the maxima of rows. It costs two barriers a
// tile and keeps 128 sums a thread at head_dim 512, where a warp of a one-division kernel would
// need 256; and a warp of 32 rows reads K and V half as often as one of 16.
#pragma once

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.cuh"

namespace lapidary::cuda {

struct TileShape {
  int rows;                    // (query, head of the group) pairs
  int keys;                    // whole pages
  int stages;                  // key tiles in shared memory: one in work, the others on their way
  int score_rows, score_keys;  // of a warp in the first product
  int sum_rows, sum_dims;      // of a warp in the second
};

template <int kHeadDim_, bool kVOnce_, typename Page_, TileShape kShape>
struct AttentionTile {
  using Page = Page_;  // element of the pages: bf16 or fp8
  static constexpr int kHeadDim = kHeadDim_;
  static constexpr bool kVOnce = kVOnce_;  // K pages hold the turned dims alone
  static constexpr bool kIsFp8 = sizeof(Page) == 1;
  // Any number of turned dims, padded with zeros to whole steps; else kTurned of them.
  static constexpr bool kIsSmall = kHeadDim <= 64;
  static constexpr int kTurned = 128;
  static_assert(!kVOnce || kIsSmall || kHeadDim == 512);

  static constexpr int kRows = kShape.rows;
  static constexpr int kKeys = kShape.keys;
  static constexpr int kStages = kShape.stages;

  // First product. A step is 16 dims.
  static constexpr int kKeyParts = kKeys / kShape.score_keys;
  static constexpr int kScoreRows = kShape.score_rows;
  static constexpr int kScoreKeys = kShape.score_keys;
  static constexpr int kScoreM = kScoreRows / 16;
  static constexpr int kScoreN = kScoreKeys / 8;
  // Independent sums of one score, so that a product need not wait for the one before it.
  static constexpr int kChains = kScoreM * kScoreN >= 4 ? 1 : 4 / (kScoreM * kScoreN);

  // Second product.
  static constexpr int kDimParts = kHeadDim / kShape.sum_dims;
  static constexpr int kSumRows = kShape.sum_rows;
  static constexpr int kSumDims = kShape.sum_dims;
  static constexpr int kSumM = kSumRows / 16;
  static constexpr int kSumN = kSumDims / 8;

  static constexpr int kWarps = kRows / kScoreRows * kKeyParts;
  static constexpr int kThreads = kWarps * kWarpSize;
  static_assert(kWarps == kRows / kSumRows * kDimParts);

  // Shared memory, in chunks of 16 bytes. P takes the place of its tile's K.
  static constexpr int kDimsPerChunk = 16 / static_cast<int>(sizeof(Page));
  static constexpr int kStepChunks = 16 / kDimsPerChunk;
  static constexpr int kQueryDims = kVOnce && kIsSmall ? 2 * kHeadDim : kHeadDim;
  static constexpr int kQueryChunks = kQueryDims / 8;
  static constexpr int kKeyDims = kVOnce && !kIsSmall ? kTurned : kHeadDim;
  static constexpr int kKeyChunks = kKeyDims / kDimsPerChunk;
  static constexpr int kValueChunks = kHeadDim / kDimsPerChunk;
  static constexpr int kWeightChunks = kKeys / 8;
  static constexpr int kKeyPlace =
      kKeyChunks * kKeys > kWeightChunks* kRows ? kKeyChunks* kKeys : kWeightChunks* kRows;
  static constexpr int kStagePlace = kKeyPlace + kValueChunks * kKeys;
  static constexpr int kQueryPlace = kQueryChunks * kRows;
  static constexpr int kRowFloats = (kKeyParts + 2) * kRows;  // maxima, factors, last maxima
  static constexpr size_t kSharedBytes =
      16 * static_cast<size_t>(kQueryPlace + kStages * kStagePlace) + 4 * kRowFloats;

  // Blocks that an H100's multiprocessor holds at a time: as shared memory and registers allow.
  static constexpr int kRegisters = kSumM * kSumN >= 32 ? 256 : 168;  // of a thread
  static constexpr int kByRegisters = 65536 / (kRegisters * kThreads);
  static constexpr int kByShared = static_cast<int>(227 * 1024 / (kSharedBytes + 1024));
  static constexpr int kLimit = kByShared < 3 ? kByShared : 3;
  static constexpr int kResident = kByRegisters < kLimit ? kByRegisters : kLimit;
};

// One query a sequence: 16 rows, of which the group fills 1 to 16. Memory is the limit, not what
// the empty rows cost.
template <int kHeadDim, bool kVOnce, typename Page>
constexpr TileShape short_shape() {
  constexpr bool is_fp8 = sizeof(Page) == 1;
  switch (kHeadDim) {
    case 16:
      return {16, 32, 2, 16, 32, 16, 16};
    case 32:
      return {16, 32, 2, 16, 16, 16, 16};
    case 64:
      return {16, 32, 2, 16, 8, 16, 16};
    case 256:
      return {16, 32, is_fp8 ? 3 : 2, 16, 8, 16, 64};
    default:
      if (is_fp8 && kVOnce) return {16, 32, 3, 16, 8, 16, 128};
      if (is_fp8 || kVOnce) return {16, 32, 2, 16, 8, 16, 128};
      return {16, 16, 2, 16, 8, 16, 256};
  }
}

// Several queries a sequence. `wide` needs up to 196 KiB of shared memory; the other form fits the
// 99 KiB of the smaller devices.
template <int kHeadDim, bool kVOnce, bool wide>
constexpr TileShape long_shape() {
  switch (kHeadDim) {
    case 16:
      return {64, 32, 2, 16, 32, 16, 16};
    case 32:
      return {64, 32, 2, 32, 16, 32, 16};
    case 64:
      return {64, 32, 2, 16, 16, 32, 16};
    case 256:
      if (wide) return {128, 64, 2, 32, 32, 32, 128};
      return {64, 32, 2, 32, 16, 32, 128};
    default:
      if (wide) return {64, 32, 2, 16, 16, 32, 128};
      return {32, 16, kVOnce ? 3 : 2, 16, 8, 16, 256};
  }
}

}  // namespace lapidary::cuda
