// Attention of one tile of rows over a range of keys: the two products and the running softmax
// behind the copies. Called by all threads of a block.
//
// Of each tile of keys, with a barrier before each part:
//   1. the copies of a later tile begin; scores = q . K of this warp's rows and keys; their maxima
//   2. the rows' new maxima; weights p = 2^(score - max), rounded to bf16 once, over the tile's K
//   3. sums *= 2^(old max - new max); sums += p . V of this warp's rows and dims
#pragma once

#include "kernels/cuda/attention_copies.cuh"

namespace lapidary::cuda {

constexpr float kLog2E = 1.4426950408889634F;
constexpr float kNoMaximum = -1e30F;  // finite: the difference of two of them is 0

// --- first product ---

template <class T>
using Scores = float[T::kChains][T::kScoreM][T::kScoreN][4];

// scores += the dims of q from its step `query_step` on . n_steps steps of the tile's rows from
// chunk `first_chunk` on. kMaxSteps is n_steps but for small heads.
template <class T, int kChunks, int kMaxSteps>
__device__ __forceinline__ void add_products(const Bits128* query, int query_step,
                                             const Bits128* tile, int first_chunk, int n_steps,
                                             Scores<T>& scores) {
  // One ldmatrix brings 16 keys x 2 chunks, or 8 keys x 4 chunks.
  constexpr bool is_pair = T::kScoreN % 2 == 0;
  constexpr int kBroughtChunks = is_pair ? 2 : 4;
  constexpr int kBroughtSteps = kBroughtChunks / T::kStepChunks;
  constexpr int kLoads = is_pair ? T::kScoreN / 2 : 1;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int key_row = lane % 8 + (is_pair ? lane / 16 * 8 : 0);
  const int key_chunk = (is_pair ? lane / 8 % 2 : lane / 8) % (kChunks < 4 ? kChunks : 4);
  const Bits128* keys = tile + key_row * kChunks;
  const int key_lane = key_chunk ^ chunk_mask<kChunks>(key_row);
  const Bits128* rows = query + lane % 16 * T::kQueryChunks;
  const int query_lane = lane / 16 ^ chunk_mask<T::kQueryChunks>(lane % 16);
  // Unrolled further, addresses would take the registers of the sums.
  constexpr int kBlock = T::kIsSmall ? kMaxSteps : (T::kScoreM * T::kScoreN > 4 ? 2 : 4);
  static_assert(kMaxSteps % kBlock == 0);
#pragma unroll 1
  for (int block = 0; block < kMaxSteps; block += kBlock) {
#pragma unroll
    for (int i = 0; i < kBlock; i += kBroughtSteps) {
      const int start = block + i;
      if (T::kIsSmall && start >= n_steps) break;
      uint32_t brought[kLoads][4];
#pragma unroll
      for (int n = 0; n < kLoads; ++n) {
        const int chunk = (first_chunk + start * T::kStepChunks) ^ key_lane;
        ldmatrix_x4(brought[n], keys + 16 * n * kChunks + chunk);
      }
#pragma unroll
      for (int j = 0; j < kBroughtSteps; ++j) {
        if (T::kIsSmall && start + j >= n_steps) break;
        uint32_t a[T::kScoreM][4];
#pragma unroll
        for (int m = 0; m < T::kScoreM; ++m) {
          const int chunk = 2 * (query_step + start + j) ^ query_lane;
          ldmatrix_x4(a[m], rows + 16 * m * T::kQueryChunks + chunk);
        }
#pragma unroll
        for (int n = 0; n < T::kScoreN; ++n) {
          uint32_t b[2];
          const uint32_t(&from)[4] = brought[is_pair ? n / 2 : 0];
          if constexpr (T::kIsFp8) {
            widen_fp8(from[is_pair ? n % 2 * 2 + j : j], b[0], b[1]);
          } else {
            b[0] = from[is_pair ? n % 2 * 2 : 2 * j];
            b[1] = from[is_pair ? n % 2 * 2 + 1 : 2 * j + 1];
          }
#pragma unroll
          for (int m = 0; m < T::kScoreM; ++m) {
            mma_bf16(scores[(i + j) % T::kChains][m][n], a[m], b);
          }
        }
      }
    }
  }
}

// The scores of this warp's rows and keys, left in scores[0]. `query` and `stage` begin at its
// first row; `key` is its first key in the tile.
template <class T>
__device__ __forceinline__ void score(const AttentionView& view, const Bits128* query,
                                      const Bits128* stage, int key, Scores<T>& scores) {
#pragma unroll
  for (auto& chain : scores) {
    for (auto& m : chain) {
      for (auto& n : m) {
        for (float& x : n) x = 0.0F;
      }
    }
  }
  const Bits128* k_rows = stage + key * T::kKeyChunks;
  const Bits128* v_rows = stage + T::kKeyPlace + key * T::kValueChunks;
  constexpr int kSteps = T::kHeadDim / 16;
  if constexpr (!T::kVOnce) {
    add_products<T, T::kKeyChunks, kSteps>(query, 0, k_rows, 0, kSteps, scores);
  } else if constexpr (T::kIsSmall) {
    const int turned = (2 * view.n_angles + 15) / 16;
    add_products<T, T::kValueChunks, kSteps>(query, 0, v_rows, 0, kSteps, scores);
    add_products<T, T::kKeyChunks, kSteps>(query, kSteps, k_rows, 0, turned, scores);
  } else {
    constexpr int kTurned = T::kTurned / 32;
    constexpr int kOther = kSteps / 2 - kTurned;  // of each half of the head
    add_products<T, T::kValueChunks, kOther>(query, 0, v_rows, kTurned * T::kStepChunks, kOther,
                                             scores);
    add_products<T, T::kValueChunks, kOther>(
        query, kOther, v_rows, (kSteps / 2 + kTurned) * T::kStepChunks, kOther, scores);
    add_products<T, T::kKeyChunks, 2 * kTurned>(query, 2 * kOther, k_rows, 0, 2 * kTurned, scores);
  }
#pragma unroll
  for (int chain = 1; chain < T::kChains; ++chain) {
    for (int m = 0; m < T::kScoreM; ++m) {
      for (int n = 0; n < T::kScoreN; ++n) {
        for (int i = 0; i < 4; ++i) scores[0][m][n][i] += scores[chain][m][n][i];
      }
    }
  }
}

// --- softmax ---

// Scores of keys that a row does not see, or that are not in the range, become -infinity.
template <class T>
__device__ __forceinline__ void mask(const AttentionView& view, const RowTile& tile,
                                     const KeyRange& keys, int first_row, int first_key,
                                     Scores<T>& scores) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
#pragma unroll
  for (int m = 0; m < T::kScoreM; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = min(first_row + 16 * m + 8 * half + lane / 4, tile.n_rows - 1);
      const int index = (tile.first_row + row) / view.group;
      const QueryPlace query =
          query_at(view, tile.first_token + index, tile.first_position + index);
#pragma unroll
      for (int n = 0; n < T::kScoreN; ++n) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int key = first_key + 8 * n + 2 * (lane % 4) + i;
          const bool is_in = key >= keys.first && key <= keys.last;
          if (!is_in || !visible(query, key, view.window)) {
            scores[0][m][n][2 * half + i] = -INFINITY;
          }
        }
      }
    }
  }
}

