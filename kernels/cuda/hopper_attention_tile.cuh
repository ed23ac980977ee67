// What Hopper's attention kernels are made of: the shape of a block's tile, where it lies in shared
// memory, who brings it there, and the softmax of one warpgroup's scores.
//
// Threads: two warpgroups that compute and one whose first warp fetches. Pages come by TMA: one
// instruction brings a page's 16 keys of one kv head as [2 halves][chunks][8 keys][64 dims], 128
// bytes a key and chunk, swizzled. Eight keys of a chunk are then one atom of 1024 bytes of the
// swizzle, and atoms of any number of pages have one stride in each direction: the same tile is
// read as K (dims contiguous) by the first product and as V (dims contiguous, keys summed over) by
// the second.
#pragma once

#include "kernels/cuda/attention_tile.cuh"
#include "kernels/cuda/ptx_hopper.cuh"

namespace lapidary::cuda {

constexpr int kAtomKeys = 8;    // rows of an atom
constexpr int kChunkDims = 64;  // columns of an atom
constexpr int kChunkSteps = kChunkDims / 16;
constexpr int kStepBytes = 32;  // of a row, 16 dims
constexpr int kChunkRowBytes = 128;
constexpr int kAtomBytes = kAtomKeys * kChunkRowBytes;
constexpr int kPageAtoms = kPageSize / kAtomKeys;  // of one chunk

// Numbers of barriers: of all threads that compute, and of each of their warpgroups.
constexpr int kComputeBarrier = 1;
constexpr int kWarpgroupBarrier = 2;

// 256: K and V are two tensors; each warpgroup has its own 64 rows and all dims.
// 512: V is stored once, K pages hold the 128 turned dims; the warpgroups share 64 rows: each has
//      the scores of half of the keys, and half of the dims of the sums.
template <int kHeadDim_>
struct HopperTile {
  static constexpr int kHeadDim = kHeadDim_;
  static constexpr bool kVOnce = kHeadDim == 512;
  static_assert(kHeadDim == 256 || kHeadDim == 512);
  static constexpr int kRows = kVOnce ? 64 : 128;
  static constexpr int kKeys = kVOnce ? 64 : 80;
  static constexpr int kStages = 2;
  // Steps of q that stay in registers: they spare reads of shared memory, the limit at 512.
  static constexpr int kHeldSteps = kVOnce ? 12 : 0;

  static constexpr int kScoreKeys = kVOnce ? kKeys / 2 : kKeys;  // of a warpgroup
  static constexpr int kSumDims = 256;                           // of a warpgroup

  static constexpr int kPages = kKeys / kPageSize;
  static constexpr int kQueryChunks = kHeadDim / kChunkDims;
  static constexpr int kKeyChunks = kVOnce ? 2 : kQueryChunks;
  static constexpr int kValueChunks = kQueryChunks;

  // Bytes.
  static constexpr int kQueryChunkBytes = kRows * kChunkRowBytes;  // rows of one chunk
  static constexpr int kQueryBytes = kQueryChunks * kQueryChunkBytes;
  static constexpr int kKeyAtoms = kKeyChunks * kAtomBytes;  // eight keys
  static constexpr int kValueAtoms = kValueChunks * kAtomBytes;
  static constexpr int kKeyBytes = kKeys / kAtomKeys * kKeyAtoms;
  static constexpr int kValueBytes = kKeys / kAtomKeys * kValueAtoms;
  static constexpr int kRowFloats = kVOnce ? 2 * kRows : 0;  // what the warpgroups tell each other
  static constexpr int kTileBytes = kQueryBytes + kStages * (kKeyBytes + kValueBytes);
  static constexpr size_t kSharedBytes = kAtomBytes + kTileBytes + 4 * kRowFloats + 8 * 4 * kStages;
  static_assert(kSharedBytes <= 227 * 1024);

  static constexpr int kComputeThreads = 2 * kWarpgroupSize;
  static constexpr int kThreads = kComputeThreads + kWarpgroupSize;
  // Registers of a thread that fetches and of one that computes: q in registers leaves none to
  // spare.
  static constexpr int kFetchRegisters = kVOnce ? 24 : 40;
  static constexpr int kComputeRegisters = kVOnce ? 240 : 232;
  static_assert(kFetchRegisters + 2 * kComputeRegisters <= 3 * kLaunchRegisters<kThreads>);
};

// Of a warpgroup's 64 rows, a thread has two: lane / 4 and 8 more of its warp's 16.
__device__ __forceinline__ int row_of_thread(int half) {
  return static_cast<int>(threadIdx.x) % kWarpgroupSize / kWarpSize * 16 +
         static_cast<int>(threadIdx.x) % kWarpSize / 4 + 8 * half;
}

// Bytes from the begin of a chunk to 16 of a row.
__device__ __forceinline__ int swizzled_place(int row, int part) {
  return row * kChunkRowBytes + 16 * (part ^ row % kAtomKeys);
}

// Where the parts of a block's tile lie: atoms must begin at multiples of their size.
template <class T>
struct HopperShared {
  unsigned char* query;  // [chunk][row][64 dims], swizzled
  unsigned char* keys;
  unsigned char* values;
  float* row_floats;
  // Of each stage: what has landed, and what may be overwritten.
  uint64_t *full_keys, *full_values, *empty_keys, *empty_values;

