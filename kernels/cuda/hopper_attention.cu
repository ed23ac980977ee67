// Prefill attention on wgmma and TMA: in place of attention_kernel<.., long> of attention.cu, with
// the same list of (tile of rows, kv head) pairs, those that see most keys first. As many blocks as
// multiprocessors walk it.
//
// One warp fetches pages into two stages, and those of the next pair while this one's result is
// stored; two warpgroups compute. Products are asynchronous, so a warpgroup's softmax runs beside
// the products that it or the other one has begun.
//
//   256: 128 rows, tiles of 80 keys. A warpgroup has 64 rows. Of each tile: its scores begin, then
//        the sums of the tile before; the softmax runs behind the scores, beside the sums. P stays
//        in registers.
//   512: 64 rows, tiles of 64 keys. A warpgroup scores 32 of the keys and adds up 256 of the dims,
//        as 64 x 512 sums are the registers of two. P goes through shared memory, over the tile's
//        K; two barriers a tile, for the rows' maxima and for P. The next tile's scores are begun
//        with the sums. V's chunks serve as K's, but for chunks 0 and 4, the dims that RoPE turned.
//
// By arithmetic, at 4096 flop and 128 bytes of shared memory a clock and multiprocessor:
//   256: a tile's products 5.2 + 5.2 Mflop, 2560 clocks. Shared memory: scores 2 + 2.5 KB a step
//        of m64n80k16, 32 of them, 144 KB; sums 8 KB a step, 10 of them, 80 KB; TMA 80 KB: 304 KB,
//        2430 clocks. L2: 80 KB a tile, 128 flop a byte: 6.2 TB/s at 790 TFLOP/s.
//   512: products 4.2 + 4.2 Mflop, 2048 clocks. Shared memory: scores 2 + 1 KB a step of m64n32k16,
//        64 of them, less 2 KB in the 24 whose q is in registers, 144 KB; sums 2 + 8 KB a step, 8
//        of them, 80 KB; P 8 KB, TMA 80 KB: 312 KB, 2500 clocks; and the softmax of 64 x 64 scores
//        runs alone. L2: 102 flop a byte, 7.7 TB/s at 790 TFLOP/s; two blocks that share their
//        pages by multicast would halve that.
#include "kernels/cuda/hopper_attention.h"

#include "kernels/check.h"
#include "kernels/cuda/hopper_attention_tile.cuh"

