// What attention's products read, on its way to shared memory: q once a tile of rows;
// keys and values page by page, asynchronously. Called by all threads of a block.
//
// In shared memory a row's chunks of 16 bytes are permuted so that eight rows' same chunk lies in
// eight different bank groups. Chunk numbers are therefore combined by exclusive or: a lane's part
// of it is computed once, and what a step adds is a constant.
#pragma once

#include "kernels/backend.h"
#include "kernels/cuda/attention_work.cuh"
#include "kernels/cuda/fp8.cuh"
#include "kernels/cuda/lanes.cuh"

namespace lapidary::cuda {

// What chunk numbers of this row are combined with. kChunks: of a row, a power of two or a
// multiple of eight. Rows 16 apart have the same.
template <int kChunks>
__device__ __forceinline__ int chunk_mask(int row) {
  if constexpr (kChunks >= 8) {
    return row % 8;
  } else {
    return row / (8 / kChunks) % kChunks;
  }
}
template <int kChunks>
__device__ __forceinline__ int chunk_place(int row, int chunk) {
  return row * kChunks + (chunk ^ chunk_mask<kChunks>(row));
}

// --- q ---

// 16 dims of q that one step multiplies, as they lie in the pages' tile: fp8 pages give the even
// dims of a step first, then the odd ones (widen_fp8).
template <bool is_fp8>
__device__ __forceinline__ void store_step(const uint32_t (&pairs)[8], Bits128* low,
                                           Bits128* high) {
  Bits128 half[2];
  for (int i = 0; i < 4; ++i) {
    if constexpr (is_fp8) {
      half[0].word[i] = __byte_perm(pairs[2 * i], pairs[2 * i + 1], 0x5410);
      half[1].word[i] = __byte_perm(pairs[2 * i], pairs[2 * i + 1], 0x7632);
    } else {
      half[0].word[i] = pairs[i];
      half[1].word[i] = pairs[i + 4];
    }
  }
  *low = half[0];
  *high = half[1];
}

// V stored once: first the dims that are scored against V, then the turned ones, scored against K.
// Small heads score all dims against V, the turned ones with a zero for q.
template <class T>
__device__ __forceinline__ bf16 small_query_dim(const bf16* q, int i, int n_angles) {
  constexpr int kHalf = T::kHeadDim / 2;
  if (i < T::kHeadDim) return i % kHalf < n_angles ? __float2bfloat16_rn(0.0F) : q[i];
  const int turned = i - T::kHeadDim;
  if (turned >= 2 * n_angles) return __float2bfloat16_rn(0.0F);
  return q[turned < n_angles ? turned : kHalf + turned - n_angles];
}

// The step of q's dims that stands at `step` in shared memory.
template <class T>
__device__ __forceinline__ int query_source(int step) {
  if constexpr (!T::kVOnce) return step;
  constexpr int kHalf = T::kHeadDim / 32;
  constexpr int kTurned = T::kTurned / 32;  // of each half
  constexpr int kAgainstV = 2 * (kHalf - kTurned);
  if (step >= kAgainstV) {
    return step - kAgainstV + (step < kAgainstV + kTurned ? 0 : kHalf - kTurned);
  }
  return step + (step < kHalf - kTurned ? kTurned : 2 * kTurned);
}

template <class T>
__device__ __forceinline__ void copy_query(const AttentionView& view, const RowTile& tile,
                                           Bits128* query) {
  constexpr int kSteps = T::kQueryChunks / 2;
  for (int i = static_cast<int>(threadIdx.x); i < T::kRows * kSteps; i += T::kThreads) {
    const int row = i / kSteps;
    const int step = i % kSteps;
    uint32_t pairs[8] = {};
    if (row < tile.n_rows) {
      const int packed = tile.first_row + row;
      const int64_t token = tile.first_token + packed / view.group;
      const int head = tile.kv_head * view.group + packed % view.group;
      const bf16* q = view.q + (token * view.n_heads + head) * T::kHeadDim;
      if constexpr (T::kVOnce && T::kIsSmall) {
        for (int j = 0; j < 8; ++j) {
          const int dim = 16 * step + 2 * j;
          const uint32_t even = __bfloat16_as_ushort(small_query_dim<T>(q, dim, view.n_angles));
          const uint32_t odd = __bfloat16_as_ushort(small_query_dim<T>(q, dim + 1, view.n_angles));
          pairs[j] = even | odd << 16;
        }
      } else {
        const bf16* from = q + 16 * query_source<T>(step);
        const Bits128 low = load16(from);
        const Bits128 high = load16(from + 8);
        for (int j = 0; j < 4; ++j) {
          pairs[j] = low.word[j];
          pairs[j + 4] = high.word[j];
        }
      }
    }
    store_step<T::kIsFp8>(pairs, query + chunk_place<T::kQueryChunks>(row, 2 * step),
                          query + chunk_place<T::kQueryChunks>(row, 2 * step + 1));
  }
}

// --- keys and values ---

// Where the pages of a tile of keys begin: their first row in the pages tensor; -1: none of their
// keys is in the range. Looked up a tile ahead, so that copies need not wait for the table.
template <class T>
struct TilePages {
  static constexpr int kPages = T::kKeys / kPageSize;
  int row[kPages];

