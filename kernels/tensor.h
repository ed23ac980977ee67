// DType, Tensor (a view: pointer, type, shape; row-major, last dimension contiguous) and Buffer
// (the owner of device memory). A Tensor never owns and is passed by value. Any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>

#include "kernels/check.h"

namespace lapidary {

enum class DType : uint8_t { f32, bf16, f16, i32, f8e4m3 };

constexpr size_t dtype_bytes(DType t) {
  switch (t) {
    case DType::f32:
    case DType::i32: return 4;
    case DType::bf16:
    case DType::f16: return 2;
    case DType::f8e4m3: return 1;
  }
  return 0;
}
constexpr const char* dtype_name(DType t) {
  switch (t) {
    case DType::f32: return "float32";
    case DType::bf16: return "bfloat16";
    case DType::f16: return "float16";
    case DType::i32: return "int32";
    case DType::f8e4m3: return "fp8";
  }
  return "?";
}

struct Tensor {
  static constexpr int kMaxRank = 5;

  void* data = nullptr;
  DType dtype = DType::f32;
  int rank = 0;
  std::array<int64_t, kMaxRank> shape{};

  Tensor() = default;
  Tensor(void* where, DType type, std::initializer_list<int64_t> dims) : data(where), dtype(type) {
    CHECK(dims.size() <= kMaxRank);
    for (int64_t d : dims) shape[rank++] = d;
  }

  bool empty() const { return data == nullptr; }
  int64_t dim(int i) const { return shape[i]; }
  int64_t count() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= shape[i];
    return n;
  }
  size_t bytes() const { return static_cast<size_t>(count()) * dtype_bytes(dtype); }

  // REQUIRES: T's size is dtype's.
  template <typename T>
  T* as() const {
    CHECK(sizeof(T) == dtype_bytes(dtype));
    return static_cast<T*>(data);
  }

  // The first n rows of the leading dimension.
  Tensor first(int64_t n) const {
    CHECK(rank >= 1 && n <= shape[0]);
    Tensor t = *this;
    t.shape[0] = n;
    return t;
  }
  // n rows of it from row `begin` on.
  Tensor rows(int64_t begin, int64_t n) const {
    CHECK(rank >= 1 && begin + n <= shape[0]);
    Tensor t = *this;
    t.shape[0] = n;
    if (shape[0] > 0) {
      t.data = static_cast<char*>(data) +
               static_cast<size_t>(begin) * (bytes() / static_cast<size_t>(shape[0]));
    }
    return t;
  }
};

// Owns memory of a backend. Freed by the backend's own deleter; moves only.
class Buffer {
 public:
  Buffer() = default;
  Buffer(void* data, size_t bytes, std::function<void(void*)> free)
      : bytes_(bytes), data_(data, std::move(free)) {}

  void* data() const { return data_.get(); }
  size_t bytes() const { return bytes_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  size_t bytes_ = 0;
  std::unique_ptr<void, std::function<void(void*)>> data_;
};

// REQUIRES: the tensor has exactly this shape and type; aborts with the place otherwise.
inline void expect_shape(const Tensor& t, DType dtype, std::initializer_list<int64_t> dims) {
  CHECK(t.dtype == dtype && t.rank == static_cast<int>(dims.size()));
  int i = 0;
  for (int64_t d : dims) CHECK(t.shape[i++] == d);
}

}  // namespace lapidary
