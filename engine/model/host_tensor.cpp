#include "engine/model/host_tensor.h"

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstring>

namespace lapidary {
namespace {

float from_f16(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t exponent = bits >> 10 & 0x1F;
  const uint32_t mantissa = bits & 0x3FF;
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24
    const float value = std::ldexp(static_cast<float>(mantissa), -24);
    return sign != 0 ? -value : value;
  }
  const uint32_t wide = exponent == 0x1F ? 0xFF : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | mantissa << 13);
}

}  // namespace

float host_element(const HostTensor& t, int64_t i) {
  const auto* at = static_cast<const std::byte*>(t.data) + i * dtype_bytes(t.dtype);
  if (t.dtype == DType::f32) {
    float value = 0;
    std::memcpy(&value, at, sizeof(value));
    return value;
  }
  uint16_t bits = 0;
  std::memcpy(&bits, at, sizeof(bits));
  return t.dtype == DType::bf16 ? std::bit_cast<float>(static_cast<uint32_t>(bits) << 16)
                                : from_f16(bits);
}

float rounded_sqrt(int64_t n, DType dtype) {
  const float root = std::sqrt(static_cast<float>(n));
  if (dtype == DType::bf16) {
    const auto bits = std::bit_cast<uint32_t>(root);
    return std::bit_cast<float>((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000U);
  }
  if (dtype == DType::f16) {  // 10 mantissa bits; roots lie in [1, 65504], so no subnormals
    const auto bits = std::bit_cast<uint32_t>(root);
    return std::bit_cast<float>((bits + 0xFFF + (bits >> 13 & 1)) & 0xFFFFE000U);
  }
  return root;
}

}  // namespace lapidary
