// linear, geglu_linear and logits against the plain twin, on every instruction set.
#include <limits>

#include "tests/kernels/cases.h"
#include "tests/kernels/data.h"

namespace lapidary {
namespace {

// Larger timed cases add nothing but time to a test.
constexpr int64_t kMostWork = int64_t{1} << 20;

std::vector<float> stored(const FileMatrix& m, int64_t row, DType dtype, DType compute) {
  std::vector<float> out(m.row(row), m.row(row) + m.cols());
  for (float& x : out) {
    x = static_cast<float>(reference::rounded(x, packs_to_bf16(dtype, compute)));
  }
  return out;
}

void check_linear(Backend& backend, const cases::Linear& c, DType dtype) {
  INFO(c.name << ", weights " << dtype_name(dtype));
  const FileMatrix w(c.rows, c.cols, dtype, 1);
  const HostMatrix host = w.host();
  const Weight packed = backend.pack({&host, 1}, WeightForm::stacked);
  auto x = normals(c.n_tokens * c.cols, 2);
  std::vector<float> out(c.n_tokens * c.rows, -1);
  backend.linear({view(x, {c.n_tokens, c.cols}), &packed, view(out, {c.n_tokens, c.rows})});
  std::vector<std::vector<float>> rows;
  for (int64_t r = 0; r < c.rows; ++r) rows.push_back(stored(w, r, dtype, backend.compute_dtype()));
  require_close(out, [&](int64_t i) {
    return reference::dot(x.data() + i / c.rows * c.cols, rows[i % c.rows].data(), c.cols,
                          backend.compute_dtype() == DType::bf16);
  });
}

}  // namespace

TEST_CASE("linear equals its plain twin for every shape and weight type", "[kernels]") {
  each_backend([](Backend& backend) {
    for (const cases::Linear& c : cases::linears()) {
      if (c.n_tokens * c.rows * c.cols > kMostWork) continue;
      check_linear(backend, c, DType::bf16);
      if (c.timed) continue;
      for (DType dtype : {DType::f32, DType::f16}) check_linear(backend, c, dtype);
    }
  });
}

TEST_CASE("linear stacks q, k and v of different sizes one after another", "[kernels]") {
  each_backend([](Backend& backend) {
    const FileMatrix q(24, 40, DType::bf16, 1);
    const FileMatrix k(8, 40, DType::bf16, 2);
    const FileMatrix v(9, 40, DType::bf16, 3);
    const HostMatrix parts[] = {q.host(), k.host(), v.host()};
    const Weight packed = backend.pack(parts, WeightForm::stacked);
    REQUIRE(packed.rows == 41);
    auto x = normals(2 * 40, 4);
    std::vector<float> out(2 * 41);
    backend.linear({view(x, {2, 40}), &packed, view(out, {2, 41})});
    require_close(out, [&](int64_t i) {
      const int64_t r = i % 41;
      const float* row = r < 24 ? q.row(r) : r < 32 ? k.row(r - 24) : v.row(r - 32);
      return reference::dot(x.data() + i / 41 * 40, row, 40,
                            backend.compute_dtype() == DType::bf16);
    });
  });
}

TEST_CASE("linear keeps NaN and infinity in their own rows", "[kernels]") {
  each_backend([](Backend& backend) {
    const FileMatrix w(20, 32, DType::bf16, 1);
    const HostMatrix host = w.host();
    const Weight packed = backend.pack({&host, 1}, WeightForm::stacked);
    auto x = normals(8 * 32, 2);
    x[3 * 32 + 5] = std::numeric_limits<float>::quiet_NaN();
    x[6 * 32 + 9] = std::numeric_limits<float>::infinity();
    std::vector<float> out(8 * 20);
    backend.linear({view(x, {8, 32}), &packed, view(out, {8, 20})});
    require_close(out, [&](int64_t i) {
      return reference::dot(x.data() + i / 20 * 32, w.row(i % 20), 32,
                            backend.compute_dtype() == DType::bf16);
    });
  });
}

TEST_CASE("geglu_linear equals its plain twin, also where ffn is no multiple of a panel",
          "[kernels]") {
  each_backend([](Backend& backend) {
    for (const cases::Linear& c : cases::geglus()) {
      if (c.n_tokens * c.rows * c.cols > kMostWork) continue;
      INFO(c.name);
      const float scale = 1 / std::sqrt(static_cast<float>(c.cols));
      const FileMatrix gate(c.rows, c.cols, DType::bf16, 1, 1, 2 * scale);
      const FileMatrix up(c.rows, c.cols, DType::bf16, 2, 1, scale);
      const HostMatrix parts[] = {gate.host(), up.host()};
      const Weight packed = backend.pack(parts, WeightForm::gate_up);
      auto x = normals(c.n_tokens * c.cols, 3);
      std::vector<float> out(c.n_tokens * c.rows, -1);
      backend.geglu_linear(
          {view(x, {c.n_tokens, c.cols}), &packed, view(out, {c.n_tokens, c.rows})});
      require_close(out, [&](int64_t i) {
        const bool round = backend.compute_dtype() == DType::bf16;
        const float* row = x.data() + i / c.rows * c.cols;
        return reference::geglu(reference::dot(row, gate.row(i % c.rows), c.cols, round),
                                reference::dot(row, up.row(i % c.rows), c.cols, round));
      });
    }
  });
}

TEST_CASE("logits are capped, and left alone at cap 0", "[kernels]") {
  each_backend([](Backend& backend) {
    for (const cases::Linear& c : cases::logits()) {
      if (c.timed) continue;
      const FileMatrix table(c.rows, c.cols, DType::bf16, 1);
      const HostMatrix host = table.host();
      const Weight packed = backend.pack({&host, 1}, WeightForm::stacked);
      auto x = normals(c.n_tokens * c.cols, 2, 2);
      for (float cap : {0.0F, 30.0F, 0.5F}) {
        INFO(c.name << ", cap " << cap);
        std::vector<float> out(c.n_tokens * c.rows);
        backend.logits(
            {view(x, {c.n_tokens, c.cols}), &packed, cap, view(out, {c.n_tokens, c.rows})});
        require_close(out, [&](int64_t i) {
          return reference::soft_cap(
              reference::dot(x.data() + i / c.rows * c.cols, table.row(i % c.rows), c.cols,
                             backend.compute_dtype() == DType::bf16),
              cap);
        });
      }
    }
  });
}

}  // namespace lapidary
