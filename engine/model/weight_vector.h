#pragma once

#include <cstdint>

#include "kernels/tensor.h"

namespace lapidary {

// A vector of f32 in the backend's memory. Empty where the model has none.
struct WeightVector {
  Buffer buffer;
  int64_t size = 0;

  explicit operator bool() const { return size > 0; }
  Tensor tensor() const {  // [size] f32
    return size > 0 ? Tensor(buffer.data(), DType::f32, {size}) : Tensor();
  }
};

}  // namespace lapidary
