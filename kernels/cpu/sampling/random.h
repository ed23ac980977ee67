// The counter-based generator behind every draw: Philox4x32-10 (Salmon, Moraes, Dror, Shaw,
// "Parallel random numbers: as easy as 1, 2, 3", SC 2011). Nothing is stored between draws, so a
// draw is a function of (seed, choice, position) alone and no neighbour in the batch can change it.
// Any thread.
#pragma once

#include <array>
#include <cstdint>

namespace lapidary::cpu {

using PhiloxBlock = std::array<uint32_t, 4>;

// One block of the generator: ten rounds over `counter` with `key`.
PhiloxBlock philox(PhiloxBlock counter, std::array<uint32_t, 2> key);

// In [0, 1), a multiple of 2^-53.
double uniform(uint64_t seed, uint32_t choice, int64_t position);

}  // namespace lapidary::cpu