// Of the rows whose scores this warp computes. A thread holds rows lane / 4 and lane / 4 + 8 of
// each 16, and of a row the columns 2 (lane % 4) and the next of each 8 keys.
template <class T>
struct RunningSoftmax {
  float max[T::kScoreM][2];  // times log2 e, as everywhere behind the scores
  float sum[T::kScoreM][2];  // of this thread's columns

  __device__ __forceinline__ void start() {
#pragma unroll
    for (int m = 0; m < T::kScoreM; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        max[m][half] = kNoMaximum;
        sum[m][half] = 0.0F;
      }
    }
  }

  // maxima: [kRows] of this warp's keys.
  __device__ __forceinline__ void share_maxima(const Scores<T>& scores, int first_row,
                                               float* maxima) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
#pragma unroll
    for (int m = 0; m < T::kScoreM; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float top = kNoMaximum;
#pragma unroll
        for (int n = 0; n < T::kScoreN; ++n) {
          top = fmaxf(top, fmaxf(scores[0][m][n][2 * half], scores[0][m][n][2 * half + 1]));
        }
        top = fmaxf(top, __shfl_xor_sync(kAllLanes, top, 1));
        top = fmaxf(top, __shfl_xor_sync(kAllLanes, top, 2));
        if (lane % 4 == 0) maxima[first_row + 16 * m + 8 * half + lane / 4] = top;
      }
    }
  }

  // Writes the weights of this warp's rows and keys, and by what the rows' sums shrink (`factors`:
  // [kRows], written by the first of the warps that share the rows).
  __device__ __forceinline__ void weigh(const Scores<T>& scores, int first_row, int first_column,
                                        const float* maxima, float* factors, Bits128* weights) {
    const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
#pragma unroll
    for (int m = 0; m < T::kScoreM; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = first_row + 16 * m + 8 * half + lane / 4;
        float top = max[m][half];
#pragma unroll
        for (int part = 0; part < T::kKeyParts; ++part) {
          top = fmaxf(top, maxima[part * T::kRows + row] * kLog2E);
        }
        const float factor = exp2_approximate(max[m][half] - top);
        if (first_column == 0 && lane % 4 == 0) factors[row] = factor;
        max[m][half] = top;
        float added = 0.0F;
#pragma unroll
        for (int n = 0; n < T::kScoreN; ++n) {
          const float* pair = &scores[0][m][n][2 * half];
          const float p0 = exp2_approximate(fmaf(pair[0], kLog2E, -top));
          const float p1 = exp2_approximate(fmaf(pair[1], kLog2E, -top));
          added += p0 + p1;
          Bits128* chunk = weights + chunk_place<T::kWeightChunks>(row, first_column / 8 + n);
          chunk->word[lane % 4] = bf16_pair(p0, p1);
        }
        sum[m][half] = sum[m][half] * factor + added;
      }
    }
  }

  // The sums of this warp's keys and the last maxima, as share_maxima and weigh lay them.
  __device__ __forceinline__ void share_end(int first_row, int first_column, float* sums,
                                            float* maxima) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