  __device__ __forceinline__ void look_up(const AttentionView& view, const RowTile& tile,
                                          const int32_t* table, int first_key, int last_key) {
#pragma unroll
    for (int i = 0; i < kPages; ++i) {
      const int block = first_key / kPageSize + i;
      row[i] = -1;
      if (block * kPageSize <= last_key) {
        row[i] = (table[block] * view.n_kv_heads + tile.kv_head) * kPageSize;
      }
    }
  }

  // REQUIRES: one of its keys is in the range.
  __device__ __forceinline__ int row_of(int page) const {
    int found = row[0];
#pragma unroll
    for (int i = 1; i < kPages; ++i) found = page == i ? row[i] : found;
    return found;
  }
};

// Rows of n_chunks from the pages, padded to kChunks; keys outside the range become zero, whatever
// their slots hold. A thread copies the same chunk of rows kAtOnce apart.
template <class T, int kChunks>
__device__ __forceinline__ void copy_rows(const Bits128* pages, int n_chunks,
                                          const TilePages<T>& tile_pages, int first_key,
                                          const KeyRange& keys, Bits128* to) {
  constexpr int kAtOnce = T::kThreads / kChunks;
  static_assert(kAtOnce > 0 && (kAtOnce & (kAtOnce - 1)) == 0);
  const int chunk = static_cast<int>(threadIdx.x) % kChunks;
  const int first = static_cast<int>(threadIdx.x) / kChunks;
  const unsigned n_keys = static_cast<unsigned>(keys.last - keys.first);
#pragma unroll 4
  for (int start = 0; start < T::kKeys; start += kAtOnce) {
    const int key = start + first;
    if (kAtOnce > T::kKeys && key >= T::kKeys) break;
    // The same as key / kPageSize where a copy goes over several pages, and known to the compiler.
    const int page = kAtOnce > kPageSize ? key / kPageSize : start / kPageSize;
    const bool is_read =
        static_cast<unsigned>(first_key + key - keys.first) <= n_keys && chunk < n_chunks;
    const int64_t row = is_read ? tile_pages.row_of(page) + key % kPageSize : 0;
    // `start` and `first` have no bit in common.
    const int mask = chunk_mask<kChunks>(start) ^ chunk_mask<kChunks>(first);
    async_copy16(to + key * kChunks + (chunk ^ mask), pages + row * n_chunks + chunk % n_chunks,
                 is_read ? 16 : 0);
  }
}

template <class T>
__device__ __forceinline__ void copy_keys(const AttentionView& view, const TilePages<T>& tile_pages,
                                          int first_key, const KeyRange& keys, Bits128* stage) {
  const int key_chunks = T::kVOnce && T::kIsSmall ? view.key_chunks : T::kKeyChunks;
  copy_rows<T, T::kKeyChunks>(view.k_pages, key_chunks, tile_pages, first_key, keys, stage);
  copy_rows<T, T::kValueChunks>(view.v_pages, T::kValueChunks, tile_pages, first_key, keys,
                                stage + T::kKeyPlace);
}

}  // namespace lapidary::cuda