  __device__ __forceinline__ explicit HopperShared(unsigned char* unaligned) {
    const uint32_t over = shared_address(unaligned) % kAtomBytes;
    query = unaligned + (over == 0 ? 0 : kAtomBytes - over);
    keys = query + T::kQueryBytes;
    values = keys + T::kStages * T::kKeyBytes;
    full_keys = reinterpret_cast<uint64_t*>(values + T::kStages * T::kValueBytes);
    full_values = full_keys + T::kStages;
    empty_keys = full_values + T::kStages;
    empty_values = empty_keys + T::kStages;
    row_floats = reinterpret_cast<float*>(empty_values + T::kStages);
  }
  __device__ __forceinline__ unsigned char* stage_keys(int stage) const {
    return keys + stage * T::kKeyBytes;
  }
  __device__ __forceinline__ unsigned char* stage_values(int stage) const {
    return values + stage * T::kValueBytes;
  }
  // By one thread.
  __device__ __forceinline__ void start_barriers() const {
    for (int stage = 0; stage < T::kStages; ++stage) {
      mbarrier_init(full_keys + stage, 1);
      mbarrier_init(full_values + stage, 1);
      mbarrier_init(empty_keys + stage, T::kComputeThreads / kWarpSize);
      mbarrier_init(empty_values + stage, T::kComputeThreads / kWarpSize);
    }
    mbarrier_init_fence();
  }
};

// A stage, and the parity of the barriers' phase, as tiles go by.
template <class T>
struct StageRing {
  int stage = 0;
  uint32_t phase = 0;

  __device__ __forceinline__ void advance() {
    if (++stage == T::kStages) {
      stage = 0;
      phase ^= 1;
    }
  }
};

// What a block computes: rows of one sequence and kv head over a range of keys.
struct HopperPiece {
  RowTile tile;
  KeyRange keys;
  int start;  // the first tile's first key, at the edge of a page
  int n_tiles;

  // Whether tile t ends with slots of a page that are behind the range.
  __device__ __forceinline__ bool has_tail(int t) const {
    return t == n_tiles - 1 && keys.last % kPageSize != kPageSize - 1;
  }
  __device__ __forceinline__ int position_of(int row, int group) const {
    return tile.first_position + (tile.first_row + row) / group;
  }
};

// --- fetching ---

// By one warp: a page a lane. Pages behind the range become zero: they are fetched from behind the
// end of the tensor.
template <class T>
__device__ __forceinline__ void fetch_tiles(const AttentionView& view, const HopperPiece& piece,
                                            const TensorMap& key_map, const TensorMap& value_map,
                                            int n_atoms, const HopperShared<T>& shared,
                                            StageRing<T>& ring) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int32_t* table = view.block_table + view.block_start[piece.tile.sequence];
  const auto atom_of_page = [&](int t) {
    const int first_key = piece.start + t * T::kKeys + lane * kPageSize;
    if (lane >= T::kPages || first_key > piece.keys.last) return n_atoms;
    const int page = table[first_key / kPageSize];
    return (page * view.n_kv_heads + piece.tile.kv_head) * kPageAtoms;
  };
  int atom = atom_of_page(0);
  for (int t = 0; t < piece.n_tiles; ++t) {
    const int next_atom = atom_of_page(t + 1);
    mbarrier_wait(shared.empty_keys + ring.stage, ring.phase ^ 1);
    if (lane == 0) mbarrier_arrive_expect(shared.full_keys + ring.stage, T::kKeyBytes);
    __syncwarp();
    if (lane < T::kPages) {
      tma_load(shared.stage_keys(ring.stage) + lane * kPageAtoms * T::kKeyAtoms, key_map,
               shared.full_keys + ring.stage, 0, 0, 0, atom);
    }
    mbarrier_wait(shared.empty_values + ring.stage, ring.phase ^ 1);
    if (lane == 0) mbarrier_arrive_expect(shared.full_values + ring.stage, T::kValueBytes);
    __syncwarp();
    if (lane < T::kPages) {
      tma_load(shared.stage_values(ring.stage) + lane * kPageAtoms * T::kValueAtoms, value_map,
               shared.full_values + ring.stage, 0, 0, 0, atom);
    }
    atom = next_atom;
    ring.advance();
  }
}

// Where a row of the tile begins in q and in the result.
template <class T>
__device__ __forceinline__ int64_t offset_of_row(const AttentionView& view, const RowTile& tile,
                                                 int row) {
  const int packed = tile.first_row + row;
  const int64_t token = tile.first_token + packed / view.group;
  const int head = tile.kv_head * view.group + packed % view.group;
  return (token * view.n_heads + head) * T::kHeadDim;
}