#pragma unroll
    for (int m = 0; m < T::kScoreM; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = first_row + 16 * m + 8 * half + lane / 4;
        float total = sum[m][half];
        total += __shfl_xor_sync(kAllLanes, total, 1);
        total += __shfl_xor_sync(kAllLanes, total, 2);
        if (lane % 4 != 0) continue;
        sums[row] = total;
        if (first_column == 0) maxima[row] = max[m][half];
      }
    }
  }
};

// --- second product ---

template <class T>
using Sums = float[T::kSumM][T::kSumN][4];

// Sums shrink where a row's maximum grew; mostly none did.
template <class T>
__device__ __forceinline__ void shrink(const float* factors, Sums<T>& sums) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  float factor[T::kSumM][2];
  bool any = false;
#pragma unroll
  for (int m = 0; m < T::kSumM; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      factor[m][half] = factors[16 * m + 8 * half + lane / 4];
      any = any || factor[m][half] != 1.0F;
    }
  }
  if (__any_sync(kAllLanes, any) == 0) return;
#pragma unroll
  for (int m = 0; m < T::kSumM; ++m) {
#pragma unroll
    for (int n = 0; n < T::kSumN; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) sums[m][n][i] *= factor[m][i / 2];
    }
  }
}

// sums += weights . values of this warp's rows and dims. fp8: columns of the n-th product are the
// even (n even) or odd dims of 16.
template <class T>
__device__ __forceinline__ void add_values(const Bits128* weights, const Bits128* values,
                                           int first_chunk, Sums<T>& sums) {
  constexpr int kTiles = 2 * T::kDimsPerChunk / 8;  // products of 8 dims that one ldmatrix feeds
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int row = lane % 16;
  const Bits128* weight_row = weights + row * T::kWeightChunks;
  const int weight_lane = lane / 16 ^ chunk_mask<T::kWeightChunks>(row);
  const Bits128* value_row = values + row * T::kValueChunks;
  const int value_lane = lane / 16 % T::kValueChunks ^ chunk_mask<T::kValueChunks>(row);
#pragma unroll 1
  for (int step = 0; step < T::kKeys / 16; ++step) {
    uint32_t a[T::kSumM][4];
#pragma unroll
    for (int m = 0; m < T::kSumM; ++m) {
      ldmatrix_x4(a[m], weight_row + 16 * m * T::kWeightChunks + (2 * step ^ weight_lane));
    }
#pragma unroll
    for (int n = 0; n < T::kSumN; n += kTiles) {
      uint32_t brought[4];
      const int chunk = (first_chunk + n / kTiles * 2) ^ value_lane;
      ldmatrix_x4<true>(brought, value_row + 16 * step * T::kValueChunks + chunk);
      uint32_t b[kTiles][2];
      if constexpr (T::kIsFp8) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          widen_fp8(brought[half], b[0][half], b[1][half]);
          widen_fp8(brought[2 + half], b[2][half], b[3][half]);
        }
      } else {
#pragma unroll
        for (int i = 0; i < 4; ++i) b[i / 2][i % 2] = brought[i];
      }
#pragma unroll
      for (int i = 0; i < kTiles; ++i) {
        if (n + i >= T::kSumN) break;
#pragma unroll
        for (int m = 0; m < T::kSumM; ++m) mma_bf16(sums[m][n + i], a[m], b[i]);
      }
    }
  }
}

// --- all of it ---

// to(dim, x, y): the sums of a row in dims `dim` and `dim` + 1, of this warp. sums: of the row.
template <class T, typename To>
__device__ __forceinline__ void for_each_pair(const float (&sums)[T::kSumN][4], int half,
                                              int first_dim, const To& to) {
  const int column = static_cast<int>(threadIdx.x) % 4;
#pragma unroll
  for (int n = 0; n < T::kSumN; n += 2) {
    const float* x = &sums[n][2 * half];
    const float* y = &sums[n + 1][2 * half];
    const int dim = first_dim + 8 * n;
    if constexpr (T::kIsFp8) {
      to(dim + 4 * column, x[0], y[0]);
      to(dim + 4 * column + 2, x[1], y[1]);
    } else {
      to(dim + 2 * column, x[0], x[1]);
      to(dim + 8 + 2 * column, y[0], y[1]);
    }
  }
}

