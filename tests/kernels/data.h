// Random inputs with fixed seeds, views on vectors, every backend this machine can run, and the
// comparison that names the first element that is wrong.
#pragma once

#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cpu/isa.h"
#include "tests/catch.h"
#include "tests/reference/linear.h"
#include "tests/reference/rounding.h"
#include "tests/tested_seed.h"

namespace lapidary {

inline std::vector<float> normals(int64_t n, uint32_t seed, float scale = 1) {
  std::mt19937 generator(tested_seed(seed));
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> out(static_cast<size_t>(n));
  for (float& x : out) x = normal(generator);
  return out;
}

inline Tensor view(std::vector<float>& v, std::initializer_list<int64_t> dims) {
  return Tensor(v.data(), DType::f32, dims);
}
inline Tensor view(std::vector<int32_t>& v, std::initializer_list<int64_t> dims) {
  return Tensor(v.data(), DType::i32, dims);
}

// Matrices as a file holds them: any type, at an odd address for the type.
class FileMatrix {
 public:
  FileMatrix(int64_t rows, int64_t cols, DType dtype, uint32_t seed, int64_t count = 1,
             float scale = 1)
      : values_(normals(rows * cols * count, seed, scale)),
        rows_(rows),
        cols_(cols),
        count_(count),
        dtype_(dtype),
        bytes_(values_.size() * dtype_bytes(dtype) + 2) {
    for (size_t i = 0; i < values_.size(); ++i) set(i, values_[i]);
  }

  // Rounds to the type and stores.
  void set(size_t i, float x) {
    if (dtype_ == DType::bf16) x = static_cast<float>(reference::round_bf16(x));
    if (dtype_ == DType::f16)
      x = static_cast<float>(reference::half_value(reference::half_bits(x)));
    values_[i] = x;
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    const auto high = static_cast<uint16_t>(bits >> 16);
    const uint16_t half = dtype_ == DType::f16 ? reference::half_bits(x) : 0;
    const void* from = dtype_ == DType::f32    ? static_cast<const void*>(&x)
                       : dtype_ == DType::bf16 ? static_cast<const void*>(&high)
                                               : static_cast<const void*>(&half);
    std::memcpy(bytes_.data() + 2 + i * dtype_bytes(dtype_), from, dtype_bytes(dtype_));
  }

  HostMatrix host() const {
    return {bytes_.data() + 2, dtype_, rows_, cols_, count_, rows_ * cols_};
  }
  const float* row(int64_t r, int64_t matrix = 0) const {
    return values_.data() + (matrix * rows_ + r) * cols_;
  }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }

 private:
  std::vector<float> values_;
  int64_t rows_, cols_, count_;
  DType dtype_;
  std::vector<char> bytes_;
};

// What is stored of `x` when a backend computing in `compute` packs a file of type `dtype`.
inline bool packs_to_bf16(DType dtype, DType compute) {
  return dtype == DType::bf16 || compute == DType::bf16;
}

inline std::vector<std::string> runnable_isas() {
  int count = 0;
  const cpu::Kernels* const* tables = cpu::runnable_kernels(&count);
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.emplace_back(tables[i]->name);
  return names;
}

// body(backend) for each instruction set, compute type and both one and three threads.
inline void each_backend(const std::function<void(Backend&)>& body) {
  for (const std::string& isa : runnable_isas()) {
    for (DType compute : {DType::bf16, DType::f32}) {
      for (int n_threads : {1, 3}) {
        const auto backend = make_cpu_backend({compute, n_threads, isa});
        INFO(backend->description());
        body(*backend);
      }
    }
  }
}

// expected(i) for every element: places of NaN and infinity first, then values.
inline void require_close(const std::vector<float>& actual,
                          const std::function<reference::Bounded(int64_t)>& expected) {
  for (int64_t i = 0; i < static_cast<int64_t>(actual.size()); ++i) {
    const reference::Bounded e = expected(i);
    const double a = actual[i];
    const bool special = !std::isfinite(a) || !std::isfinite(e.value);
    const bool same_special =
        std::isnan(a) == std::isnan(e.value) && (std::isnan(a) || a == e.value);
    if (special ? same_special : std::fabs(a - e.value) <= e.error) continue;
    FAIL("element " << i << ": got " << a << ", expected " << e.value << " within " << e.error);
  }
}

inline void require_same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], 4) != 0) FAIL("element " << i << ": " << a[i] << " and " << b[i]);
  }
}

}  // namespace lapidary
