// The matrix micro-kernel: T rows x L lines of 16 outputs, accumulated in registers over all of
// K. Written once over the vector trait `Lanes`, compiled once per instruction set.
// Included only by tile_<isa>.cpp, after `Lanes` is defined there in the anonymous namespace; so
// every function here is private to that file and can never be linked into generic code.
// Promise: an output is one chain of multiply-adds over ascending k, the same for every T and L.
#pragma once

#include "kernels/cpu/isa.h"
#include "kernels/cpu/row_loops.h"

namespace lapidary::cpu {
namespace {

using F = Lanes::F;

// The ways to multiply. A step reads one line (64 bytes) of a panel and as many inputs of a row;
// a bf16 line is split into its even and odd inputs (halves) where there is no pair product.
struct WideBf16 {
  using Line = F;
  static constexpr int kHalves = 2;
  static F line(const char* panel, int64_t k, int half) {
    return half == 0 ? Lanes::even_bf16(panel + k * 64) : Lanes::odd_bf16(panel + k * 64);
  }
  static F input(const void* row, int64_t k, int half) {
    return Lanes::set1(static_cast<const float*>(row)[2 * k + half]);
  }
  static F step(F acc, F line, F input) { return Lanes::fma(line, input, acc); }
};

struct WideF32 {
  using Line = F;
  static constexpr int kHalves = 1;
  static F line(const char* panel, int64_t k, int /*half*/) {
    return Lanes::load(reinterpret_cast<const float*>(panel + k * 64));
  }
  static F input(const void* row, int64_t k, int /*half*/) {
    return Lanes::set1(static_cast<const float*>(row)[k]);
  }
  static F step(F acc, F line, F input) { return Lanes::fma(line, input, acc); }
};

// What a tile fetches into the second cache while it computes: the line `offset` bytes behind
// each line it uses, in the runs i of kAheadSteps steps with (i & mask) == phase. So the tiles
// that share a group of panels each bring a part of the next group in.
constexpr int64_t kAheadSteps = 32;
struct Ahead {
  int64_t offset = 0;
  int64_t mask = 0;
  int64_t phase = -1;  // -1: nothing
};

// gcc keeps `acc` in registers only when every loop that touches it is unrolled.
template <class Mul, int T, int L>
[[gnu::noinline]] void tile(const void* const* rows, const char* const* panels, int64_t n_steps,
                            Ahead ahead, float* out, int64_t out_stride) {
  const void* row[T];
  const char* panel[L];
  F acc[T][L];
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t) row[t] = rows[t];
#pragma GCC unroll 16
  for (int l = 0; l < L; ++l) panel[l] = panels[l];
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t) {
#pragma GCC unroll 16
    for (int l = 0; l < L; ++l) acc[t][l] = Lanes::zero();
  }
  const auto step = [&](int64_t k) __attribute__((always_inline)) {
#pragma GCC unroll 2
    for (int half = 0; half < Mul::kHalves; ++half) {
      typename Mul::Line line[L];
#pragma GCC unroll 16
      for (int l = 0; l < L; ++l) line[l] = Mul::line(panel[l], k, half);
#pragma GCC unroll 16
      for (int t = 0; t < T; ++t) {
        const auto input = Mul::input(row[t], k, half);
#pragma GCC unroll 16
        for (int l = 0; l < L; ++l) acc[t][l] = Mul::step(acc[t][l], line[l], input);
      }
    }
  };
  // Two loops, because a branch in each step costs a tenth of the speed.
  for (int64_t k = 0; k < n_steps;) {
    const int64_t end = k + kAheadSteps < n_steps ? k + kAheadSteps : n_steps;
    if ((k / kAheadSteps & ahead.mask) == ahead.phase) {
#pragma GCC unroll 1
      for (; k < end; ++k) {
#pragma GCC unroll 16
        for (int l = 0; l < L; ++l) __builtin_prefetch(panel[l] + k * 64 + ahead.offset, 0, 2);
        step(k);
      }
    }
#pragma GCC unroll 1
    for (; k < end; ++k) step(k);
  }
#pragma GCC unroll 16
  for (int t = 0; t < T; ++t) {
#pragma GCC unroll 16
    for (int l = 0; l < L; ++l) Lanes::store(out + t * out_stride + l * kLanes, acc[t][l]);
  }
}

// The instance of `tile` for n_rows x n_lines, each between 1 and the trait's tile.
template <class Mul, int T = Lanes::kTileRows, int L = Lanes::kTileLines>
void run_tile(int n_rows, int n_lines, const void* const* rows, const char* const* panels,
              int64_t n_steps, Ahead ahead, float* out, int64_t out_stride) {
  if constexpr (T > 1) {
    if (n_rows < T) {
      return run_tile<Mul, T - 1, L>(n_rows, n_lines, rows, panels, n_steps, ahead, out,
                                     out_stride);
    }
  }
  if constexpr (L > 1) {
    if (n_lines < L) {
      return run_tile<Mul, T, L - 1>(n_rows, n_lines, rows, panels, n_steps, ahead, out,
                                     out_stride);
    }
  }
  tile<Mul, T, L>(rows, panels, n_steps, ahead, out, out_stride);
}

