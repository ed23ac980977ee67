// Loops along one row: norms, rotations, activations, exponentials, sums.
// Included only by tile_<isa>.cpp, after `Lanes` is defined there in the anonymous namespace;
// every function is private to that file (see tile.h).
// Promise: a sum runs over four interleaved sets of lanes, then the lanes in a fixed tree.
//
// Errors measured by tests/kernels/row_loops_test.cpp against double precision: exp 2 ulp over
// [-87, 0]; tanh 3 ulp; gelu 2e-6 relative where it is above 1e-30.
#pragma once

#include "kernels/cpu/isa.h"

namespace lapidary::cpu {
namespace {

using F = Lanes::F;

// e^x for x <= 88: 2^n e^r with |r| <= ln 2 / 2. Zero below -87.3 (so also for -inf); NaN stays.
inline F exp_lanes(F x) {
  const F magic = Lanes::set1(12582912.0F);  // 1.5 * 2^23: adding it rounds to an integer
  const F clamped = Lanes::max(Lanes::set1(-87.3F), Lanes::min(Lanes::set1(88.0F), x));
  const F shifted = Lanes::fma(clamped, Lanes::set1(1.44269504F), magic);
  const F n = Lanes::sub(shifted, magic);
  // ln 2 in two parts, so that n * ln 2 is subtracted exactly.
  F r = Lanes::fma(n, Lanes::set1(-0.693359375F), clamped);
  r = Lanes::fma(n, Lanes::set1(2.12194440e-4F), r);
  F q = Lanes::set1(0.001381459878757596F);
  q = Lanes::fma(q, r, Lanes::set1(0.008368716575205326F));
  q = Lanes::fma(q, r, Lanes::set1(0.04166838899254799F));
  q = Lanes::fma(q, r, Lanes::set1(0.1666652113199234F));
  q = Lanes::fma(q, r, Lanes::set1(0.4999999403953552F));
  const F p = Lanes::add(Lanes::fma(Lanes::mul(r, r), q, r), Lanes::set1(1.0F));
  return Lanes::select_less(x, Lanes::set1(-87.3F), Lanes::zero(), Lanes::scale_pow2(p, shifted));
}

// tanh x: an odd polynomial where 1 - e^-2x would cancel, else from the exponential.
inline F tanh_lanes(F x) {
  const F a = Lanes::abs(x);
  const F z = Lanes::mul(x, x);
  F q = Lanes::set1(-0.005704986397176981F);
  q = Lanes::fma(q, z, Lanes::set1(0.02063908614218235F));
  q = Lanes::fma(q, z, Lanes::set1(-0.05373971536755562F));
  q = Lanes::fma(q, z, Lanes::set1(0.13331441581249237F));
  q = Lanes::fma(q, z, Lanes::set1(-0.3333328068256378F));
  const F small = Lanes::fma(Lanes::mul(z, x), q, x);
  const F e = exp_lanes(Lanes::mul(a, Lanes::set1(-2.0F)));
  const F one = Lanes::set1(1.0F);
  const F large = Lanes::copy_sign(Lanes::div(Lanes::sub(one, e), Lanes::add(one, e)), x);
  return Lanes::select_less(a, Lanes::set1(0.625F), small, large);
}

// 0.5 x (1 + tanh u) = x / (1 + e^-2u) with u = sqrt(2/pi) (x + 0.044715 x^3).
inline F gelu(F x) {
  const F cube = Lanes::mul(Lanes::mul(x, x), Lanes::set1(0.044715F));
  const F u = Lanes::mul(Lanes::fma(cube, x, x), Lanes::set1(-1.5957691216057308F));
  return Lanes::div(x, Lanes::add(Lanes::set1(1.0F), exp_lanes(u)));
}

// Applies body(first element, lanes that exist) over n elements.
template <class Body>
inline void for_lanes(int64_t n, const Body& body) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, kLanes);
  if (i < n) body(i, static_cast<int>(n - i));
}