namespace lapidary::cuda {
namespace {

// --- products ---

// q of a warp's rows in registers: the first kHeldSteps steps.
template <class T>
using HeldQuery = uint32_t[T::kHeldSteps > 0 ? T::kHeldSteps : 1][4];

// query: of the warpgroup's first row.
template <class T>
__device__ __forceinline__ void hold_query(const unsigned char* query, HeldQuery<T>& held) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int row = static_cast<int>(threadIdx.x) % kWarpgroupSize / kWarpSize * 16 + lane % 16;
#pragma unroll
  for (int step = 0; step < T::kHeldSteps; ++step) {
    ldmatrix_x4(held[step], query + step / kChunkSteps * T::kQueryChunkBytes +
                                swizzled_place(row, step % kChunkSteps * 2 + lane / 16));
  }
}

// scores = q . K^T of 64 rows and kScoreKeys keys, begun. query: of the first row; keys and values:
// of the first key; values only where they serve as keys.
template <class T>
__device__ __forceinline__ void begin_scores(const unsigned char* query, const HeldQuery<T>& held,
                                             const unsigned char* keys, const unsigned char* values,
                                             float (&scores)[T::kScoreKeys / 2]) {
  const uint64_t q = k_major_tile(query, kAtomBytes);
  const uint64_t k = k_major_tile(keys, T::kKeyAtoms);
  const uint64_t v = T::kVOnce ? k_major_tile(values, T::kValueAtoms) : 0;
  hold_registers(scores);
  wgmma_fence();
#pragma unroll
  for (int chunk = 0; chunk < T::kQueryChunks; ++chunk) {
    // V stored once: the first chunk of each half of the head holds the turned dims.
    constexpr int kHalf = T::kQueryChunks / 2;
    const bool is_key = !T::kVOnce || chunk % kHalf == 0;
    const int key_chunk = T::kVOnce ? chunk / kHalf : chunk;
#pragma unroll
    for (int i = 0; i < kChunkSteps; ++i) {
      const int step = chunk * kChunkSteps + i;
      const uint64_t b = is_key ? tile_at(k, key_chunk * kAtomBytes + kStepBytes * i)
                                : tile_at(v, chunk * kAtomBytes + kStepBytes * i);
      if (step < T::kHeldSteps) {
        wgmma<T::kScoreKeys>(scores, held[step], b, step > 0);
      } else {
        const uint64_t a = tile_at(q, chunk * T::kQueryChunkBytes + kStepBytes * i);
        wgmma<T::kScoreKeys>(scores, a, b, step > 0);
      }
    }
  }
  wgmma_commit();
}

// sums += weights . V of 64 rows and 256 dims, begun. values: of the first dim.
template <class T>
__device__ __forceinline__ void begin_sums(uint32_t (&weights)[T::kKeys / 16][4],
                                           const unsigned char* values,
                                           float (&sums)[T::kSumDims / 2]) {
  const uint64_t v = mn_major_tile(values, kAtomBytes, T::kValueAtoms);
  hold_registers(sums);
  hold_registers(weights);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < T::kKeys / 16; ++step) {
    wgmma<T::kSumDims, true>(sums, weights[step], tile_at(v, step * kPageAtoms * T::kValueAtoms),
                             true);
  }
  wgmma_commit();
}

// The same with weights in shared memory, [64 rows][64 keys], swizzled.
template <class T>
__device__ __forceinline__ void begin_sums(const unsigned char* weights,
                                           const unsigned char* values,
                                           float (&sums)[T::kSumDims / 2]) {
  const uint64_t p = k_major_tile(weights, kAtomBytes);
  const uint64_t v = mn_major_tile(values, kAtomBytes, T::kValueAtoms);
  hold_registers(sums);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < T::kKeys / 16; ++step) {
    wgmma<T::kSumDims, true>(sums, tile_at(p, kStepBytes * step),
                             tile_at(v, step * kPageAtoms * T::kValueAtoms), true);
  }
  wgmma_commit();
}

// What of this warpgroup's products is not among the newest n_pending groups is done; `results` are
// theirs.
template <int n_pending, int kCount>
__device__ __forceinline__ void await_products(float (&results)[kCount]) {
  wgmma_wait<n_pending>();
  hold_registers(results);
}

// Weights of the second product as wgmma takes them from registers.
template <int kCount>
__device__ __forceinline__ void pack_weights(const float (&scores)[kCount],
                                             uint32_t (&weights)[kCount / 8][4]) {
#pragma unroll
  for (int i = 0; i < kCount / 2; ++i) {
    weights[i / 4][i % 4] = bf16_pair(scores[2 * i], scores[2 * i + 1]);
  }
}

// The same into shared memory: [64 rows][64 keys], these from first_key on.
template <int kCount>
__device__ __forceinline__ void share_weights(const float (&scores)[kCount], int first_key,
                                              unsigned char* weights) {
  unsigned char* pair = weights + static_cast<int>(threadIdx.x) % 4 * 4;
#pragma unroll
  for (int i = 0; i < kCount / 2; ++i) {
    *reinterpret_cast<uint32_t*>(pair +
                                 swizzled_place(row_of_thread(i % 2), first_key / 8 + i / 2)) =
        bf16_pair(scores[2 * i], scores[2 * i + 1]);
  }
}

