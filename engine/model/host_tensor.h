// A tensor of a checkpoint (or a dummy one) in host memory, and reading it element by element:
// for the small vectors; matrices go to the backend as they are. Values, any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/tensor.h"

namespace lapidary {

struct HostTensor {
  DType dtype = DType::bf16;  // bf16, f16 or f32
  std::vector<int64_t> shape;
  const void* data = nullptr;  // at any alignment
  int64_t bytes = 0;
  std::shared_ptr<const void> owner;  // keeps the memory alive
};

// REQUIRES: i is an element's index.
float host_element(const HostTensor& tensor, int64_t i);

// sqrt(n) as an element of this type.
float rounded_sqrt(int64_t n, DType dtype);

}  // namespace lapidary
