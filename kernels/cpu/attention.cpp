// attention: cuts the queries into tiles of one kv head, and the keys of a tile into segments at
// fixed positions. Each segment has a softmax state of its own; the states of a query are joined
// in ascending order, so the result does not depend on who computed which.
#include <algorithm>
#include <array>
#include <vector>

#include "kernels/cpu/cpu_backend.h"

namespace lapidary::cpu {
namespace {

constexpr int kSegmentKeys = 1024;
constexpr int kSegmentPages = kSegmentKeys / kPageSize;
constexpr float kNoMaximum = -1e30F;
static_assert(kSegmentKeys % kAttendKeys == 0);

// Memory that split tiles may take for their states; a tile beyond it is walked by one thread.
constexpr int64_t kStateFloats = int64_t{64} << 20;

// Up to kAttendRows queries of one sequence and kv head, counted token by token, head by head.
struct Tile {
  int32_t sequence;
  int32_t kv_head;
  int32_t first_row;
  int32_t n_rows;
  int64_t low, high;  // keys that some query sees
  int32_t first_segment, n_segments;
  int64_t states;  // split: floats into the partial states; else -1
};

struct Piece {
  int32_t tile;
  int32_t segment;  // -1: all of the tile, and its end
};

struct TileRow {
  int32_t tile;
  int32_t row;
};

// Scratch of one thread.
struct PieceMemory {
  float *scores, *max, *sum, *acc, *all_max, *all_sum, *all_acc;
  char* queries;