// One number of each row, of this warpgroup.
__device__ __forceinline__ void share_floats(const float (&x)[2], float* of_rows) {
  if (threadIdx.x % 4 != 0) return;
  for (int half = 0; half < 2; ++half) of_rows[row_of_thread(half)] = x[half];
}

// All threads of a warpgroup.
__device__ __forceinline__ void await_warpgroup() {
  named_barrier(kWarpgroupBarrier + static_cast<int>(threadIdx.x) / kWarpgroupSize, kWarpgroupSize);
}

// --- a piece of work ---

// A tile of rows and all its keys: view.splits is not set.
template <class T>
__device__ __forceinline__ HopperPiece piece_at(const AttentionView& view, const WorkPlace& place,
                                                int kv_head) {
  const SequenceRows rows = rows_of(view, place.sequence);
  const int first_row = place.index * T::kRows;
  const int n_rows = min(T::kRows, rows.n * view.group - first_row);
  HopperPiece piece;
  piece.tile = {place.sequence, kv_head, rows.token, rows.position, first_row, n_rows};
  piece.keys.first = first_visible(piece.position_of(0, view.group), view.window);
  piece.keys.last = piece.position_of(n_rows - 1, view.group);
  piece.start = piece.keys.first / kPageSize * kPageSize;
  piece.n_tiles = (piece.keys.last - piece.start) / T::kKeys + 1;
  return piece;
}

// The rows of a warpgroup, and what they see.
struct WarpgroupRows {
  int first;                          // of the tile
  int first_position, last_position;  // of their queries
  RowMask mask;                       // of this thread's rows

  __device__ __forceinline__ WarpgroupRows(const AttentionView& view, const HopperPiece& piece,
                                           int first_row)
      : first(first_row) {
    const auto position = [&](int row) {
      return piece.position_of(min(first + row, piece.tile.n_rows - 1), view.group);
    };
    first_position = position(0);
    last_position = position(63);
    for (int half = 0; half < 2; ++half) {
      const int query = position(row_of_thread(half));
      mask.row[half] = {first_visible(query, view.window), query};
    }
  }
};

template <int kCount>
__device__ __forceinline__ void mask_tile(const AttentionView& view, const WarpgroupRows& rows,
                                          int first_key, float (&scores)[kCount]) {
  const QueryPlace first{rows.first_position, rows.first_position};
  const int last_key = first_key + 2 * kCount - 1;
  if (all_visible(first, rows.last_position, first_key, last_key, view.window)) return;
  mask_scores(rows.mask, first_key, scores);
}

// A warp is done with what a stage holds.
__device__ __forceinline__ void free_stage(uint64_t* empty) {
  if (threadIdx.x % kWarpSize == 0) mbarrier_arrive(empty);
}

// The result of this warpgroup's 64 rows and 256 dims: through the place of their q, which nobody
// reads any more, and from there by whole rows. total: of each of this thread's rows.
template <class T>
__device__ __forceinline__ void store_rows(const AttentionView& view, const RowTile& tile,
                                           int first_row, int first_dim,
                                           const float (&sums)[T::kSumDims / 2],
                                           const float (&total)[2], unsigned char* query) {
  const float scale[2] = {1.0F / total[0], 1.0F / total[1]};
  unsigned char* here = query + first_dim / kChunkDims * T::kQueryChunkBytes;
  unsigned char* pair = here + static_cast<int>(threadIdx.x) % 4 * 4;
#pragma unroll
  for (int i = 0; i < T::kSumDims / 4; ++i) {
    const int chunk = i / 2 / 8 * T::kQueryChunkBytes;
    *reinterpret_cast<uint32_t*>(pair + chunk +
                                 swizzled_place(first_row + row_of_thread(i % 2), i / 2 % 8)) =
        bf16_pair(sums[2 * i] * scale[i % 2], sums[2 * i + 1] * scale[i % 2]);
  }
  await_warpgroup();
  constexpr int kPieces = T::kSumDims / 8;  // of 16 bytes, of a row
  const int n_rows = min(64, tile.n_rows - first_row);
  for (int i = static_cast<int>(threadIdx.x) % kWarpgroupSize; i < n_rows * kPieces;
       i += kWarpgroupSize) {
    const int row = first_row + i / kPieces;
    const int piece = i % kPieces;
    const auto* from = reinterpret_cast<const float4*>(here + piece / 8 * T::kQueryChunkBytes +
                                                       swizzled_place(row, piece % 8));
    bf16* to = view.out + offset_of_row<T>(view, tile, row) + first_dim + 8 * piece;
    *reinterpret_cast<float4*>(to) = *from;
  }
}

