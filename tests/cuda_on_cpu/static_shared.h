// Where the static __shared__ variables of all kernels lie. Each is in a section of its own, since
// one section cannot hold those of inline functions, which the linker merges, together with others.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace cuda_on_cpu {

// Read once from the program's own section table.
const std::vector<std::span<char>>& static_shared();

void poison_static_shared();
// Bytes of them that the kernel which ran since uses, at least: from the first written one to the
// last of each section, which variables of several files may share.
size_t static_shared_used();

// Of all of them, to be put back later.
std::vector<std::vector<char>> static_shared_content();
void set_static_shared_content(const std::vector<std::vector<char>>& content);

}  // namespace cuda_on_cpu
