// Attention of a tile of queries to the pages of one kv head: scores by the matrix tile (a page
// of K is a panel of 16 keys), online softmax over aligned blocks of 64 keys, then P . V.
// Included only by tile_<isa>.cpp (see tile.h).
// Promise: a query's result depends on its own keys alone: blocks stand at absolute positions,
// and a block of which it sees nothing leaves its state exactly as it was.
#pragma once

#include "kernels/cpu/isa.h"
#include "kernels/cpu/tile.h"

namespace lapidary::cpu {
namespace {

constexpr int kPageKeys = 16;
constexpr int kBlockPages = kAttendKeys / kPageKeys;
constexpr float kNoKey = -1e30F;  // the maximum before any key: finite, so that x - max is no NaN

struct ValueBf16 {
  static constexpr int64_t kBytes = 2;
  static F load(const void* page, int64_t i) {
    return Lanes::load_bf16(static_cast<const uint16_t*>(page) + i);
  }
};
struct ValueF32 {
  static constexpr int64_t kBytes = 4;
  static F load(const void* page, int64_t i) {
    return Lanes::load(static_cast<const float*>(page) + i);
  }
};

// The keys of one block that some query of the tile sees, and where they lie.
struct Block {
  int64_t first_key;
  const void* const* k_pages;  // [kBlockPages], of which [first_page, end_page) are read
  const void* const* v_pages;
  int first_page, end_page;
  int first, end;  // keys of the block that are read
  // What to fetch meanwhile: the pages of the next block. Pages lie scattered, so the hardware
  // does not foresee them.
  bool is_fetched = false;  // this block was the next one of another
  bool fetches = false;
  const char* next_k[kBlockPages];
  const char* next_v[kBlockPages];
};

// Masks one row's scores, turns them into exp(score - max) and moves its state along.
// Returns the factor for what was accumulated under the old maximum.
inline float softmax_row(const Block& block, int64_t low, int64_t high, float* scores, float* max,
                         float* sum) {
  F s[kBlockPages];
  F top = Lanes::set1(*max);
  for (int i = 0; i < kBlockPages; ++i) {
    const int64_t key = block.first_key + i * kPageKeys;
    const F value = i >= block.first_page && i < block.end_page
                        ? Lanes::load(scores + i * kPageKeys)
                        : Lanes::zero();
    const int begin = static_cast<int>(low <= key ? 0 : low - key < kLanes ? low - key : kLanes);
    const int end = static_cast<int>(high < key            ? 0
                                     : high - key < kLanes ? high - key + 1
                                                           : kLanes);
    s[i] = Lanes::keep_range(value, begin, end, Lanes::set1(-__builtin_inff()));
    top = Lanes::max(top, s[i]);
  }
  const float new_max = Lanes::reduce_max(top);
  const F shift = Lanes::set1(new_max);
  for (int i = 0; i < kBlockPages; ++i) {
    s[i] = exp_lanes(Lanes::sub(s[i], shift));
    Lanes::store(scores + i * kPageKeys, s[i]);
  }
  const float p = Lanes::reduce_add(Lanes::add(Lanes::add(s[0], s[1]), Lanes::add(s[2], s[3])));
  const float factor = Lanes::first(exp_lanes(Lanes::set1(*max - new_max)));
  *sum = *sum * factor + p;
  *max = new_max;
  return factor;
}

// acc[t] = acc[t] * factor[t] + sum_j p[t][j] V[j] for T rows and L lines of 16 columns.
template <class Value, int T, int L>
[[gnu::noinline]] void add_values(const Block& block, const float* p, const float* factor,
                                  int head_dim, int column, bool fetches, float* acc) {
  F sum[T][L];
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t) {
#pragma GCC unroll 16
    for (int l = 0; l < L; ++l) {
      sum[t][l] =
          Lanes::mul(Lanes::load(acc + t * head_dim + column + l * kLanes), Lanes::set1(factor[t]));
    }
  }
  const auto step = [&](int j) __attribute__((always_inline)) {
    const int64_t at = static_cast<int64_t>(j % kPageKeys) * head_dim + column;
    F value[L];
#pragma GCC unroll 16
    for (int l = 0; l < L; ++l) {
      value[l] = Value::load(block.v_pages[j / kPageKeys], at + l * kLanes);
    }
#pragma GCC unroll 16
    for (int t = 0; t < T; ++t) {
      const F weight = Lanes::set1(p[t * kAttendKeys + j]);
#pragma GCC unroll 16
      for (int l = 0; l < L; ++l) sum[t][l] = Lanes::fma(weight, value[l], sum[t][l]);
    }
  };
  int j = block.first;
  if (fetches) {
#pragma GCC unroll 1
    for (; j < block.end; ++j) {
      // The steps of all columns cover the next pages once, a bit of each page in turn.
      const int page = j % kBlockPages;
      const int64_t at = (static_cast<int64_t>(column) * kPageKeys +
                          static_cast<int64_t>(j / kBlockPages) * L * kLanes) *
                         Value::kBytes;
#pragma GCC unroll 16
      for (int64_t i = 0; i < L * kLanes * Value::kBytes; i += 64) {
        __builtin_prefetch(block.next_k[page] + at + i, 0, 2);
        __builtin_prefetch(block.next_v[page] + at + i, 0, 2);
      }
      step(j);
    }
  }
#pragma GCC unroll 1
  for (; j < block.end; ++j) step(j);
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t) {
#pragma GCC unroll 16
    for (int l = 0; l < L; ++l) {
      Lanes::store(acc + t * head_dim + column + l * kLanes, sum[t][l]);
    }
  }
}