// Two warpgroups of 64 rows each.
template <class T>
__device__ __forceinline__ void compute_rows(const AttentionView& view, const HopperPiece& piece,
                                             const HopperShared<T>& shared, StageRing<T>& ring) {
  const int warpgroup = static_cast<int>(threadIdx.x) / kWarpgroupSize;
  const WarpgroupRows rows(view, piece, 64 * warpgroup);
  copy_rows_of_q<T>(view, piece.tile, rows.first, 64, threadIdx.x % kWarpgroupSize, kWarpgroupSize,
                    shared.query);
  await_warpgroup();
  const unsigned char* query = shared.query + rows.first * kChunkRowBytes;

  const HeldQuery<T> held = {};
  float scores[T::kScoreKeys / 2];
  float sums[T::kSumDims / 2] = {};
  uint32_t weights[T::kKeys / 16][4];
  WarpgroupSoftmax softmax;
  StageRing<T> last = ring;
  const auto weigh = [&](int t) {
    mask_tile(view, rows, piece.start + t * T::kKeys, scores);
    float top[2];
    maxima_of_rows(scores, top);
    softmax.weigh(top, scores);
  };
  const auto begin_tile = [&] {
    mbarrier_wait(shared.full_keys + ring.stage, ring.phase);
    begin_scores<T>(query, held, shared.stage_keys(ring.stage), nullptr, scores);
  };
  const auto begin_last_sums = [&] {
    mbarrier_wait(shared.full_values + last.stage, last.phase);
    begin_sums<T>(weights, shared.stage_values(last.stage), sums);
  };
  begin_tile();
  await_products<0>(scores);
  free_stage(shared.empty_keys + ring.stage);
  weigh(0);
  pack_weights(scores, weights);
  for (int t = 1; t < piece.n_tiles; ++t) {
    ring.advance();
    begin_tile();
    begin_last_sums();
    await_products<1>(scores);
    free_stage(shared.empty_keys + ring.stage);
    weigh(t);
    await_products<0>(sums);
    hold_registers(weights);  // read until here: the next ones must not take their place before
    free_stage(shared.empty_values + last.stage);
    softmax.shrink(sums);
    pack_weights(scores, weights);
    last = ring;
  }
  if (piece.has_tail(piece.n_tiles - 1)) {
    mbarrier_wait(shared.full_values + last.stage, last.phase);
    clear_tail<T>(piece, shared.stage_values(last.stage));
  }
  begin_last_sums();
  await_products<0>(sums);
  hold_registers(weights);
  free_stage(shared.empty_values + last.stage);
  ring.advance();
  const float total[2] = {softmax.total(0), softmax.total(1)};
  await_warpgroup();  // all scores are done: q's place is free
  store_rows<T>(view, piece.tile, rows.first, 0, sums, total, shared.query);
  await_warpgroup();
}

