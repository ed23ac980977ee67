// The counter-based generator of kernels/cpu/sampling/random.h, for the device: the same numbers.
#pragma once

#include "kernels/cuda/launch.h"

namespace lapidary::cuda {

// In [0, 1), a multiple of 2^-53.
__device__ inline double uniform(uint64_t seed, uint32_t choice, int64_t position) {
  constexpr uint32_t kMultiplier0 = 0xD2511F53;
  constexpr uint32_t kMultiplier1 = 0xCD9E8D57;
  const auto at = static_cast<uint64_t>(position);
  uint32_t counter[4] = {static_cast<uint32_t>(at), static_cast<uint32_t>(at >> 32), choice, 0};
  uint32_t key[2] = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  for (int round = 0; round < 10; ++round) {
    const uint32_t high0 = __umulhi(kMultiplier0, counter[0]);
    const uint32_t high1 = __umulhi(kMultiplier1, counter[2]);
    const uint32_t low0 = kMultiplier0 * counter[0];
    const uint32_t low1 = kMultiplier1 * counter[2];
    counter[0] = high1 ^ counter[1] ^ key[0];
    counter[1] = low1;
    counter[2] = high0 ^ counter[3] ^ key[1];
    counter[3] = low0;
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  const uint64_t bits = uint64_t{counter[1]} << 32 | counter[0];
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace lapidary::cuda