inline int min_of(int64_t a, int64_t b) { return static_cast<int>(a < b ? a : b); }

// n rows in as few tiles as hold them, of nearly equal height: 8 rows are 4 + 4, not 6 + 2.
struct RowTiles {
  int64_t n;
  int64_t count;

  explicit RowTiles(int64_t n_rows)
      : n(n_rows), count((n_rows + Lanes::kTileRows - 1) / Lanes::kTileRows) {}
  int64_t begin(int64_t i) const { return n * i / count; }
};

// Groups larger than this would push each other out of the second cache, so only the next lines
// of the same panels are fetched.
constexpr int64_t kMostAhead = int64_t{256} << 10;
constexpr int64_t kLinesAhead = 64;

// Which part of the fetching the tile i of n does for a group that lies `offset` bytes behind.
inline Ahead share_of(int64_t offset, int64_t i, int64_t n) {
  Ahead ahead;
  ahead.offset = offset;
  while (2 * (ahead.mask + 1) <= n && ahead.mask < 7) ahead.mask = 2 * ahead.mask + 1;
  ahead.phase = i <= ahead.mask ? i : -1;
  return ahead;
}

// Calls epilogue(first panel of the group, its panels, first row, rows, tile outputs) with the
// tile's outputs in a small buffer; the group's panels stay in cache while all rows pass.
template <class Mul, int kGroup, class Epilogue>
void for_tiles(const PanelJob& job, const Epilogue& epilogue) {
  constexpr int kLines = Lanes::kTileLines;
  alignas(64) float buffer[Lanes::kTileRows * kGroup * kLanes];
  const auto* base = static_cast<const char*>(job.panels);
  const auto* next = static_cast<const char*>(job.next);
  const RowTiles tiles(job.n_rows);
  for (int64_t p = 0; p < job.n_panels; p += kGroup) {
    const int n_group = min_of(kGroup, job.n_panels - p);
    const int64_t group_bytes = n_group * job.n_steps * 64;
    const char* panels[kGroup];
    for (int i = 0; i < n_group; ++i) panels[i] = base + (p + i) * job.n_steps * 64;
    int64_t offset = p + kGroup < job.n_panels ? group_bytes
                     : next != nullptr         ? next - panels[0]
                                               : 0;
    if (group_bytes > kMostAhead) offset = kLinesAhead * 64;
    for (int64_t i = 0; i < tiles.count; ++i) {
      const int64_t r = tiles.begin(i);
      const auto n_rows = static_cast<int>(tiles.begin(i + 1) - r);
      const Ahead ahead = offset == 0 ? Ahead{} : share_of(offset, i, tiles.count);
      for (int l = 0; l < n_group; l += kLines) {
        run_tile<Mul>(n_rows, min_of(kLines, n_group - l), job.rows + r, panels + l, job.n_steps,
                      ahead, buffer + l * kLanes, kGroup * kLanes);
      }
      epilogue(p, n_group, r, n_rows, buffer);
    }
  }
}

template <class Mul>
void multiply(const PanelJob& job) {
  constexpr int kGroup = Lanes::kTileLines;
  for_tiles<Mul, kGroup>(job, [&](int64_t p, int n_group, int64_t r, int n_rows, const float* in) {
    for (int t = 0; t < n_rows; ++t) {
      auto* out = reinterpret_cast<float*>(static_cast<char*>(job.out) + (r + t) * job.out_stride);
      for (int l = 0; l < n_group; ++l) {
        const int64_t column = (p + l) * kLanes;
        Lanes::store_n(out + column, Lanes::load(in + (t * kGroup + l) * kLanes),
                       min_of(kLanes, job.n_cols - column));
      }
    }
  });
}

// Gate and up panels alternate, so a pair of them is all that 16 outputs need.
template <class Mul, bool kPrepared>
void geglu(const PanelJob& job) {
  constexpr int kGroup = Lanes::kTileLines < 2 ? 2 : Lanes::kTileLines;
  for_tiles<Mul, kGroup>(job, [&](int64_t p, int n_group, int64_t r, int n_rows, const float* in) {
    for (int t = 0; t < n_rows; ++t) {
      char* out = static_cast<char*>(job.out) + (r + t) * job.out_stride;
      for (int l = 0; l < n_group; l += 2) {
        const float* pair = in + (t * kGroup + l) * kLanes;
        const F y = Lanes::mul(gelu(Lanes::load(pair)), Lanes::load(pair + kLanes));
        const int64_t column = (p + l) / 2 * kLanes;
        if constexpr (kPrepared) {
          Lanes::store_input(out, column, y);
        } else {
          Lanes::store_n(reinterpret_cast<float*>(out) + column, y,
                         min_of(kLanes, job.n_cols - column));
        }
      }
    }
  });
}

}  // namespace
}  // namespace lapidary::cpu