// The tile's attention over these keys. out(row, max, sum) for rows [0, n_rows), with the softmax's
// maximum and sum, returns where the row goes: to(dim, x, y), pairs of sums that are not yet
// divided. The next call needs no barrier before it if it has keys: what this one reads last, the
// rows' sums, that one writes behind its first barrier.
template <class T, typename Out>
__device__ __forceinline__ void attend(const AttentionView& view, const RowTile& tile,
                                       const KeyRange& keys, Bits128* shared, const Out& out) {
  Bits128* query = shared;
  Bits128* stages = query + T::kQueryPlace;
  auto* maxima = reinterpret_cast<float*>(stages + T::kStages * T::kStagePlace);
  float* factors = maxima + T::kKeyParts * T::kRows;
  float* last_maxima = factors + T::kRows;

  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int score_row = warp / T::kKeyParts * T::kScoreRows;
  const int score_key = warp % T::kKeyParts * T::kScoreKeys;
  const int sum_row = warp / T::kDimParts * T::kSumRows;
  const int sum_dim = warp % T::kDimParts * T::kSumDims;

  const int32_t* table = view.block_table + view.block_start[tile.sequence];
  const int start = keys.first / kPageSize * kPageSize;
  const int n_tiles = keys.last < keys.first ? 0 : (keys.last - start) / T::kKeys + 1;
  TilePages<T> pages;
  pages.look_up(view, tile, table, start, keys.last);
#pragma unroll
  for (int i = 0; i < T::kStages - 1; ++i) {
    const int first_key = start + i * T::kKeys;
    if (i < n_tiles) copy_keys<T>(view, pages, first_key, keys, stages + i * T::kStagePlace);
    async_commit();
    pages.look_up(view, tile, table, first_key + T::kKeys, keys.last);
  }
  copy_query<T>(view, tile, query);

  RunningSoftmax<T> softmax;
  softmax.start();
  const int first_index = tile.first_row / view.group;
  const QueryPlace first_query =
      query_at(view, tile.first_token + first_index, tile.first_position + first_index);
  const int last_position = tile.first_position + (tile.first_row + tile.n_rows - 1) / view.group;
  Sums<T> sums = {};
  int stage = 0;
  int next_stage = T::kStages - 1;
  for (int i = 0; i < n_tiles; ++i) {
    const int first_key = start + i * T::kKeys;
    Bits128* here = stages + stage * T::kStagePlace;
    async_wait<T::kStages - 2>();
    __syncthreads();
    if (i + T::kStages - 1 < n_tiles) {
      const int later = first_key + (T::kStages - 1) * T::kKeys;
      copy_keys<T>(view, pages, later, keys, stages + next_stage * T::kStagePlace);
      pages.look_up(view, tile, table, later + T::kKeys, keys.last);
    }
    async_commit();

    Scores<T> scores;
    score<T>(view, query + score_row * T::kQueryChunks, here, score_key, scores);
    const int last_key = first_key + T::kKeys - 1;
    if (first_key < keys.first || last_key > keys.last ||
        !all_visible(first_query, last_position, first_key, last_key, view.window)) {
      mask<T>(view, tile, keys, score_row, first_key + score_key, scores);
    }
    softmax.share_maxima(scores, score_row, maxima + warp % T::kKeyParts * T::kRows);
    __syncthreads();
    softmax.weigh(scores, score_row, score_key, maxima, factors, here);
    __syncthreads();
    shrink<T>(factors + sum_row, sums);
    add_values<T>(here + sum_row * T::kWeightChunks, here + T::kKeyPlace,
                  sum_dim / T::kDimsPerChunk, sums);
    stage = stage + 1 == T::kStages ? 0 : stage + 1;
    next_stage = next_stage + 1 == T::kStages ? 0 : next_stage + 1;
  }
  softmax.share_end(score_row, score_key, maxima + warp % T::kKeyParts * T::kRows, last_maxima);
  __syncthreads();
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
#pragma unroll
  for (int m = 0; m < T::kSumM; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = sum_row + 16 * m + 8 * half + lane / 4;
      if (row >= tile.n_rows) continue;
      float sum = 0.0F;
#pragma unroll
      for (int part = 0; part < T::kKeyParts; ++part) sum += maxima[part * T::kRows + row];
      for_each_pair<T>(sums[m], half, sum_dim, out(row, last_maxima[row], sum));
    }
  }
}

}  // namespace lapidary::cuda
