// The P16 layout: what was packed can be read back, and lies where the layout says.
#include "kernels/cpu/pack.h"

#include "kernels/cpu/bf16.h"
#include "tests/kernels/data.h"

namespace lapidary {
namespace {

float as_stored(float x, DType dtype) {
  return static_cast<float>(reference::rounded(x, dtype == DType::bf16));
}

}  // namespace

TEST_CASE("packing and unpacking returns every element, for every type and odd shape",
          "[kernels]") {
  cpu::ThreadPool pool(2);
  for (DType dtype : {DType::bf16, DType::f32, DType::f16}) {
    for (DType compute : {DType::bf16, DType::f32}) {
      for (auto [rows, cols] : {std::pair<int64_t, int64_t>{1, 1}, {16, 2}, {17, 3}, {48, 130}}) {
        INFO(dtype_name(dtype) << " as " << dtype_name(compute) << ", " << rows << " x " << cols);
        const FileMatrix a(rows, cols, dtype, 1, 3);
        const FileMatrix b(rows, cols, dtype, 2, 3);
        const HostMatrix parts[] = {a.host(), b.host()};
        for (WeightForm form : {WeightForm::stacked, WeightForm::gate_up}) {
          const Weight w = cpu::pack(parts, form, compute, pool);
          REQUIRE(w.dtype == (packs_to_bf16(dtype, compute) ? DType::bf16 : DType::f32));
          REQUIRE(w.rows == 2 * rows);
          REQUIRE(w.count == 3);
          std::vector<float> out(cols);
          for (int64_t m = 0; m < 3; ++m) {
            for (int64_t r = 0; r < 2 * rows; ++r) {
              cpu::unpack_row(w, m, r, 2.0F, out.data());
              const float* expected = r < rows ? a.row(r, m) : b.row(r - rows, m);
              for (int64_t k = 0; k < cols; ++k) {
                REQUIRE(out[k] == 2.0F * as_stored(expected[k], w.dtype));
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE("a bf16 panel holds pairs of inputs of 16 outputs, padded with zeros", "[kernels]") {
  cpu::ThreadPool pool(1);
  const FileMatrix m(18, 3, DType::bf16, 1);
  const HostMatrix host = m.host();
  const Weight w = cpu::pack({&host, 1}, WeightForm::stacked, DType::bf16, pool);
  REQUIRE(w.buffer.bytes() == 2 * 2 * 64);
  const auto* x = static_cast<const uint16_t*>(w.buffer.data());
  for (int panel = 0; panel < 2; ++panel) {
    for (int k = 0; k < 4; ++k) {
      for (int lane = 0; lane < 16; ++lane) {
        const int row = panel * 16 + lane;
        const float expected = row < 18 && k < 3 ? m.row(row)[k] : 0;
        CHECK(cpu::bf16_to_float(x[((panel * 2 + k / 2) * 16 + lane) * 2 + k % 2]) == expected);
      }
    }
  }
}

TEST_CASE("half floats of every pattern convert exactly", "[kernels]") {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto pattern = static_cast<uint16_t>(bits);
    const double expected = reference::half_value(pattern);
    const float actual = cpu::half_to_float(pattern);
    if (std::isnan(expected)) {
      REQUIRE(std::isnan(actual));
    } else {
      REQUIRE(actual == expected);
    }
    if (std::isfinite(expected)) {
      REQUIRE(reference::half_value(reference::half_bits(expected)) == expected);
    }
  }
}

TEST_CASE("bfloat16 rounds to nearest, ties to even, and keeps NaN", "[kernels]") {
  for (float x : normals(10000, 1)) {
    REQUIRE(cpu::bf16_to_float(cpu::float_to_bf16(x)) == reference::round_bf16(x));
  }
  REQUIRE(cpu::bf16_to_float(cpu::float_to_bf16(1 + 1.0F / 256)) == 1);
  REQUIRE(cpu::bf16_to_float(cpu::float_to_bf16(1 + 3.0F / 256)) == 1 + 1.0F / 64);
  REQUIRE(std::isnan(cpu::bf16_to_float(cpu::float_to_bf16(std::bit_cast<float>(0x7fffffffU)))));
}

}  // namespace lapidary
