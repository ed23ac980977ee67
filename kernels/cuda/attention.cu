// attention over paged KV: tensor cores for all of it, as attention_tile.cuh says; here is who does
// what, in at most three launches.
//
//   attention_kernel<.., short>
//       Sequences with one query, in tiles of 16 rows. A block walks a list of (sequence, segment of
//       its keys, kv head); the grid is what the device holds at a time, whatever the contexts, so a
//       recorded step stays right when they grow. What is one segment alone is written to `out` at
//       once.
//   attention_kernel<.., long>
//       Sequences with several queries, in tiles of 64 or 128 rows, those that see most keys first:
//       a block for each (tile, kv head). Not launched in a step of one query each. In a step with
//       few queries (kMostCutQueries) segments are cut here as well, and what fits into 16 rows is
//       short.
//   join_segments_kernel
//       Joins the segments of a row in their order: a warp for each 128 dims of a head. Not launched
//       where no sequence can have two segments.
//
// Rows of a tile are (query, head of the group) pairs, so that K and V are read once for a whole
// group. A row's result depends on its own sequence alone; but where a sequence has several queries
// and more keys than a segment, also on whether the step has few queries or many.
//
// Decode is bound by memory: 2 bytes x 2 x 256 a key and kv head on sliding layers, 2 bytes x
// (128 + 512) on global ones with V stored once. By arithmetic at 4.3 TB/s: 26B, window 1024,
// batch 256: 2.15 GB, 499 us; 32K positions, batch 1, global: 84 MB, 20 us in 128 segments of 512
// keys for 132 multiprocessors. Partial results are written and read once, rows / keys of a segment
// of the bytes of K and V (group 8, V once: 2.5 % at 512 keys). One multiprocessor's share of
// the bandwidth is 33 GB/s = 19 bytes a clock; with a microsecond of latency 33 KB must be on
// their way: a stage of 32 keys is 32 to 40 KB, and two or three blocks are resident. Partial
// results take n_seqs + 64 rows x slots x n_heads x head_dim x 4 bytes: 26B, 256 sequences beyond
// 16K positions, 64 slots and 2 KB a head: 0.67 GB, less with fewer sequences or shorter contexts.
//
// Prefill is bound by the tensor cores, of whose 4096 flop a clock mma.sync is taken to reach 62 %
// (2540), or by the reads of shared memory at 128 bytes a clock. By arithmetic, clocks a tile:
//   256, 128 rows x 64 keys: products 8.4 Mflop, 3300; reads (16 + 16 a step of 8 products) 2050
//        for the scores, 1280 for the sums: balanced.
//   512, 64 rows x 32 keys: products 4.2 Mflop, 1650; reads (4 + 4 a step of 2) 2050 + 640.
//        Reads of q are half of that; q does not fit into registers beside 128 sums.
// Bytes from L2: 128 rows x 64 keys are 128 flop a byte, 3 TB/s at 400 TFLOP/s.
#include "kernels/check.h"
#include "kernels/cuda/attention_tile.cuh"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/hopper_attention.h"
#include "kernels/cuda_limits.h"
#include "kernels/cuda_memory.h"