inline float sum_of_squares(const float* x, int64_t n) {
  F sum[4] = {Lanes::zero(), Lanes::zero(), Lanes::zero(), Lanes::zero()};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (int j = 0; j < 4; ++j) {
      const F v = Lanes::load(x + i + j * kLanes);
      sum[j] = Lanes::fma(v, v, sum[j]);
    }
  }
  for (int j = 0; i < n; i += kLanes, ++j) {
    const int left = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    const F v = Lanes::load_n(x + i, left);
    sum[j] = Lanes::fma(v, v, sum[j]);
  }
  return Lanes::reduce_add(Lanes::add(Lanes::add(sum[0], sum[1]), Lanes::add(sum[2], sum[3])));
}

inline F inverse_rms(const float* x, float eps, int64_t n) {
  const float mean = sum_of_squares(x, n) / static_cast<float>(n);
  return Lanes::set1(1.0F / __builtin_sqrtf(mean + eps));
}

void rms_norm(const float* x, const float* weight, float eps, int64_t n, float* out) {
  const F scale = inverse_rms(x, eps, n);
  for_lanes(n, [&](int64_t i, int left) {
    F y = Lanes::mul(Lanes::load_n(x + i, left), scale);
    if (weight != nullptr) y = Lanes::mul(y, Lanes::load_n(weight + i, left));
    Lanes::store_n(out + i, y, left);
  });
}

void add_norm(float* h, const float* x, const float* weight, float eps, float scale, int64_t n) {
  const F inverse = inverse_rms(x, eps, n);
  for_lanes(n, [&](int64_t i, int left) {
    const F y = Lanes::mul(Lanes::mul(Lanes::load_n(x + i, left), inverse),
                           Lanes::load_n(weight + i, left));
    const F sum = Lanes::add(Lanes::load_n(h + i, left), y);
    Lanes::store_n(h + i, Lanes::mul(sum, Lanes::set1(scale)), left);
  });
}

void add(const float* a, const float* b, int64_t n, float* out) {
  for_lanes(n, [&](int64_t i, int left) {
    Lanes::store_n(out + i, Lanes::add(Lanes::load_n(a + i, left), Lanes::load_n(b + i, left)),
                   left);
  });
}

void rope(float* x, const float* cos_sin, int64_t n_angles, int64_t n) {
  float* second = x + n / 2;
  for_lanes(n_angles, [&](int64_t i, int left) {
    const F c = Lanes::load_n(cos_sin + i, left);
    const F s = Lanes::load_n(cos_sin + n_angles + i, left);
    const F a = Lanes::load_n(x + i, left);
    const F b = Lanes::load_n(second + i, left);
    Lanes::store_n(x + i, Lanes::sub(Lanes::mul(a, c), Lanes::mul(b, s)), left);
    Lanes::store_n(second + i, Lanes::fma(a, s, Lanes::mul(b, c)), left);
  });
}

void gelu_mul(const float* a, const float* b, int64_t n, float* out) {
  for_lanes(n, [&](int64_t i, int left) {
    Lanes::store_n(out + i,
                   Lanes::mul(gelu(Lanes::load_n(a + i, left)), Lanes::load_n(b + i, left)), left);
  });
}

void soft_cap(float* x, int64_t n, float cap) {
  const F scale = Lanes::set1(1.0F / cap);
  for_lanes(n, [&](int64_t i, int left) {
    const F y = tanh_lanes(Lanes::mul(Lanes::load_n(x + i, left), scale));
    Lanes::store_n(x + i, Lanes::mul(y, Lanes::set1(cap)), left);
  });
}

void weighted_sum(const float* const* rows, const float* weights, int n_rows, int64_t n,
                  float* out) {
  for_lanes(n, [&](int64_t i, int left) {
    F sum = Lanes::zero();
    for (int j = 0; j < n_rows; ++j) {
      sum = Lanes::fma(Lanes::set1(weights[j]), Lanes::load_n(rows[j] + i, left), sum);
    }
    Lanes::store_n(out + i, sum, left);
  });
}

void exp_row(const float* x, int64_t n, float* out) {
  for_lanes(n, [&](int64_t i, int left) {
    Lanes::store_n(out + i, exp_lanes(Lanes::load_n(x + i, left)), left);
  });
}

void prepare(const float* x, int64_t n, void* out) {
  for_lanes(n,
            [&](int64_t i, int left) { Lanes::store_input(out, i, Lanes::load_n(x + i, left)); });
}

}  // namespace
}  // namespace lapidary::cpu
