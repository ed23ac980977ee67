// Where the static __shared__ variables of all kernels lie. Each is in a section of its own, since
// one section cannot hold those of inline functions, which the linker merges, together with others.
#pragma once

#include <span>
#include <vector>

namespace cuda_on_cpu {

// Read once from the program's own section table.
const std::vector<std::span<char>>& static_shared();

}  // namespace cuda_on_cpu