// Two warpgroups with the same 64 rows, half of the keys and half of the dims each.
template <class T>
__device__ __forceinline__ void compute_dims(const AttentionView& view, const HopperPiece& piece,
                                             const HopperShared<T>& shared, StageRing<T>& ring) {
  const int warpgroup = static_cast<int>(threadIdx.x) / kWarpgroupSize;
  const int first_atom = warpgroup * T::kScoreKeys / kAtomKeys;
  const int row = row_of_thread(0);
  const WarpgroupRows rows(view, piece, 0);
  copy_rows_of_q<T>(view, piece.tile, 0, T::kRows, threadIdx.x, T::kComputeThreads, shared.query);
  named_barrier(kComputeBarrier, T::kComputeThreads);

  HeldQuery<T> held;
  hold_query<T>(shared.query, held);
  float scores[T::kScoreKeys / 2];
  float sums[T::kSumDims / 2] = {};
  WarpgroupSoftmax softmax;
  const auto await_tile = [&](int t) {
    mbarrier_wait(shared.full_keys + ring.stage, ring.phase);
    mbarrier_wait(shared.full_values + ring.stage, ring.phase);
    if (piece.has_tail(t)) clear_tail<T>(piece, shared.stage_values(ring.stage));
  };
  const auto begin_tile = [&] {
    begin_scores<T>(shared.query, held, shared.stage_keys(ring.stage) + first_atom * T::kKeyAtoms,
                    shared.stage_values(ring.stage) + first_atom * T::kValueAtoms, scores);
  };
  // The scores of tile t become weights in shared memory, and the sums are ready for them.
  const auto weigh = [&](int t, unsigned char* weights) {
    mask_tile(view, rows, piece.start + t * T::kKeys + warpgroup * T::kScoreKeys, scores);
    float top[2];
    maxima_of_rows(scores, top);
    share_floats(top, shared.row_floats + warpgroup * T::kRows);
    named_barrier(kComputeBarrier, T::kComputeThreads);  // K has been read, too
    for (int half = 0; half < 2; ++half) {
      top[half] =
          fmaxf(shared.row_floats[row + 8 * half], shared.row_floats[T::kRows + row + 8 * half]);
    }
    softmax.weigh(top, scores);
    softmax.shrink(sums);
    share_weights(scores, warpgroup * T::kScoreKeys, weights);
    fence_async_proxy();
    named_barrier(kComputeBarrier, T::kComputeThreads);
  };
  const auto begin_tile_sums = [&](int stage) {
    begin_sums<T>(shared.stage_keys(stage),
                  shared.stage_values(stage) + warpgroup * T::kSumDims / kChunkDims * kAtomBytes,
                  sums);
  };
  await_tile(0);
  begin_tile();
  await_products<0>(scores);
  hold_registers(held);
  for (int t = 0; t < piece.n_tiles - 1; ++t) {
    const int stage = ring.stage;
    weigh(t, shared.stage_keys(stage));
    ring.advance();
    if (piece.has_tail(t + 1)) await_tile(t + 1);
    begin_tile_sums(stage);
    mbarrier_wait(shared.full_keys + ring.stage, ring.phase);
    mbarrier_wait(shared.full_values + ring.stage, ring.phase);
    begin_tile();
    wgmma_wait<1>();
    free_stage(shared.empty_keys + stage);
    free_stage(shared.empty_values + stage);
    await_products<0>(scores);
    hold_registers(sums);
    hold_registers(held);  // read until here
  }
  weigh(piece.n_tiles - 1, shared.stage_keys(ring.stage));
  begin_tile_sums(ring.stage);
  await_products<0>(sums);
  free_stage(shared.empty_keys + ring.stage);
  free_stage(shared.empty_values + ring.stage);
  ring.advance();
  float total[2] = {softmax.total(0), softmax.total(1)};
  share_floats(total, shared.row_floats + warpgroup * T::kRows);
  named_barrier(kComputeBarrier, T::kComputeThreads);
  for (int half = 0; half < 2; ++half) {
    total[half] = shared.row_floats[row + 8 * half] + shared.row_floats[T::kRows + row + 8 * half];
  }
  store_rows<T>(view, piece.tile, 0, warpgroup * T::kSumDims, sums, total, shared.query);
  named_barrier(kComputeBarrier, T::kComputeThreads);
}

// --- launch ---

