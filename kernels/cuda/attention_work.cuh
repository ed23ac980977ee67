// Which query sees which key, and who computes what: found by the blocks themselves from
// query_start and positions, so that the grid is the same in every step of a recorded batch.
#pragma once

#include "kernels/cuda/attention_shape.h"

namespace lapidary::cuda {

struct PartialStats {
  float max, sum;
};

// AttentionArgs on the device.
struct AttentionView {
  const bf16* q;
  const Bits128 *k_pages, *v_pages;
  const int32_t *positions, *query_start, *block_start, *block_table;
  const int32_t* last_visible;  // null: causal
  bf16* out;
  int n_seqs, n_heads, n_kv_heads, group;
  int window;
  int n_angles;    // where V is stored once
  int key_chunks;  // 16 bytes each, of a key's row of K
  int tile_rows;   // of sequences that are not short
  bool splits;     // few queries beside the first of each sequence: all keys are cut into segments
  int max_segments;  // of a sequence; and one more, where its window starts within one
  // What segments leave, of each sequence, or where all are cut of each token.
  int slots;
  float* partial_sums;          // [.., slots, n_heads, head_dim]
  PartialStats* partial_stats;  // [.., slots, n_heads]
};

// Of a query: where it stands, and the last key that it sees.
struct QueryPlace {
  int position, last;
};

__device__ __forceinline__ QueryPlace query_at(const AttentionView& view, int token, int position) {
  return {position, view.last_visible == nullptr ? position : view.last_visible[token]};
}

// The one place that knows the mask.
__device__ __forceinline__ bool visible(const QueryPlace& query, int key, int window) {
  return key <= query.last && (window == 0 || key > query.position - window);
}

// Whether all queries from `first` to the position `last_query` see all these keys. Later queries
// see as far as earlier ones or further.
__device__ __forceinline__ bool all_visible(const QueryPlace& first, int last_query, int first_key,
                                            int last_key, int window) {
  return last_key <= first.last && (window == 0 || first_key > last_query - window);
}

// The first key that a query sees.
__device__ __forceinline__ int first_visible(int query, int window) {
  return window > 0 && query >= window ? query - window + 1 : 0;
}

struct KeyRange {
  int first, last;  // last < first: none
};

// Rows of a tile: packed (query, head of the group) pairs of one sequence and kv head.
struct RowTile {
  int sequence, kv_head;
  int first_token, first_position;  // of the sequence's first query
  int first_row, n_rows;            // counted from there
};

// --- a sequence ---

// Keys are cut at multiples of a length that depends on the sequence alone, and so does the result.
constexpr int kSegmentBits = 8;
constexpr int kSegmentKeys = 1 << kSegmentBits;
constexpr int kShortRows = 16;  // the tile of a short sequence

struct Segments {
  KeyRange keys;
  int bits, first, count;  // of 2^bits keys

  // Of segment i, and of this range: maybe none.
  __device__ __forceinline__ KeyRange at(int i, const KeyRange& range) const {
    if (count == 1) return range;
    return {max(range.first, (first + i) << bits), min(range.last, ((first + i + 1) << bits) - 1)};
  }
};

__device__ __forceinline__ Segments cut(const KeyRange& keys, int max_segments) {
  Segments s{keys, kSegmentBits, 0, 1};
  if (max_segments == 1) return s;
  while ((keys.last - keys.first) >> s.bits >= max_segments) ++s.bits;
  s.first = keys.first >> s.bits;
  s.count = (keys.last >> s.bits) - s.first + 1;
  return s;
}

// Of a sequence's queries: the first, where it stands, and how many.
struct SequenceRows {
  int token, n, position;
};

__device__ __forceinline__ SequenceRows rows_of(const AttentionView& view, int sequence) {
  SequenceRows rows;
  rows.token = view.query_start[sequence];
  rows.n = view.query_start[sequence + 1] - rows.token;
  rows.position = rows.n > 0 ? view.positions[rows.token] : 0;
  return rows;
}

// What a sequence asks of the kernel of short sequences (kShort) or of the other: n_tiles tiles of
// rows, each over all segments. None where it is the other's.
struct SequenceWork {
  int n_rows, n_tiles;
  Segments segments;

  __device__ __forceinline__ int pieces() const { return n_tiles * segments.count; }
};

template <bool kShort>
__device__ __forceinline__ SequenceWork work_of(const AttentionView& view,
                                                const SequenceRows& rows) {
  SequenceWork work{};
  work.n_rows = rows.n * view.group;
  const bool is_short = rows.n == 1 || (view.splits && work.n_rows <= kShortRows);
  if (rows.n == 0 || is_short != kShort) return work;
  const int tile_rows = kShort ? kShortRows : view.tile_rows;
  work.n_tiles = kShort ? 1 : (work.n_rows + tile_rows - 1) / tile_rows;
  const KeyRange keys{first_visible(rows.position, view.window), rows.position + rows.n - 1};
  const bool is_cut = kShort || view.splits;
  work.segments = cut(keys, is_cut ? max(1, view.max_segments / work.n_tiles) : 1);
  return work;
}

// --- lists of work ---

// Pieces of work of all sequences in their order, counted by each warp for itself: lane l counts
// those of sequences [l * share, (l + 1) * share).
struct WorkList {
  int share, before, mine, total;
};

struct WorkPlace {
  int sequence, index;  // of the sequence's pieces
};

template <bool kShort>
__device__ __forceinline__ WorkList list_work(const AttentionView& view) {
  constexpr int kAtOnce = 4;  // their loads need not wait for one another
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  WorkList list;
  list.share = (view.n_seqs + kWarpSize - 1) / kWarpSize;
  list.mine = 0;
  const int end = min(view.n_seqs, (lane + 1) * list.share);
  for (int s = lane * list.share; s < end; s += kAtOnce) {
    SequenceRows rows[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) rows[i] = rows_of(view, min(s + i, end - 1));
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      if (s + i < end) list.mine += work_of<kShort>(view, rows[i]).pieces();
    }
  }
  int through = list.mine;
  for (int step = 1; step < kWarpSize; step *= 2) {
    const int below = __shfl_up_sync(kAllLanes, through, step);
    if (lane >= step) through += below;
  }
  list.before = through - list.mine;
  list.total = __shfl_sync(kAllLanes, through, kWarpSize - 1);
  return list;
}

// REQUIRES: 0 <= index < list.total.
template <bool kShort>
__device__ __forceinline__ WorkPlace find_work(const AttentionView& view, const WorkList& list,
                                               int index) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const bool is_mine = index >= list.before && index < list.before + list.mine;
  const int owner = __ffs(static_cast<int>(__ballot_sync(kAllLanes, is_mine))) - 1;
  WorkPlace place{lane * list.share, index - list.before};
  while (is_mine) {
    const int n = work_of<kShort>(view, rows_of(view, place.sequence)).pieces();
    if (place.index < n) break;
    place.index -= n;
    ++place.sequence;
  }
  place.sequence = __shfl_sync(kAllLanes, place.sequence, owner);
  place.index = __shfl_sync(kAllLanes, place.index, owner);
  return place;
}

}  // namespace lapidary::cuda