template <class Value, int T = Lanes::kTileRows, int L = Lanes::kTileLines>
void run_add_values(int n_rows, int n_lines, const Block& block, const float* p,
                    const float* factor, int head_dim, int column, bool fetches, float* acc) {
  if constexpr (T > 1) {
    if (n_rows < T) {
      return run_add_values<Value, T - 1, L>(n_rows, n_lines, block, p, factor, head_dim, column,
                                             fetches, acc);
    }
  }
  if constexpr (L > 1) {
    if (n_lines < L) {
      return run_add_values<Value, T, L - 1>(n_rows, n_lines, block, p, factor, head_dim, column,
                                             fetches, acc);
    }
  }
  add_values<Value, T, L>(block, p, factor, head_dim, column, fetches, acc);
}

template <class Mul, class Value>
void attend_block(const AttendJob& job, const Block& block, int64_t n_steps) {
  constexpr int kRows = Lanes::kTileRows;
  constexpr int kLines = Lanes::kTileLines;
  const char* panels[kBlockPages];
  for (int i = block.first_page; i < block.end_page; ++i) {
    panels[i] = static_cast<const char*>(block.k_pages[i]);
  }
  const RowTiles tiles(job.n_rows);
  // K and V lie alike in their own memory, so V is the same distance behind every page of K.
  const int64_t to_values = static_cast<const char*>(block.v_pages[block.first_page]) -
                            static_cast<const char*>(block.k_pages[block.first_page]);
  for (int64_t i = 0; i < tiles.count; ++i) {
    const auto r = static_cast<int>(tiles.begin(i));
    const int n_rows = static_cast<int>(tiles.begin(i + 1)) - r;
    float* scores = job.scores + r * kAttendKeys;
    for (int l = block.first_page; l < block.end_page; l += kLines) {
      run_tile<Mul>(n_rows, min_of(kLines, block.end_page - l), job.queries + r, panels + l,
                    n_steps, block.is_fetched ? Ahead{} : share_of(to_values, i, tiles.count),
                    scores + l * kLanes, kAttendKeys);
    }
    float factor[kRows];
    for (int t = 0; t < n_rows; ++t) {
      const int64_t high = job.last_keys[r + t];
      const int64_t low = job.window > 0 ? int64_t{job.positions[r + t]} - job.window + 1 : 0;
      factor[t] =
          softmax_row(block, low, high, scores + t * kAttendKeys, job.max + r + t, job.sum + r + t);
    }
    const int n_lines = job.head_dim / kLanes;
    for (int l = 0; l < n_lines; l += kLines) {
      run_add_values<Value>(n_rows, min_of(kLines, n_lines - l), block, scores, factor,
                            job.head_dim, l * kLanes, block.fetches && i + 1 == tiles.count,
                            job.acc + r * job.head_dim);
    }
  }
}

template <class Mul, class Value, int kInputsAStep>
void attend(const AttendJob& job) {
  int64_t low = job.positions[0];
  int64_t high = job.last_keys[0];
  for (int r = 0; r < job.n_rows; ++r) {
    job.max[r] = kNoKey;
    job.sum[r] = 0;
    low = job.positions[r] < low ? job.positions[r] : low;
    high = job.last_keys[r] > high ? job.last_keys[r] : high;
  }
  for (int64_t i = 0; i < static_cast<int64_t>(job.n_rows) * job.head_dim; ++i) job.acc[i] = 0;
  low = job.window > 0 ? low - job.window + 1 : 0;

  bool is_fetched = false;
  for (int page = 0; page < job.n_pages; page += kBlockPages) {
    const int64_t first_key = job.first_key + page * kPageKeys;
    if (first_key > high || first_key + kAttendKeys <= low) continue;
    Block block;
    block.first_key = first_key;
    block.k_pages = job.k_pages + page;
    block.v_pages = job.v_pages + page;
    block.first = low > first_key ? static_cast<int>(low - first_key) : 0;
    block.end = min_of(kAttendKeys, high - first_key + 1);
    block.first_page = block.first / kPageKeys;
    block.end_page = (block.end + kPageKeys - 1) / kPageKeys;
    block.is_fetched = is_fetched;
    block.fetches = page + kBlockPages < job.n_pages && first_key + kAttendKeys <= high;
    for (int i = 0; block.fetches && i < kBlockPages; ++i) {
      const int at = page + kBlockPages + i;
      const bool exists = job.k_pages[at] != nullptr;
      block.next_k[i] = static_cast<const char*>(job.k_pages[exists ? at : page + kBlockPages]);
      block.next_v[i] = static_cast<const char*>(job.v_pages[exists ? at : page + kBlockPages]);
    }
    attend_block<Mul, Value>(job, block, job.head_dim / kInputsAStep);
    is_fetched = block.fetches;
  }
}

void merge(float* max, float* sum, float* acc, float max2, float sum2, const float* acc2,
           int64_t n) {
  const float top = *max > max2 ? *max : max2;
  const float a = Lanes::first(exp_lanes(Lanes::set1(*max - top)));
  const float b = Lanes::first(exp_lanes(Lanes::set1(max2 - top)));
  for_lanes(n, [&](int64_t i, int left) {
    const F old = Lanes::mul(Lanes::load_n(acc + i, left), Lanes::set1(a));
    Lanes::store_n(acc + i, Lanes::fma(Lanes::load_n(acc2 + i, left), Lanes::set1(b), old), left);
  });
  *sum = *sum * a + sum2 * b;
  *max = top;
}

void finish(float sum, const float* acc, int64_t n, float* out) {
  const F scale = Lanes::set1(1.0F / sum);
  for_lanes(n, [&](int64_t i, int left) {
    Lanes::store_n(out + i, Lanes::mul(Lanes::load_n(acc + i, left), scale), left);
  });
}

}  // namespace
}  // namespace lapidary::cpu