// A layer's pages, by atoms: [atoms of eight keys][chunks of 64 dims][8 keys][64 dims].
struct PageMaps {
  TensorMap keys, values;
  int n_atoms;
};

// Calls work(piece) for each of this block's pieces, by whole warps.
template <class T, typename Work>
__device__ __forceinline__ void for_each_piece(const AttentionView& view, const Work& work) {
  const WorkList list = list_work<false>(view);
  const int n_items = list.total * view.n_kv_heads;
  for (int item = static_cast<int>(blockIdx.x); item < n_items;
       item += static_cast<int>(gridDim.x)) {
    const WorkPlace place = find_work<false>(view, list, list.total - 1 - item / view.n_kv_heads);
    work(piece_at<T>(view, place, item % view.n_kv_heads));
  }
}

template <class T>
__global__ void __launch_bounds__(T::kThreads, 1)
    hopper_attention_kernel(const AttentionView view, const __grid_constant__ PageMaps maps) {
  DYNAMIC_SHARED(unsigned char, unaligned);
  const HopperShared<T> shared(unaligned);
  if (threadIdx.x == 0) shared.start_barriers();
  __syncthreads();
  StageRing<T> ring;
  if (threadIdx.x >= T::kComputeThreads) {
    give_registers<T::kFetchRegisters>();
    if (threadIdx.x >= T::kComputeThreads + kWarpSize) return;
    prefetch_map(maps.keys);
    prefetch_map(maps.values);
    for_each_piece<T>(view, [&](const HopperPiece& piece) {
      fetch_tiles<T>(view, piece, maps.keys, maps.values, maps.n_atoms, shared, ring);
    });
  } else {
    take_registers<T::kComputeRegisters>();
    for_each_piece<T>(view, [&](const HopperPiece& piece) {
      if constexpr (T::kVOnce) {
        compute_dims<T>(view, piece, shared, ring);
      } else {
        compute_rows<T>(view, piece, shared, ring);
      }
    });
  }
}

// pages: [n_pages, n_kv_heads, 16, width].
TensorMap map_of(const Tensor& pages) {
  const int64_t width = pages.dim(3);
  const int64_t n_atoms = pages.dim(0) * pages.dim(1) * kPageAtoms;
  const auto n_chunks = static_cast<int>(width / kChunkDims);
  return make_tensor_map(pages.data, {{kChunkDims, 1, kChunkDims},
                                      {kAtomKeys, width, kAtomKeys},
                                      {n_chunks, kChunkDims, n_chunks},
                                      {n_atoms, kAtomKeys * width, kPageAtoms}});
}

template <int kHeadDim>
void launch_tile(const AttentionArgs& args, const AttentionView& view, int64_t blocks,
                 cudaStream_t stream) {
  using T = HopperTile<kHeadDim>;
  const int64_t n_atoms = args.v_pages.dim(0) * args.v_pages.dim(1) * kPageAtoms;
  launch(hopper_attention_kernel<T>,
         {.grid = dim3(static_cast<unsigned>(blocks)),
          .block = dim3(T::kThreads),
          .shared_bytes = T::kSharedBytes,
          .stream = stream},
         view, PageMaps{map_of(args.k_pages), map_of(args.v_pages), static_cast<int>(n_atoms)});
}

}  // namespace

int hopper_attention_rows(int head_dim) {
  return head_dim == 256 ? HopperTile<256>::kRows : HopperTile<512>::kRows;
}

void launch_hopper_attention(const AttentionArgs& args, const AttentionView& view, int64_t blocks,
                             cudaStream_t stream) {
  CHECK(!view.splits && view.last_visible == nullptr);
  CHECK(view.tile_rows == hopper_attention_rows(args.head_dim));
  if (args.head_dim == 256) return launch_tile<256>(args, view, blocks, stream);
  CHECK(args.head_dim == 512);
  launch_tile<512>(args, view, blocks, stream);
}

}  // namespace lapidary::cuda
