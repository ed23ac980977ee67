#include "kernels/cpu/sampling/random.h"

namespace lapidary::cpu {
namespace {

// The paper's multipliers, and the Weyl steps of the key (golden ratio, sqrt(3) - 1).
constexpr uint64_t kMultiplier0 = 0xD2511F53;
constexpr uint64_t kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kKeyStep0 = 0x9E3779B9;
constexpr uint32_t kKeyStep1 = 0xBB67AE85;
constexpr int kRounds = 10;

uint32_t low(uint64_t x) { return static_cast<uint32_t>(x); }
uint32_t high(uint64_t x) { return static_cast<uint32_t>(x >> 32); }

}  // namespace

PhiloxBlock philox(PhiloxBlock counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t p0 = kMultiplier0 * counter[0];
    const uint64_t p1 = kMultiplier1 * counter[2];
    counter = {high(p1) ^ counter[1] ^ key[0], low(p1), high(p0) ^ counter[3] ^ key[1], low(p0)};
    key[0] += kKeyStep0;
    key[1] += kKeyStep1;
  }
  return counter;
}

double uniform(uint64_t seed, uint32_t choice, int64_t position) {
  const auto at = static_cast<uint64_t>(position);
  const PhiloxBlock block = philox({low(at), high(at), choice, 0}, {low(seed), high(seed)});
  const uint64_t bits = (static_cast<uint64_t>(block[1]) << 32) | block[0];
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace lapidary::cpu