namespace lapidary::cuda {
namespace {

static_assert(kMaxGroup == kShortRows);

static_assert(kSegmentKeys == kAttentionSegment);

__device__ __forceinline__ void store_pair(bf16* to, float x, float y) {
  *reinterpret_cast<uint32_t*>(to) = bf16_pair(x, y);
}

// Where the partial results of a token begin.
__device__ __forceinline__ int64_t partial_place(const AttentionView& view, int sequence,
                                                 int64_t token) {
  return (view.splits ? token : sequence) * view.slots * view.n_heads;
}

// A piece of work: a tile of a sequence's rows over a segment of its keys.
template <class T>
__device__ __forceinline__ void attend_piece(const AttentionView& view, const SequenceRows& rows,
                                             const SequenceWork& work, const WorkPlace& place,
                                             int kv_head, Bits128* shared) {
  const int segment = place.index % work.segments.count;
  const int first_row = place.index / work.segments.count * T::kRows;
  const RowTile tile{place.sequence, kv_head,   rows.token,
                     rows.position,  first_row, min(T::kRows, work.n_rows - first_row)};
  const int first_query = rows.position + first_row / view.group;
  const int last_index = (first_row + tile.n_rows - 1) / view.group;
  const QueryPlace last_query = query_at(view, rows.token + last_index, rows.position + last_index);
  if (last_query.last >= rows.position + rows.n) __trap();  // the chunk cuts a span
  const KeyRange keys =
      work.segments.at(segment, {first_visible(first_query, view.window), last_query.last});
  const bool is_whole = work.segments.count == 1;
  attend<T>(view, tile, keys, shared, [&](int row, float max, float sum) {
    const int packed = first_row + row;
    const int64_t token = tile.first_token + packed / view.group;
    const int head = kv_head * view.group + packed % view.group;
    bf16* to = view.out + (token * view.n_heads + head) * T::kHeadDim;
    const int64_t slot =
        partial_place(view, tile.sequence, token) + int64_t{segment} * view.n_heads + head;
    float* to_partial = view.partial_sums + slot * T::kHeadDim;
    if (!is_whole && threadIdx.x % 4 == 0 && threadIdx.x / kWarpSize % T::kDimParts == 0) {
      view.partial_stats[slot] = {max, sum};
    }
    const float scale = 1.0F / sum;
    return [=](int dim, float x, float y) {
      if (is_whole) {
        store_pair(to + dim, x * scale, y * scale);
      } else {
        *reinterpret_cast<float2*>(to_partial + dim) = make_float2(x, y);
      }
    };
  });
}

template <class T, bool kShort>
__global__ void __launch_bounds__(T::kThreads, T::kResident)
    attention_kernel(const AttentionView view) {
  DYNAMIC_SHARED(Bits128, shared);
  const WorkList list = list_work<kShort>(view);
  // A loop would take registers that the sums of a long tile need.
  constexpr bool kLoops = kShort;
  int item = static_cast<int>(blockIdx.x);
  while (item < list.total * view.n_kv_heads) {
    const WorkPlace place = find_work<kShort>(view, list, list.total - 1 - item / view.n_kv_heads);
    const SequenceRows rows = rows_of(view, place.sequence);
    attend_piece<T>(view, rows, work_of<kShort>(view, rows), place, item % view.n_kv_heads, shared);
    if (!kLoops) return;
    item += static_cast<int>(gridDim.x);
  }
}

// --- segments ---

constexpr int kCombinedDims = 128;  // of a warp, 4 a thread

// The sequence that a token is of, found by a warp; -1: of none.
__device__ __forceinline__ int sequence_of(const AttentionView& view, int token) {
  for (int first = 0; first < view.n_seqs; first += kWarpSize) {
    const int s = first + static_cast<int>(threadIdx.x) % kWarpSize;
    const bool is_here =
        s < view.n_seqs && view.query_start[s] <= token && token < view.query_start[s + 1];
    const unsigned found = __ballot_sync(kAllLanes, is_here);
    if (found != 0) return first + __ffs(static_cast<int>(found)) - 1;
  }
  return -1;
}

template <int kHeadDim>
__global__ void join_segments_kernel(const AttentionView view) {
  constexpr int kSlices = kHeadDim > kCombinedDims ? kHeadDim / kCombinedDims : 1;
  const int lane = static_cast<int>(threadIdx.x);
  const int head = static_cast<int>(blockIdx.x) / kSlices;
  const int dim = static_cast<int>(blockIdx.x) % kSlices * kCombinedDims + 4 * lane;
  int sequence = static_cast<int>(blockIdx.y);
  if (view.splits) sequence = sequence_of(view, sequence);
  if (sequence < 0) return;
  const SequenceRows rows = rows_of(view, sequence);
  SequenceWork work = work_of<true>(view, rows);
  if (work.n_tiles == 0 && view.splits) work = work_of<false>(view, rows);
  const int n = work.segments.count;
  if (work.n_tiles == 0 || n == 1) return;
  const int64_t token = view.splits ? static_cast<int>(blockIdx.y) : rows.token;

  const int64_t first = partial_place(view, sequence, token) + head;
  const PartialStats* stats = view.partial_stats + first;
  const float* sums = view.partial_sums + first * kHeadDim + dim;
  float max = kNoMaximum;
  for (int i = lane; i < n; i += kWarpSize) max = fmaxf(max, stats[i * view.n_heads].max);
  max = warp_max(max);
  if (dim >= kHeadDim) return;
  float total = 0.0F;
  float4 all = {0.0F, 0.0F, 0.0F, 0.0F};
#pragma unroll 8
  for (int i = 0; i < n; ++i) {
    const PartialStats of = stats[i * view.n_heads];
    const float4 x = *reinterpret_cast<const float4*>(sums + int64_t{i} * view.n_heads * kHeadDim);
    const float weight = exp2_approximate(of.max - max);
    total += weight * of.sum;
    all.x += weight * x.x;
    all.y += weight * x.y;
    all.z += weight * x.z;
    all.w += weight * x.w;
  }
  const float scale = 1.0F / total;
  uint2 out;
  out.x = bf16_pair(all.x * scale, all.y * scale);
  out.y = bf16_pair(all.z * scale, all.w * scale);
  *reinterpret_cast<uint2*>(view.out + (token * view.n_heads + head) * kHeadDim + dim) = out;
}

// --- launches ---

struct Launcher {
  AttentionView view;
  int n_tokens, max_keys, n_multiprocessors;
  int64_t shared_limit;  // bytes that a block may ask for
  cudaStream_t stream;
  Workspace* workspace;
  const AttentionArgs* hopper;  // null: not for Hopper's kernels
};

// Partial results take the same memory in every step of so many sequences.
template <int kHeadDim>
void take_partials(Launcher& l) {
  AttentionView& view = l.view;
  view.slots = attention_slots(l.max_keys, view.window, view.n_kv_heads);
  if (view.slots == 1) return;
  const int64_t n = int64_t{view.n_seqs + kMostCutQueries} * view.slots * view.n_heads;
  view.partial_stats = l.workspace->take<PartialStats>(n);
  view.partial_sums = l.workspace->take<float>(n * kHeadDim);
}

template <class T, bool kShort>
void launch_pieces(const Launcher& l, int64_t blocks) {
  launch(attention_kernel<T, kShort>,
         {.grid = dim3(static_cast<unsigned>(blocks)),
          .block = dim3(T::kThreads),
          .shared_bytes = T::kSharedBytes,
          .stream = l.stream},
         l.view);
}

// As many blocks as the device holds, or fewer.
template <class T>
void launch_short(const Launcher& l) {
  const int64_t pieces = int64_t{l.view.n_seqs} * l.view.slots * l.view.n_kv_heads;
  launch_pieces<T, true>(l, std::min(pieces, int64_t{l.n_multiprocessors} * T::kResident));
}

// As many blocks as there can be pieces of tiles of so many rows. With `more` queries beside the
// first of each sequence, no more sequences have several, and each has one tile that is not full at
// most.
int64_t begin_long(Launcher& l, int more, int tile_rows) {
  l.view.tile_rows = tile_rows;
  const int64_t several = std::min(l.view.n_seqs, more);
  const int64_t tiles = (more + several) * l.view.group / tile_rows + several;
  return tiles * l.view.n_kv_heads * (l.view.splits ? l.view.slots : 1);
}

template <class T>
void launch_long(Launcher& l, int more) {
  launch_pieces<T, false>(l, begin_long(l, more, T::kRows));
}

template <int kHeadDim>
void launch_combine(const Launcher& l) {
  constexpr int kSlices = std::max(kHeadDim / kCombinedDims, 1);
  const AttentionView& view = l.view;
  if (view.slots == 1) return;
  launch(join_segments_kernel<kHeadDim>,
         {.grid = dim3(static_cast<unsigned>(view.n_heads * kSlices),
                       static_cast<unsigned>(view.splits ? l.n_tokens : view.n_seqs)),
          .block = dim3(kWarpSize),
          .stream = l.stream},
         view);
}

template <int kHeadDim, bool kVOnce, typename Page>
void launch_for(Launcher& l) {
  using Short = AttentionTile<kHeadDim, kVOnce, Page, short_shape<kHeadDim, kVOnce, Page>()>;
  using Wide = AttentionTile<kHeadDim, kVOnce, Page, long_shape<kHeadDim, kVOnce, true>()>;
  using Narrow = AttentionTile<kHeadDim, kVOnce, Page, long_shape<kHeadDim, kVOnce, false>()>;
  static_assert(Short::kRows == kShortRows);
  const int more = l.n_tokens - l.view.n_seqs;  // queries beside the first of each sequence
  l.view.splits = more > 0 && more <= kMostCutQueries;
  take_partials<kHeadDim>(l);
  const bool all_short = more == 0 || (l.view.splits && (more + 1) * l.view.group <= kShortRows);
  if (!all_short) {
    if (l.hopper != nullptr && !l.view.splits) {
      const int64_t blocks = begin_long(l, more, hopper_attention_rows(kHeadDim));
      launch_hopper_attention(*l.hopper, l.view,
                              std::min(blocks, int64_t{l.n_multiprocessors}), l.stream);
    } else if (static_cast<int64_t>(Wide::kSharedBytes) <= l.shared_limit) {
      launch_long<Wide>(l, more);
    } else {
      launch_long<Narrow>(l, more);
    }
  }
  if (all_short || l.view.n_seqs > 1) launch_short<Short>(l);
  launch_combine<kHeadDim>(l);
}

template <int kHeadDim>
void launch_head(Launcher& l, bool v_once, DType pages) {
  if constexpr (kHeadDim != 256) {
    if (v_once) {
      return pages == DType::bf16 ? launch_for<kHeadDim, true, bf16>(l)
                                  : launch_for<kHeadDim, true, fp8>(l);
    }
  }
  CHECK(!v_once);
  return pages == DType::bf16 ? launch_for<kHeadDim, false, bf16>(l)
                              : launch_for<kHeadDim, false, fp8>(l);
}

// Whether there is a kernel for Hopper where queries are many.
bool is_for_hopper(const AttentionArgs& args) {
  const int64_t key_width = args.k_pages.dim(3);
  if (args.k_pages.dtype != DType::bf16 || !args.last_visible.empty()) return false;
  return (args.head_dim == 256 && key_width == 256) || (args.head_dim == 512 && key_width == 128);
}

void check_shapes(const AttentionArgs& args, int64_t n) {
  const int64_t d = args.head_dim;
  const int64_t n_seqs = args.query_start.dim(0) - 1;
  const int64_t pages = args.k_pages.dim(0);
  const int64_t key_width = args.k_pages.dim(3);
  const DType dtype = args.k_pages.dtype;
  CHECK(args.n_kv_heads > 0 && args.n_heads % args.n_kv_heads == 0);
  CHECK(args.n_heads / args.n_kv_heads <= kMaxGroup);
  CHECK(dtype == DType::bf16 || dtype == DType::f8e4m3);
  CHECK(n_seqs > 0 && n >= n_seqs && args.max_keys > 0);
  expect_shape(args.q, DType::bf16, {n, args.n_heads * d});
  expect_shape(args.out, DType::bf16, {n, args.n_heads * d});
  expect_shape(args.positions, DType::i32, {n});
  expect_shape(args.query_start, DType::i32, {n_seqs + 1});
  expect_shape(args.block_start, DType::i32, {n_seqs + 1});
  CHECK(args.block_table.dtype == DType::i32);
  if (!args.last_visible.empty()) expect_shape(args.last_visible, DType::i32, {n});
  expect_shape(args.k_pages, dtype, {pages, args.n_kv_heads, kPageSize, key_width});
  expect_shape(args.v_pages, dtype, {pages, args.n_kv_heads, kPageSize, d});
  CHECK(pages * args.n_kv_heads * kPageSize <= INT32_MAX);
  CHECK(key_width == d || stores_v_once(args.head_dim, static_cast<int>(key_width), dtype));
}

}  // namespace

void CudaBackend::attention(const AttentionArgs& args) {
  const int64_t n = args.q.dim(0);
  check_shapes(args, n);
  workspace_.clear();
  int shared_limit = 0;
  CUDA_CHECK(cudaDeviceGetAttribute(&shared_limit, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
  const int64_t key_width = args.k_pages.dim(3);
  const bool v_once = key_width < args.head_dim;
  Launcher l{};
  l.view = {.q = static_cast<const bf16*>(args.q.data),
            .k_pages = static_cast<const Bits128*>(args.k_pages.data),
            .v_pages = static_cast<const Bits128*>(args.v_pages.data),
            .positions = args.positions.as<int32_t>(),
            .query_start = args.query_start.as<int32_t>(),
            .block_start = args.block_start.as<int32_t>(),
            .block_table = args.block_table.as<int32_t>(),
            .last_visible = args.last_visible.as<int32_t>(),
            .out = static_cast<bf16*>(args.out.data),
            .n_seqs = static_cast<int>(args.query_start.dim(0) - 1),
            .n_heads = args.n_heads,
            .n_kv_heads = args.n_kv_heads,
            .group = args.n_heads / args.n_kv_heads,
            .window = args.window,
            .n_angles = static_cast<int>(key_width / 2),
            .key_chunks = static_cast<int>(key_width * dtype_bytes(args.k_pages.dtype) / 16),
            .max_segments = max_segments(args.n_kv_heads)};
  l.n_tokens = static_cast<int>(n);
  l.max_keys = args.max_keys;
  l.n_multiprocessors = n_multiprocessors_;
  l.shared_limit = shared_limit;
  l.stream = stream_;
  l.workspace = &workspace_;
  l.hopper = is_hopper() && is_for_hopper(args) ? &args : nullptr;
  switch (args.head_dim) {
    case 16:
      return launch_head<16>(l, v_once, args.k_pages.dtype);
    case 32:
      return launch_head<32>(l, v_once, args.k_pages.dtype);
    case 64:
      return launch_head<64>(l, v_once, args.k_pages.dtype);
    case 256:
      return launch_head<256>(l, v_once, args.k_pages.dtype);
    case 512:
      return launch_head<512>(l, v_once, args.k_pages.dtype);
    default:
      CHECK(false);
  }
}

}  // namespace lapidary::cuda
