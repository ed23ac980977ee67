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
  bf16* out;
  int n_seqs, n_heads, n_kv_heads, group;
  int window;
  int n_angles;      // where V is stored once
  int key_chunks;    // 16 bytes each, of a key's row of K
  int max_segments;  // of a decoding sequence; and one more, where its window starts within one
  int slots;         // of partial results a sequence
  float* partial_sums;          // [n_seqs, slots, n_heads, head_dim]
  PartialStats* partial_stats;  // [n_seqs, slots, n_heads]
};

// The one place that knows the mask.
__device__ __forceinline__ bool visible(int query, int key, int window) {
  return key <= query && (window == 0 || key > query - window);
}

// Whether all these queries see all these keys.
__device__ __forceinline__ bool all_visible(int first_query, int last_query, int first_key,
                                            int last_key, int window) {
  return visible(first_query, last_key, window) && visible(last_query, first_key, window);
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

// --- segments of a decoding sequence ---

// Keys are cut at multiples of a length that depends on the sequence alone, and so does the result.
constexpr int kSegmentKeys = 256;

struct Segments {
  KeyRange keys;
  int length, first, count;

  __device__ KeyRange at(int i) const {
    return {max(keys.first, (first + i) * length), min(keys.last, (first + i + 1) * length - 1)};
  }
};

__device__ __forceinline__ Segments segments_of(int position, const AttentionView& view) {
  Segments s;
  s.keys = {first_visible(position, view.window), position};
  s.length = kSegmentKeys;
  while (position - s.keys.first >= s.length * view.max_segments) s.length *= 2;
  s.first = s.keys.first / s.length;
  s.count = position / s.length - s.first + 1;
  return s;
}

// --- lists of work ---

// Work of all sequences in their order, counted by each warp for itself: lane l counts that of
// sequences [l * share, (l + 1) * share).
struct WorkList {
  int share, before, mine, total;
};

struct WorkPlace {
  int sequence, index;  // of the sequence's work
};

template <typename Count>
__device__ __forceinline__ WorkList list_work(int n_seqs, const Count& count) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  WorkList list;
  list.share = (n_seqs + kWarpSize - 1) / kWarpSize;
  list.mine = 0;
  const int end = min(n_seqs, (lane + 1) * list.share);
  for (int s = lane * list.share; s < end; ++s) list.mine += count(s);
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
template <typename Count>
__device__ __forceinline__ WorkPlace find_work(const WorkList& list, int index,
                                               const Count& count) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const bool is_mine = index >= list.before && index < list.before + list.mine;
  const int owner = __ffs(static_cast<int>(__ballot_sync(kAllLanes, is_mine))) - 1;
  WorkPlace place{lane * list.share, index - list.before};
  if (is_mine) {
    for (int n = count(place.sequence); place.index >= n; n = count(place.sequence)) {
      place.index -= n;
      ++place.sequence;
    }
  }
  place.sequence = __shfl_sync(kAllLanes, place.sequence, owner);
  place.index = __shfl_sync(kAllLanes, place.index, owner);
  return place;
}

}  // namespace lapidary::cuda