// Rows [first_row, first_row + n) of q by n_threads threads, zero behind the tile's rows. Its
// readers come behind a barrier.
template <class T>
__device__ __forceinline__ void copy_rows_of_q(const AttentionView& view, const RowTile& tile,
                                               int first_row, int n, int thread, int n_threads,
                                               unsigned char* query) {
  constexpr int kPieces = T::kHeadDim / 8;  // of 16 bytes, of a row
  for (int i = thread; i < n * kPieces; i += n_threads) {
    const int row = first_row + i / kPieces;
    const int piece = i % kPieces;
    const bool is_read = row < tile.n_rows;
    async_copy16(query + piece / 8 * T::kQueryChunkBytes + swizzled_place(row, piece % 8),
                 view.q + offset_of_row<T>(view, tile, is_read ? row : 0) + 8 * piece,
                 is_read ? 16 : 0);
  }
  async_commit();
  async_wait<0>();
  fence_async_proxy();
}

// V of the last page's slots behind the range: whatever they hold, no weight of zero may meet it.
// By all threads that compute.
template <class T>
__device__ __forceinline__ void clear_tail(const HopperPiece& piece, unsigned char* values) {
  const int last = (piece.keys.last - piece.start) % T::kKeys;
  const int n_keys = kPageSize - 1 - last % kPageSize;
  constexpr int kPieces = T::kHeadDim / 8;
  for (int i = static_cast<int>(threadIdx.x); i < n_keys * kPieces; i += T::kComputeThreads) {
    const int key = last + 1 + i / kPieces;
    const int at = key / kAtomKeys * T::kValueAtoms + i % kPieces / 8 * kAtomBytes +
                   key % kAtomKeys * kChunkRowBytes + 16 * (i % 8);
    *reinterpret_cast<Bits128*>(values + at) = Bits128{};
  }
  fence_async_proxy();
  named_barrier(kComputeBarrier, T::kComputeThreads);
}

// --- softmax ---

// A thread's scores: scores[4 * block + 2 * half + i] is of its row of that half, and of the keys
// 2 (lane % 4) + i of each block of 8.

struct RowMask {
  KeyRange row[2];  // of each half
};

// Scores of keys outside a row's range become -infinity.
template <int kCount>
__device__ __forceinline__ void mask_scores(const RowMask& mask, int first_key,
                                            float (&scores)[kCount]) {
  const int column = first_key + static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    const KeyRange& range = mask.row[i / 2 % 2];
    const int key = column + i / 4 * 8 + i % 2;
    if (key < range.first || key > range.last) scores[i] = -INFINITY;
  }
}

// The maximum of a thread's two rows over its warp's keys.
template <int kCount>
__device__ __forceinline__ void maxima_of_rows(const float (&scores)[kCount], float (&top)[2]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    top[half] = kNoMaximum;
#pragma unroll
    for (int i = 2 * half; i < kCount; i += 4) {
      top[half] = fmaxf(top[half], fmaxf(scores[i], scores[i + 1]));
    }
    top[half] = fmaxf(top[half], __shfl_xor_sync(kAllLanes, top[half], 1));
    top[half] = fmaxf(top[half], __shfl_xor_sync(kAllLanes, top[half], 2));
  }
}

// Of a thread's two rows.
struct WarpgroupSoftmax {
  float max[2] = {kNoMaximum, kNoMaximum};  // times log2 e
  float sum[2] = {0.0F, 0.0F};              // of this thread's columns
  float factor[2];                          // by what the last weigh() shrank the rows

  // Scores become weights 2^(score - max). top: the rows' maxima over all keys of the tile.
  template <int kCount>
  __device__ __forceinline__ void weigh(const float (&top)[2], float (&scores)[kCount]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float new_max = fmaxf(max[half], top[half] * kLog2E);
      factor[half] = exp2_approximate(max[half] - new_max);
      max[half] = new_max;
      float added = 0.0F;
#pragma unroll
      for (int i = 2 * half; i < kCount; i += 4) {
        scores[i] = exp2_approximate(fmaf(scores[i], kLog2E, -new_max));
        scores[i + 1] = exp2_approximate(fmaf(scores[i + 1], kLog2E, -new_max));
        added += scores[i] + scores[i + 1];
      }
      sum[half] = sum[half] * factor[half] + added;
    }
  }

  // Of the rows' sums. Mostly no maximum grew.
  template <int kCount>
  __device__ __forceinline__ void shrink(float (&sums)[kCount]) const {
    if (__any_sync(kAllLanes, factor[0] != 1.0F || factor[1] != 1.0F) == 0) return;
#pragma unroll
    for (int i = 0; i < kCount; ++i) sums[i] *= factor[i / 2 % 2];
  }

  // The sum of a row over its four threads.
  __device__ __forceinline__ float total(int half) const {
    float x = sum[half];
    x += __shfl_xor_sync(kAllLanes, x, 1);
    x += __shfl_xor_sync(kAllLanes, x, 2);
    return x;
  }
};

}  // namespace lapidary::cuda
