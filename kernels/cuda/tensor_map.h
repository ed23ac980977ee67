// Tensor maps: what TMA copies boxes of bf16 by. Made on the host in well under a microsecond,
// handed to a kernel as a __grid_constant__ parameter, or inside of one. The driver is asked for
// its function at run time, so that nothing links with it. Refuses (CHECK) what the driver does.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <initializer_list>

namespace lapidary::cuda {

using TensorMap = CUtensorMap;

struct TensorDim {
  int64_t size;    // elements
  int64_t stride;  // elements to the next of this dim, times 2 a multiple of 16; innermost: 1
  int box;         // of one copy, at most 256; innermost with the swizzle: at most 64
};

// none: the box lies row by row. bytes128: as wgmma reads it (wgmma.cuh).
enum class TensorSwizzle : uint8_t { none, bytes128 };

// Two to five dims, the innermost first; `data` is aligned to 16 bytes.
TensorMap make_tensor_map(const void* data, std::initializer_list<TensorDim> dims,
                          TensorSwizzle swizzle = TensorSwizzle::bytes128);

// Whether the driver knows tensor maps.
bool has_tensor_maps();

}  // namespace lapidary::cuda
