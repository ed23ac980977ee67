// Tensors on a backend's device from host vectors and back.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cpu/bf16.h"

namespace lapidary {

// A tensor together with its memory.
struct OnDevice {
  Buffer buffer;
  Tensor tensor;

  operator const Tensor&() const { return tensor; }
};

inline OnDevice device_bytes(Backend& backend, const void* bytes, DType dtype,
                             std::initializer_list<int64_t> shape) {
  OnDevice out;
  out.tensor = Tensor(nullptr, dtype, shape);
  out.buffer = backend.allocate(out.tensor.bytes());
  out.tensor.data = out.buffer.data();
  if (out.tensor.bytes() > 0) backend.upload(out.tensor.data, bytes, out.tensor.bytes());
  return out;
}

// f32 as it is, bf16 rounded to nearest even.
inline OnDevice to_device(Backend& backend, const std::vector<float>& values, DType dtype,
                          std::initializer_list<int64_t> shape) {
  CHECK(Tensor(nullptr, dtype, shape).count() == static_cast<int64_t>(values.size()));
  if (dtype == DType::f32) return device_bytes(backend, values.data(), dtype, shape);
  CHECK(dtype == DType::bf16);
  std::vector<uint16_t> rounded;
  for (const float x : values) rounded.push_back(cpu::float_to_bf16(x));
  return device_bytes(backend, rounded.data(), dtype, shape);
}

inline OnDevice to_device(Backend& backend, const std::vector<int32_t>& values,
                          std::initializer_list<int64_t> shape) {
  CHECK(Tensor(nullptr, DType::i32, shape).count() == static_cast<int64_t>(values.size()));
  return device_bytes(backend, values.data(), DType::i32, shape);
}

// For a verb's output: what it leaves unwritten is NaN (as an integer: -1).
inline OnDevice unwritten(Backend& backend, DType dtype, std::initializer_list<int64_t> shape) {
  const std::vector<uint8_t> poison(Tensor(nullptr, dtype, shape).bytes(), 0xff);
  return device_bytes(backend, poison.data(), dtype, shape);
}

// f32 and bf16 as floats.
inline std::vector<float> from_device(Backend& backend, const Tensor& tensor) {
  std::vector<uint8_t> bytes(tensor.bytes());
  backend.download(bytes.data(), tensor.data, bytes.size());
  std::vector<float> values;
  for (int64_t i = 0; i < tensor.count(); ++i) {
    values.push_back(cpu::read_float(bytes.data(), tensor.dtype, i));
  }
  return values;
}

inline std::vector<int32_t> ints_from_device(Backend& backend, const Tensor& tensor) {
  CHECK(tensor.dtype == DType::i32);
  std::vector<int32_t> values(static_cast<size_t>(tensor.count()));
  backend.download(values.data(), tensor.data, tensor.bytes());
  return values;
}

// What a vector becomes on its way through bf16.
inline std::vector<float> rounded_to_bf16(std::vector<float> values) {
  for (float& x : values) x = cpu::bf16_to_float(cpu::float_to_bf16(x));
  return values;
}

}  // namespace lapidary