  static size_t floats(int64_t head_dim) {
    const auto rows = static_cast<size_t>(kAttendRows);
    return rows * (kAttendKeys + 4 + 3 * static_cast<size_t>(head_dim));
  }
  PieceMemory(float* at, int64_t head_dim) {
    const auto next = [&at](int64_t n) {
      float* p = at;
      at += kAttendRows * n;
      return p;
    };
    scores = next(kAttendKeys);
    acc = next(head_dim);
    all_acc = next(head_dim);
    queries = reinterpret_cast<char*>(next(head_dim));
    max = next(1);
    sum = next(1);
    all_max = next(1);
    all_sum = next(1);
  }
};

// Row of the batch in which row r of the tile stands.
int64_t token_of(const AttentionArgs& args, const Tile& tile, int r) {
  const int group = args.n_heads / args.n_kv_heads;
  return args.query_start.as<int32_t>()[tile.sequence] + (tile.first_row + r) / group;
}

// The last key that a token sees.
int32_t last_key_of(const AttentionArgs& args, int64_t token) {
  const Tensor& last = args.last_visible.empty() ? args.positions : args.last_visible;
  return last.as<int32_t>()[token];
}

// Where in q and in out row r of the tile begins.
int64_t output_of(const AttentionArgs& args, const Tile& tile, int r) {
  const int group = args.n_heads / args.n_kv_heads;
  const int head = tile.kv_head * group + (tile.first_row + r) % group;
  return (token_of(args, tile, r) * args.n_heads + head) * args.head_dim;
}

struct SegmentPages {
  std::array<const void*, kSegmentPages> k{};
  std::array<const void*, kSegmentPages> v{};
};

// The pages of the tile's head that hold keys its queries see, in one segment.
SegmentPages find_pages(const AttentionArgs& args, const Tile& tile, int segment) {
  SegmentPages pages;
  const int64_t first_key = int64_t{tile.first_segment + segment} * kSegmentKeys;
  const int64_t from = std::max(tile.low, first_key) / kPageSize;
  const int64_t to = std::min(tile.high, first_key + kSegmentKeys - 1) / kPageSize;
  const int32_t block_start = args.block_start.as<int32_t>()[tile.sequence];
  const int32_t block_end = args.block_start.as<int32_t>()[tile.sequence + 1];
  const int64_t head_bytes =
      int64_t{kPageSize} * args.head_dim * static_cast<int64_t>(dtype_bytes(args.k_pages.dtype));
  for (int64_t p = from; p <= to; ++p) {
    CHECK(block_start + p < block_end);
    const int32_t page = args.block_table.as<int32_t>()[block_start + p];
    CHECK(page >= 0 && page < args.k_pages.dim(0));
    const int64_t at = (int64_t{page} * args.n_kv_heads + tile.kv_head) * head_bytes;
    pages.k[p - first_key / kPageSize] = static_cast<const char*>(args.k_pages.data) + at;
    pages.v[p - first_key / kPageSize] = static_cast<const char*>(args.v_pages.data) + at;
  }
  return pages;
}

struct SegmentState {
  float *max, *sum, *acc;  // [n_rows], [n_rows], [n_rows, head_dim]
};

SegmentState state_of(float* of_tile, const Tile& tile, int segment, int64_t head_dim) {
  float* max = of_tile + int64_t{segment} * tile.n_rows * (2 + head_dim);
  return {max, max + tile.n_rows, max + 2 * tile.n_rows};
}

// No key that a query sees may stand behind the chunk: it would not be written yet.
void check_spans(const AttentionArgs& args) {
  const auto* starts = args.query_start.as<int32_t>();
  const auto* positions = args.positions.as<int32_t>();
  const auto* last = args.last_visible.as<int32_t>();
  for (int64_t s = 0; s + 1 < args.query_start.dim(0); ++s) {
    for (int32_t t = starts[s]; t < starts[s + 1]; ++t) {
      CHECK(last[t] >= positions[t] && last[t] <= positions[starts[s + 1] - 1]);
      CHECK(t == starts[s] || last[t] >= last[t - 1]);
    }
  }
}

void check_shapes(const AttentionArgs& args, int64_t n) {
  const int64_t d = args.head_dim;
  const int64_t n_seqs = args.query_start.dim(0) - 1;
  const int64_t pages = args.k_pages.dim(0);
  CHECK(d % kLanes == 0 && args.n_kv_heads > 0 && args.n_heads % args.n_kv_heads == 0);
  expect_shape(args.q, DType::f32, {n, args.n_heads * d});
  expect_shape(args.out, DType::f32, {n, args.n_heads * d});
  expect_shape(args.positions, DType::i32, {n});
  expect_shape(args.query_start, DType::i32, {n_seqs + 1});
  expect_shape(args.block_start, DType::i32, {n_seqs + 1});
  expect_shape(args.k_pages, args.k_pages.dtype, {pages, args.n_kv_heads, kPageSize, d});
  expect_shape(args.v_pages, args.k_pages.dtype, {pages, args.n_kv_heads, kPageSize, d});
  CHECK(args.query_start.as<int32_t>()[0] == 0 && args.query_start.as<int32_t>()[n_seqs] == n);
  if (args.last_visible.empty()) return;
  expect_shape(args.last_visible, DType::i32, {n});
  check_spans(args);
}

}  // namespace

struct CpuBackend::AttentionPlan {
  Product product = Product::bf16_bf16;
  std::vector<Tile> tiles;
  std::vector<Piece> pieces;
  std::vector<TileRow> rows_to_join;  // of split tiles
  int64_t state_floats = 0;
  float* states = nullptr;  // a split tile: [n_segments][n_rows](max, sum, acc[head_dim])
};

void CpuBackend::plan_attention(const AttentionArgs& args, AttentionPlan& plan) const {
  const auto* query_start = args.query_start.as<int32_t>();
  const auto* positions = args.positions.as<int32_t>();
  const auto n_seqs = static_cast<int32_t>(args.query_start.dim(0) - 1);
  const int group = args.n_heads / args.n_kv_heads;
  plan.product = args.k_pages.dtype == DType::f32 ? Product::f32_f32
                 : compute_ == DType::bf16        ? Product::bf16_bf16
                                                  : Product::bf16_f32;
  int64_t all_segments = 0;
  for (int32_t s = 0; s < n_seqs; ++s) {
    const int32_t n_rows = (query_start[s + 1] - query_start[s]) * group;
    for (int32_t row = 0; row < n_rows; row += kAttendRows) {
      Tile tile{};
      tile.sequence = s;
      tile.first_row = row;
      tile.n_rows = std::min(kAttendRows, n_rows - row);
      const int64_t first = positions[query_start[s] + row / group];
      tile.high = last_key_of(args, query_start[s] + (row + tile.n_rows - 1) / group);
      tile.low = args.window > 0 ? std::max<int64_t>(0, first - args.window + 1) : 0;
      tile.first_segment = static_cast<int32_t>(tile.low / kSegmentKeys);
      tile.n_segments = static_cast<int32_t>(tile.high / kSegmentKeys) - tile.first_segment + 1;
      tile.states = -1;
      for (int32_t head = 0; head < args.n_kv_heads; ++head) {
        tile.kv_head = head;
        plan.tiles.push_back(tile);
        all_segments += tile.n_segments;
      }
    }
  }
  // A tile that is more than its share of the work is split between the threads.
  const int64_t share = std::max<int64_t>(1, all_segments / (2 * n_threads()));
  for (int32_t i = 0; i < static_cast<int32_t>(plan.tiles.size()); ++i) {
    Tile& tile = plan.tiles[i];
    const int64_t floats = int64_t{tile.n_segments} * tile.n_rows * (2 + args.head_dim);
    if (n_threads() == 1 || tile.n_segments <= share || plan.state_floats + floats > kStateFloats) {
      plan.pieces.push_back({i, -1});
      continue;
    }
    tile.states = plan.state_floats;
    plan.state_floats += floats;
    for (int32_t g = 0; g < tile.n_segments; ++g) plan.pieces.push_back({i, g});
    for (int32_t r = 0; r < tile.n_rows; ++r) plan.rows_to_join.push_back({i, r});
  }
}

void CpuBackend::attend_piece(const AttentionArgs& args, const AttentionPlan& plan, int thread,
                              int64_t index) {
  const Piece piece = plan.pieces[index];
  const Tile& tile = plan.tiles[piece.tile];
  const int64_t d = args.head_dim;
  const PieceMemory memory(of_thread_[thread].reserve<float>(PieceMemory::floats(d)), d);
  const void* queries[kAttendRows];
  int32_t positions[kAttendRows];
  int32_t last_keys[kAttendRows];
  const bool prepare = plan.product == Product::bf16_bf16;
  for (int r = 0; r < tile.n_rows; ++r) {
    const float* q = args.q.as<float>() + output_of(args, tile, r);
    positions[r] = args.positions.as<int32_t>()[token_of(args, tile, r)];
    last_keys[r] = last_key_of(args, token_of(args, tile, r));
    queries[r] =
        prepare ? memory.queries + r * d * input_bytes(plan.product) : static_cast<const void*>(q);
    if (prepare) kernels_.prepare(q, d, memory.queries + r * d * input_bytes(plan.product));
    memory.all_max[r] = kNoMaximum;
    memory.all_sum[r] = 0;
    std::fill_n(memory.all_acc + r * d, d, 0.0F);
  }
  const int first = piece.segment < 0 ? 0 : piece.segment;
  const int end = piece.segment < 0 ? tile.n_segments : piece.segment + 1;
  for (int segment = first; segment < end; ++segment) {
    const SegmentPages pages = find_pages(args, tile, segment);
    AttendJob job{};
    job.queries = queries;
    job.positions = positions;
    job.last_keys = last_keys;
    job.n_rows = tile.n_rows;
    job.k_pages = pages.k.data();
    job.v_pages = pages.v.data();
    job.n_pages = kSegmentPages;
    job.first_key = int64_t{tile.first_segment + segment} * kSegmentKeys;
    job.head_dim = args.head_dim;
    job.window = args.window;
    job.scores = memory.scores;
    const SegmentState state = tile.states < 0
                                   ? SegmentState{memory.max, memory.sum, memory.acc}
                                   : state_of(plan.states + tile.states, tile, segment, d);
    job.max = state.max;
    job.sum = state.sum;
    job.acc = state.acc;
    kernels_.attend[static_cast<int>(plan.product)](job);
    if (tile.states >= 0) return;
    for (int r = 0; r < tile.n_rows; ++r) {
      kernels_.merge(memory.all_max + r, memory.all_sum + r, memory.all_acc + r * d, state.max[r],
                     state.sum[r], state.acc + r * d, d);
    }
  }
  for (int r = 0; r < tile.n_rows; ++r) {
    kernels_.finish(memory.all_sum[r], memory.all_acc + r * d, d,
                    args.out.as<float>() + output_of(args, tile, r));
  }
}

void CpuBackend::join_segments(const AttentionArgs& args, const AttentionPlan& plan, int thread,
                               int64_t index) {
  const auto [tile_index, r] = plan.rows_to_join[index];
  const Tile& tile = plan.tiles[tile_index];
  const int64_t d = args.head_dim;
  const PieceMemory memory(of_thread_[thread].reserve<float>(PieceMemory::floats(d)), d);
  memory.all_max[0] = kNoMaximum;
  memory.all_sum[0] = 0;
  std::fill_n(memory.all_acc, d, 0.0F);
  for (int segment = 0; segment < tile.n_segments; ++segment) {
    const SegmentState state = state_of(plan.states + tile.states, tile, segment, d);
    kernels_.merge(memory.all_max, memory.all_sum, memory.all_acc, state.max[r], state.sum[r],
                   state.acc + r * d, d);
  }
  kernels_.finish(memory.all_sum[0], memory.all_acc, d,
                  args.out.as<float>() + output_of(args, tile, r));
}

void CpuBackend::attention(const AttentionArgs& args) {
  const int64_t n = args.q.dim(0);
  check_shapes(args, n);
  if (n == 0) return;
  AttentionPlan plan;
  plan_attention(args, plan);
  plan.states = partial_.reserve<float>(static_cast<size_t>(plan.state_floats));
  for (Scratch& scratch : of_thread_) {
    scratch.reserve<float>(PieceMemory::floats(args.head_dim));
  }
  const auto n_pieces = static_cast<int64_t>(plan.pieces.size());
  // Later queries see more keys: the longest pieces go first, so that the threads end together.
  pool_.run(n_pieces,
            [&](int thread, int64_t i) { attend_piece(args, plan, thread, n_pieces - 1 - i); });
  pool_.run(static_cast<int64_t>(plan.rows_to_join.size()),
            [&](int thread, int64_t i) { join_segments(args, plan, thread, i); });
}

}  // namespace lapidary::cpu
