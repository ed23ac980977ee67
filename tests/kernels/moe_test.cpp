// moe_route and moe_ffn against the plain twin.
#include "tests/reference/moe.h"

#include "tests/kernels/moe_data.h"
#include "tests/reference/norm.h"

namespace lapidary {
namespace {

// One token's output; the value between the two matrices may round to the neighbouring bf16.
std::vector<reference::Bounded> expected_row(const MoeData& data, const cases::Moe& c, int64_t t,
                                             bool round) {
  std::vector<reference::Bounded> out(c.hidden);
  for (int j = 0; j < c.top_k; ++j) {
    const int32_t e = data.experts[t * c.top_k + j];
    const double weight = data.weights[t * c.top_k + j];
    std::vector<float> between(c.ffn);
    std::vector<double> slack(c.ffn);
    for (int64_t i = 0; i < c.ffn; ++i) {
      const float* x = data.x.data() + t * c.hidden;
      const auto h = reference::geglu(reference::dot(x, data.gate.row(i, e), c.hidden, round),
                                      reference::dot(x, data.up.row(i, e), c.hidden, round));
      between[i] = static_cast<float>(reference::rounded(h.value, round));
      const bool near_tie = round && reference::round_bf16(h.value - h.error) !=
                                         reference::round_bf16(h.value + h.error);
      slack[i] = h.error + (near_tie ? std::fabs(h.value) / 128 : 0);
    }
    for (int64_t r = 0; r < c.hidden; ++r) {
      const float* row = data.down.row(r, e);
      const auto y = reference::dot(between.data(), row, c.ffn, false);
      out[r].value += weight * y.value;
      out[r].error += std::fabs(weight) * (y.error + 4 * reference::kUnit * std::fabs(y.value));
      for (int64_t i = 0; i < c.ffn; ++i) {
        out[r].error += std::fabs(weight * row[i]) * slack[i];
      }
    }
  }
  return out;
}

struct Router {
  std::vector<float> h, scale, per_expert_scale, weights;
  std::vector<int32_t> experts;
};

// REQUIRES: proj is [n_experts, hidden].
Router route(Backend& backend, const FileMatrix& proj, std::vector<float> h, int top_k) {
  const int64_t hidden = proj.cols();
  const auto n = static_cast<int64_t>(h.size()) / hidden;
  Router r{std::move(h), normals(hidden, 11), normals(proj.rows(), 12), {}, {}};
  r.weights.resize(n * top_k);
  r.experts.resize(n * top_k);
  const HostMatrix host = proj.host();
  const Weight packed = backend.pack({&host, 1}, WeightForm::stacked);
  backend.moe_route({view(r.h, {n, hidden}), view(r.scale, {hidden}), &packed,
                     view(r.per_expert_scale, {proj.rows()}), 1e-6F, top_k,
                     view(r.experts, {n, top_k}), view(r.weights, {n, top_k})});
  return r;
}

}  // namespace

TEST_CASE("moe_ffn equals its plain twin for every routing", "[kernels]") {
  each_backend([](Backend& backend) {
    for (const cases::Moe& c : cases::moes()) {
      if (c.timed) continue;
      for (DType dtype : {DType::bf16, DType::f32}) {
        // A float32 file under bf16 compute rounds its weights: the pack test's business.
        if (dtype == DType::f32 && backend.compute_dtype() == DType::bf16) continue;
        INFO(c.name << ", weights " << dtype_name(dtype));
        MoeData data(backend, c, dtype);
        backend.moe_ffn(data.args);
        std::vector<std::vector<reference::Bounded>> expected;
        for (int64_t t = 0; t < c.n_tokens; ++t) {
          expected.push_back(expected_row(data, c, t, backend.compute_dtype() == DType::bf16));
        }
        require_close(data.out, [&](int64_t i) { return expected[i / c.hidden][i % c.hidden]; });
      }
    }
  });
}

TEST_CASE("moe_route picks the experts and weights of its plain twin", "[kernels]") {
  each_backend([](Backend& backend) {
    for (auto [n_experts, hidden, top_k] :
         {std::tuple<int, int, int>{128, 96, 8}, {10, 33, 3}, {4, 16, 4}, {1, 16, 1}}) {
      INFO(n_experts << " experts, hidden " << hidden << ", top " << top_k);
      const FileMatrix proj(n_experts, hidden, DType::bf16, 1, 1, 0.1F);
      const int64_t n = 9;
      const Router r = route(backend, proj, normals(n * hidden, 2, 4), top_k);
      for (int64_t t = 0; t < n; ++t) {
        const auto z = reference::rms_norm(reference::widen(r.h.data() + t * hidden, hidden),
                                           r.scale.data(), 1e-6);
        std::vector<double> logits(n_experts);
        double spread = 0;
        for (int e = 0; e < n_experts; ++e) {
          double magnitude = 0;
          for (int i = 0; i < hidden; ++i) {
            logits[e] += z[i] * proj.row(e)[i];
            magnitude += std::fabs(z[i] * proj.row(e)[i]);
          }
          spread = std::max(spread, magnitude);
        }
        const auto expected = reference::route(logits, r.per_expert_scale.data(), top_k);
        const double error = reference::kUnit * (8 + 2 * std::sqrt(hidden)) * spread;
        for (int j = 0; j < top_k; ++j) {
          INFO("token " << t << ", place " << j);
          CHECK(r.experts[t * top_k + j] == expected.experts[j]);
          CHECK(std::fabs(r.weights[t * top_k + j] - expected.weights[j]) <=
                (2 * error + 16 * reference::kUnit) * std::fabs(expected.weights[j]));
        }
      }
    }
  });
}

TEST_CASE("moe_route takes the lowest index first on ties", "[kernels]") {
  each_backend([](Backend& backend) {
    FileMatrix proj(32, 16, DType::bf16, 1);
    for (int e = 0; e < 32; ++e) {
      for (int i = 0; i < 16; ++i) proj.set(e * 16 + i, proj.row(e % 2)[i]);
    }
    const Router r = route(backend, proj, normals(6 * 16, 2), 8);
    for (int64_t t = 0; t < 6; ++t) {
      const int32_t first = r.experts[t * 8];
      REQUIRE(first < 2);
      for (int j = 0; j < 8; ++j) CHECK(r.experts[t * 8 + j] == first + 2 * j);
    }
  });
}

TEST_CASE("moe_route yields distinct experts even for NaN", "[kernels]") {
  each_backend([](Backend& backend) {
    const FileMatrix proj(16, 16, DType::bf16, 1);
    const Router r = route(backend, proj, std::vector<float>(16, NAN), 4);
    for (int j = 0; j < 4; ++j) CHECK(r.experts[j] == j);
  });
}

}  // namespace lapidary
