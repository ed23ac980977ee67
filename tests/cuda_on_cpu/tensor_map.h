// Bulk copies of boxes of a tensor into shared memory (cp.async.bulk.tensor), as the maps of
// include/cuda.h describe them. What is outside the tensor becomes zero and counts as copied.
#pragma once

#include <cuda.h>

#include <cstdint>

namespace cuda_on_cpu {

// The box that begins at `coordinates` (of the innermost dim first; outside allowed) to `shared`;
// the barrier's phase is told its bytes when it has landed.
void tensor_copy(void* shared, const CUtensorMap& map, uint64_t* barrier, const int* coordinates,
                 int rank);

// Where a byte of a tile lies once its 16-byte chunks are exchanged in rows of 128 bytes, eight
// rows in turn: `address` is the one in shared memory.
constexpr uint32_t swizzled_128(uint32_t address) { return address ^ (address >> 3 & 0x70U); }

}  // namespace cuda_on_cpu
