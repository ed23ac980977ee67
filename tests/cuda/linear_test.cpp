// linear, geglu_linear and logits of the CUDA backend against the plain twin.
#include <limits>

#include "tests/cuda/device_data.h"
#include "tests/cuda/schedules.h"
#include "tests/kernels/data.h"

namespace lapidary {
namespace {

// Both sides of each border: a strip of 16 rows, a step of 32 k and of all warps, a tile of 8
// tokens, few and many.
const int64_t kTokens[] = {0, 1, 7, 8, 9, 16, 17, 40};

struct Shape {
  int64_t rows, cols;
};
const Shape kShapes[] = {{1, 8}, {16, 24}, {37, 40}, {40, 328}, {7, 2824}};

// The value after its one rounding to bf16.
reference::Bounded stored(const reference::Bounded& x) {
  return {x.value, x.error + (std::fabs(x.value) + x.error) / 256};
}

reference::Bounded product(const std::vector<float>& x, int64_t token, const float* row,
                           int64_t cols) {
  return reference::dot(x.data() + token * cols, row, cols, true);
}

Weight packed(Backend& backend, const FileMatrix& w) {
  const HostMatrix host = w.host();
  return backend.pack({&host, 1}, WeightForm::stacked);
}

Weight packed(Backend& backend, const FileMatrix& gate, const FileMatrix& up) {
  const HostMatrix parts[] = {gate.host(), up.host()};
  return backend.pack(parts, WeightForm::gate_up);
}

void check_linear(Backend& backend, const Shape& shape, int64_t n, DType x_dtype) {
  INFO(n << " tokens, " << shape.rows << " x " << shape.cols << ", x " << dtype_name(x_dtype));
  const FileMatrix w(shape.rows, shape.cols, DType::bf16, 1);
  const Weight weight = packed(backend, w);
  const auto x = normals(n * shape.cols, 2);
  const OnDevice x_there = to_device(backend, x, x_dtype, {n, shape.cols});
  each_schedule([&] {
    const OnDevice out = unwritten(backend, DType::bf16, {n, shape.rows});
    backend.linear({x_there, &weight, out});
    require_close(from_device(backend, out), [&](int64_t i) {
      return stored(product(x, i / shape.rows, w.row(i % shape.rows), shape.cols));
    });
  });
}

}  // namespace

TEST_CASE("CUDA linear equals its plain twin on both sides of every border", "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (const Shape& shape : kShapes) {
    for (const int64_t n : kTokens) check_linear(*backend, shape, n, DType::bf16);
  }
}

TEST_CASE("CUDA linear rounds the residual stream as it reads it", "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (const int64_t n : {1, 8, 11, 17}) check_linear(*backend, {37, 40}, n, DType::f32);
}

TEST_CASE("CUDA linear gives a token the same bits whatever else is in the call", "[cuda]") {
  const auto backend = make_cuda_backend({});
  const FileMatrix w(21, 344, DType::bf16, 1);
  const Weight weight = packed(*backend, w);
  const auto x = normals(16 * 344, 2);
  const OnDevice x_there = to_device(*backend, x, DType::bf16, {16, 344});
  const OnDevice all = unwritten(*backend, DType::bf16, {16, 21});
  backend->linear({x_there, &weight, all});
  const auto expected = from_device(*backend, all);
  for (const int64_t n : {1, 5, 8, 9}) {
    const OnDevice out = unwritten(*backend, DType::bf16, {n, 21});
    backend->linear({x_there.tensor.first(n), &weight, out});
    require_same_bits(from_device(*backend, out), {expected.begin(), expected.begin() + n * 21});
  }
}

TEST_CASE("CUDA linear keeps NaN and infinity in their own rows", "[cuda]") {
  const auto backend = make_cuda_backend({});
  const FileMatrix w(20, 40, DType::bf16, 1);
  const Weight weight = packed(*backend, w);
  for (const int64_t n : {8, 13, 20}) {
    INFO(n << " tokens");
    auto x = normals(n * 40, 2);
    x[3 * 40 + 5] = std::numeric_limits<float>::quiet_NaN();
    x[6 * 40 + 9] = std::numeric_limits<float>::infinity();
    const OnDevice x_there = to_device(*backend, x, DType::bf16, {n, 40});
    const OnDevice out = unwritten(*backend, DType::bf16, {n, 20});
    backend->linear({x_there, &weight, out});
    require_close(from_device(*backend, out),
                  [&](int64_t i) { return stored(product(x, i / 20, w.row(i % 20), 40)); });
  }
}

TEST_CASE("CUDA geglu_linear equals its plain twin, also where ffn is no multiple of 8", "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (const auto& [ffn, cols] : {Shape{1, 8}, {8, 24}, {20, 40}, {40, 328}}) {
    const float scale = 1 / std::sqrt(static_cast<float>(cols));
    const FileMatrix gate(ffn, cols, DType::bf16, 1, 1, 2 * scale);
    const FileMatrix up(ffn, cols, DType::bf16, 2, 1, scale);
    const Weight weight = packed(*backend, gate, up);
    for (const int64_t n : kTokens) {
      INFO(n << " tokens, ffn " << ffn << ", " << cols << " inputs");
      const auto x = normals(n * cols, 3);
      const OnDevice x_there = to_device(*backend, x, DType::bf16, {n, cols});
      each_schedule([&] {
        const OnDevice out = unwritten(*backend, DType::bf16, {n, ffn});
        backend->geglu_linear({x_there, &weight, out});
        require_close(from_device(*backend, out), [&](int64_t i) {
          return stored(reference::geglu(product(x, i / ffn, gate.row(i % ffn), cols),
                                         product(x, i / ffn, up.row(i % ffn), cols)));
        });
      });
    }
  }
}

TEST_CASE("CUDA geglu_linear goes on where the sums of its first rows end", "[cuda]") {
  const auto backend = make_cuda_backend({});
  const int64_t n = 2053;
  const FileMatrix gate(3, 8, DType::bf16, 1);
  const FileMatrix up(3, 8, DType::bf16, 2);
  const Weight weight = packed(*backend, gate, up);
  const auto x = normals(n * 8, 3);
  const OnDevice x_there = to_device(*backend, x, DType::bf16, {n, 8});
  const OnDevice out = unwritten(*backend, DType::bf16, {n, 3});
  backend->geglu_linear({x_there, &weight, out});
  require_close(from_device(*backend, out), [&](int64_t i) {
    return stored(reference::geglu(product(x, i / 3, gate.row(i % 3), 8),
                                   product(x, i / 3, up.row(i % 3), 8)));
  });
}

TEST_CASE("CUDA logits are capped, and left alone at cap 0, for an odd vocabulary", "[cuda]") {
  const auto backend = make_cuda_backend({});
  const int64_t vocab = 171;
  const int64_t hidden = 72;
  const FileMatrix table(vocab, hidden, DType::bf16, 1);
  const Weight weight = packed(*backend, table);
  for (const int64_t n : {0, 1, 8, 13, 17}) {
    const auto x = normals(n * hidden, 2, 2);
    const OnDevice x_there = to_device(*backend, x, DType::bf16, {n, hidden});
    for (const float cap : {0.0F, 30.0F, 0.5F}) {
      INFO(n << " tokens, cap " << cap);
      each_schedule([&] {
        const OnDevice out = unwritten(*backend, DType::f32, {n, vocab});
        backend->logits({x_there, &weight, cap, out});
        require_close(from_device(*backend, out), [&](int64_t i) {
          return reference::soft_cap(product(x, i / vocab, table.row(i % vocab), hidden), cap);
        });
      });
    }
  }
}

}  // namespace lapidary
