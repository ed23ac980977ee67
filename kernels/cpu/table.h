// Assembles the `Kernels` of one instruction set, with the loops of the probe.
// Included last by tile_<isa>.cpp (see tile.h).
#pragma once

#include "kernels/cpu/attend.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/tile.h"

namespace lapidary::cpu {
namespace {

// Multiply-adds on registers alone, in as many chains as the tile has accumulators.
template <class Mul, int kInputs>
int64_t peak_loop(int64_t n, float* sink) {
  constexpr int kChains = Lanes::kTileRows * Lanes::kTileLines;
  alignas(64) float zeros[kLanes] = {};
  const auto line = Mul::line(reinterpret_cast<const char*>(zeros), 0, 0);
  const auto input = Mul::input(zeros, 0, 0);
  F acc[kChains];
#pragma GCC unroll 32
  for (int c = 0; c < kChains; ++c) {  // all different, lest equal chains be computed once
    acc[c] = Lanes::set1(sink[0] + static_cast<float>(c));
  }
#pragma GCC unroll 1
  for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 32
    for (int c = 0; c < kChains; ++c) acc[c] = Mul::step(acc[c], line, input);
  }
  F total = acc[0];
#pragma GCC unroll 32
  for (int c = 1; c < kChains; ++c) total = Lanes::add(total, acc[c]);
  sink[0] = Lanes::first(total);
  return n * kChains * kLanes * 2 * kInputs;
}

inline float stream(const void* from, int64_t n) {
  const auto* p = static_cast<const float*>(from);
  constexpr int kStreams = 8;
  F sum[kStreams];
#pragma GCC unroll 8
  for (int s = 0; s < kStreams; ++s) sum[s] = Lanes::zero();
#pragma GCC unroll 1
  for (int64_t i = 0; i < n / 4; i += kStreams * kLanes) {
#pragma GCC unroll 8
    for (int s = 0; s < kStreams; ++s) {
      __builtin_prefetch(p + i + s * kLanes + 1024);
      sum[s] = Lanes::add(sum[s], Lanes::load(p + i + s * kLanes));
    }
  }
#pragma GCC unroll 8
  for (int s = 1; s < kStreams; ++s) sum[0] = Lanes::add(sum[0], sum[s]);
  return Lanes::reduce_add(sum[0]);
}

// Dot: how bf16 weights meet prepared inputs; kDotInputs: inputs a call of its `step` consumes.
template <class Dot, int kDotInputs>
constexpr Kernels make_kernels(const char* name, bool bf16_inputs) {
  return Kernels{
      .name = name,
      .bf16_inputs = bf16_inputs,
      .tile_rows = Lanes::kTileRows,
      .tile_lines = Lanes::kTileLines,
      .prepare = prepare,
      .multiply = {multiply<Dot>, multiply<WideBf16>, multiply<WideF32>},
      .geglu = {geglu<Dot, false>, geglu<WideBf16, false>, geglu<WideF32, false>},
      .geglu_prepared = geglu<Dot, true>,
      .rms_norm = rms_norm,
      .add_norm = add_norm,
      .add = add,
      .rope = rope,
      .gelu_mul = gelu_mul,
      .soft_cap = soft_cap,
      .weighted_sum = weighted_sum,
      .exp = exp_row,
      .attend = {attend<Dot, ValueBf16, 2>, attend<WideBf16, ValueBf16, 2>,
                 attend<WideF32, ValueF32, 1>},
      .merge = merge,
      .finish = finish,
      .peak = {peak_loop<Dot, kDotInputs>, peak_loop<WideBf16, 1>, peak_loop<WideF32, 1>},
      .stream = stream,
  };
}

}  // namespace
}  // namespace lapidary::cpu
