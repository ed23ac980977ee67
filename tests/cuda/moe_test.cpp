// moe_route and moe_ffn of the CUDA backend against the plain twin.
#include "tests/reference/moe.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "tests/cuda/device_data.h"
#include "tests/cuda/paths.h"
#include "tests/cuda/schedules.h"
#include "tests/kernels/moe_data.h"
#include "tests/reference/norm.h"

namespace lapidary {
namespace {

Weight packed(Backend& backend, const FileMatrix& w) {
  const HostMatrix host = w.host();
  return backend.pack({&host, 1}, WeightForm::stacked);
}

// --- router ---

struct Router {
  Router(Backend& device, const FileMatrix& matrix, std::vector<float> stream, int k)
      : backend(device),
        proj(matrix),
        n(static_cast<int64_t>(stream.size()) / matrix.cols()),
        top_k(k),
        h(std::move(stream)),
        scale(normals(matrix.cols(), 11)),
        per_expert_scale(normals(matrix.rows(), 12)),
        weight(packed(device, matrix)),
        h_there(to_device(device, h, DType::f32, {n, matrix.cols()})),
        scale_there(to_device(device, scale, DType::f32, {matrix.cols()})),
        per_expert_scale_there(to_device(device, per_expert_scale, DType::f32, {matrix.rows()})) {}

  // Of the first n_tokens rows.
  void run(int64_t n_tokens) {
    const OnDevice experts_there =
        to_device(backend, std::vector<int32_t>(n_tokens * top_k, -1), {n_tokens, top_k});
    const OnDevice weights_there = unwritten(backend, DType::f32, {n_tokens, top_k});
    backend.moe_route({h_there.tensor.first(n_tokens), scale_there, &weight, per_expert_scale_there,
                       1e-6F, top_k, experts_there, weights_there});
    experts = ints_from_device(backend, experts_there);
    weights = from_device(backend, weights_there);
  }

  void check(int64_t t) const {
    const int64_t hidden = proj.cols();
    const auto z =
        reference::rms_norm(reference::widen(h.data() + t * hidden, hidden), scale.data(), 1e-6);
    std::vector<double> logits(proj.rows());
    double spread = 0;
    for (int64_t e = 0; e < proj.rows(); ++e) {
      double magnitude = 0;
      for (int64_t i = 0; i < hidden; ++i) {
        logits[e] += z[i] * proj.row(e)[i];
        magnitude += std::fabs(z[i] * proj.row(e)[i]);
      }
      spread = std::max(spread, magnitude);
    }
    const auto expected = reference::route(logits, per_expert_scale.data(), top_k);
    const double error =
        reference::kUnit * (8 + 2 * std::sqrt(static_cast<double>(hidden))) * spread;
    for (int j = 0; j < top_k; ++j) {
      INFO("token " << t << ", place " << j);
      REQUIRE(experts[t * top_k + j] == expected.experts[j]);
      REQUIRE(std::fabs(weights[t * top_k + j] - expected.weights[j]) <=
              (2 * error + 16 * reference::kUnit) * std::fabs(expected.weights[j]));
    }
  }

  Backend& backend;
  const FileMatrix& proj;
  int64_t n;
  int top_k;
  std::vector<float> h, scale, per_expert_scale;
  Weight weight;
  OnDevice h_there, scale_there, per_expert_scale_there;
  std::vector<int32_t> experts;
  std::vector<float> weights;
};

// --- experts ---

struct Experts {
  Experts(Backend& device, const cases::Moe& shape)
      : backend(device),
        c(shape),
        gate(c.ffn, c.hidden, DType::bf16, 1, c.n_experts,
             2 / std::sqrt(static_cast<float>(c.hidden))),
        up(c.ffn, c.hidden, DType::bf16, 2, c.n_experts,
           1 / std::sqrt(static_cast<float>(c.hidden))),
        down(c.hidden, c.ffn, DType::bf16, 3, c.n_experts,
             1 / std::sqrt(static_cast<float>(c.ffn))),
        x(rounded_to_bf16(normals(c.n_tokens * c.hidden, 4))),
        experts(routing_of(c, 5)),
        weights(normals(c.n_tokens * c.top_k, 6)),
        packed_down(packed(backend, down)) {
    const HostMatrix parts[] = {gate.host(), up.host()};
    packed_gate_up = backend.pack(parts, WeightForm::gate_up);
  }

  // Of the first n tokens.
  std::vector<float> run(int64_t n) const {
    const auto first = [n](const auto& v, int64_t width) {
      return std::vector(v.begin(), v.begin() + n * width);
    };
    const OnDevice x_there = to_device(backend, first(x, c.hidden), DType::bf16, {n, c.hidden});
    const OnDevice experts_there = to_device(backend, first(experts, c.top_k), {n, c.top_k});
    const OnDevice weights_there =
        to_device(backend, first(weights, c.top_k), DType::f32, {n, c.top_k});
    const OnDevice out = unwritten(backend, DType::bf16, {n, c.hidden});
    backend.moe_ffn({x_there, experts_there, weights_there, &packed_gate_up, &packed_down, out});
    return from_device(backend, out);
  }

  // One token's output. What lies between the two matrices is rounded to bf16, perhaps to the
  // neighbour; so is what an expert adds, where there are many tokens, and the sum.
  std::vector<reference::Bounded> expected(int64_t t) const {
    std::vector<reference::Bounded> out(c.hidden);
    for (int j = 0; j < c.top_k; ++j) {
      const int32_t e = experts[t * c.top_k + j];
      const double weight = weights[t * c.top_k + j];
      std::vector<float> between(c.ffn);
      std::vector<double> slack(c.ffn);
      for (int64_t i = 0; i < c.ffn; ++i) {
        const float* row = x.data() + t * c.hidden;
        const auto h = reference::geglu(reference::dot(row, gate.row(i, e), c.hidden, false),
                                        reference::dot(row, up.row(i, e), c.hidden, false));
        between[i] = static_cast<float>(reference::round_bf16(h.value));
        const bool near_tie =
            reference::round_bf16(h.value - h.error) != reference::round_bf16(h.value + h.error);
        slack[i] = near_tie ? h.error + std::fabs(h.value) / 128 : 0;
      }
      for (int64_t r = 0; r < c.hidden; ++r) {
        const auto y = reference::dot(between.data(), down.row(r, e), c.ffn, false);
        double error = y.error + (std::fabs(y.value) + y.error) / 256;
        for (int64_t i = 0; i < c.ffn; ++i) error += std::fabs(down.row(r, e)[i]) * slack[i];
        out[r].value += weight * y.value;
        out[r].error += std::fabs(weight) * error;
      }
    }
    for (auto& y : out) y.error += (std::fabs(y.value) + y.error) / 256;
    return out;
  }

  Backend& backend;
  cases::Moe c;
  FileMatrix gate, up, down;
  std::vector<float> x;
  std::vector<int32_t> experts;
  std::vector<float> weights;
  Weight packed_down, packed_gate_up;
};

void check_experts(Backend& backend, const cases::Moe& c) {
  INFO(c.name << ": " << c.n_tokens << " tokens, hidden " << c.hidden << ", ffn " << c.ffn << ", "
              << c.n_experts << " experts, top " << c.top_k);
  const Experts experts(backend, c);
  std::vector<std::vector<reference::Bounded>> expected;
  for (int64_t t = 0; t < c.n_tokens; ++t) expected.push_back(experts.expected(t));
  each_schedule([&] {
    require_close(experts.run(c.n_tokens),
                  [&](int64_t i) { return expected[i / c.hidden][i % c.hidden]; });
  });
}

using cases::Routing;

}  // namespace

TEST_CASE("CUDA moe_route picks the experts and weights of its plain twin", "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (auto [n_experts, hidden, top_k, n] : {std::tuple<int, int, int, int64_t>{128, 520, 8, 3},
                                             {128, 64, 8, 9},
                                             {12, 264, 3, 8},
                                             {10, 40, 3, 7},
                                             {17, 256, 5, 1},
                                             {4, 16, 4, 70},
                                             {1, 8, 1, 2},
                                             {33, 40, 8, 263}}) {
    INFO(n_experts << " experts, hidden " << hidden << ", top " << top_k << ", " << n << " tokens");
    const FileMatrix proj(n_experts, hidden, DType::bf16, 1, 1, 0.1F);
    Router router(*backend, proj, normals(n * hidden, 2, 4), top_k);
    each_schedule([&, n = n] {
      router.run(n);
      for (int64_t t = 0; t < n; ++t) router.check(t);
    });
  }
}

TEST_CASE("CUDA moe_route does not round the residual stream", "[cuda]") {
  const auto backend = make_cuda_backend({});
  FileMatrix proj(2, 8, DType::bf16, 1);
  for (int i = 0; i < 16; ++i) proj.set(i, i == 0 ? 1.0F : 0.0F);  // expert 0 sees h[0]
  proj.set(9, 1.0F);                                               // expert 1 sees h[1]
  std::vector<float> h(8, 0.0F);
  h[0] = 1.0F;
  h[1] = 1.0F + 0x1p-23F;
  Router router(*backend, proj, h, 2);
  router.scale_there = to_device(*backend, std::vector<float>(8, 1.0F), DType::f32, {8});
  router.run(1);
  CHECK(router.experts == std::vector<int32_t>{1, 0});
}

TEST_CASE("CUDA moe_route gives a token the same bits whatever else is in the call", "[cuda]") {
  const auto backend = make_cuda_backend({});
  const FileMatrix proj(20, 600, DType::bf16, 1, 1, 0.1F);
  Router all(*backend, proj, normals(300 * 600, 2, 4), 4);
  all.run(300);
  Router some(*backend, proj, all.h, 4);
  for (const int64_t n : {1, 8, 64, 65, 256}) {
    some.run(n);
    CHECK(std::equal(some.experts.begin(), some.experts.end(), all.experts.begin()));
    require_same_bits(some.weights, {all.weights.begin(), all.weights.begin() + n * 4});
  }
  some.run(0);
}

TEST_CASE("CUDA moe_route takes the lowest index first on ties", "[cuda]") {
  const auto backend = make_cuda_backend({});
  FileMatrix proj(100, 16, DType::bf16, 1);
  for (int e = 0; e < 100; ++e) {
    for (int i = 0; i < 16; ++i) proj.set(e * 16 + i, proj.row(e % 2)[i]);
  }
  Router router(*backend, proj, normals(6 * 16, 2), 8);
  each_schedule([&] {
    router.run(6);
    for (int64_t t = 0; t < 6; ++t) {
      const int32_t first = router.experts[t * 8];
      REQUIRE(first < 2);
      for (int j = 0; j < 8; ++j) CHECK(router.experts[t * 8 + j] == first + 2 * j);
    }
  });
}

TEST_CASE("CUDA moe_route yields distinct experts even for NaN, in the NaN's own row", "[cuda]") {
  const auto backend = make_cuda_backend({});
  const FileMatrix proj(16, 40, DType::bf16, 1);
  auto h = normals(11 * 40, 2);
  h[4 * 40 + 3] = std::numeric_limits<float>::quiet_NaN();
  h[9 * 40] = std::numeric_limits<float>::infinity();
  Router router(*backend, proj, h, 4);
  router.run(11);
  for (int64_t t = 0; t < 11; ++t) {
    if (t != 4 && t != 9) {
      router.check(t);
      continue;
    }
    for (int j = 0; j < 4; ++j) CHECK(router.experts[t * 4 + j] == j);
  }
}

TEST_CASE("CUDA moe_route takes an expert whose logit is NaN last", "[cuda]") {
  const auto backend = make_cuda_backend({});
  FileMatrix proj(40, 16, DType::bf16, 1);
  proj.set(16 * 16 + 3, std::numeric_limits<float>::quiet_NaN());
  Router router(*backend, proj, normals(16, 2), 32);
  router.run(1);
  CHECK(std::count(router.experts.begin(), router.experts.end(), 16) == 0);
  FileMatrix two(2, 16, DType::bf16, 1);
  two.set(3, std::numeric_limits<float>::quiet_NaN());
  Router both(*backend, two, normals(16, 2), 2);
  both.run(1);
  CHECK(both.experts == std::vector<int32_t>{1, 0});
}

TEST_CASE("CUDA moe_ffn of few tokens equals its plain twin for every routing", "[cuda]") {
  const auto backend = make_cuda_backend({});
  const std::vector<cases::Moe> few = {
      {"one token", 1, 64, 16, 8, 2},
      {"ends inside strips and steps", 3, 328, 40, 12, 3},
      {"one output a strip", 2, 8, 8, 4, 1},
      {"all places of a wide router", 2, 64, 24, 128, 8},
      {"every expert chosen by all", 8, 96, 24, 5, 5},
      {"all tokens to one expert", 8, 64, 32, 8, 1, Routing::all_to_one},
      {"k goes round the warps of an expert", 2, 24, 328, 6, 3},
      {"k beyond what a warp has under way", 1, 24, 296, 8, 8},
      {"tokens share experts", 7, 40, 16, 64, 8, Routing::few_experts},
  };
  for (const cases::Moe& c : few) check_experts(*backend, c);
}

TEST_CASE("CUDA moe_ffn of many tokens equals its plain twin for every routing and tile",
          "[cuda]") {
  const std::vector<cases::Moe> many = {
      {"tiles of 8", 9, 64, 16, 12, 3},
      {"tiles of 8, most experts empty", 9, 136, 72, 64, 2, Routing::few_experts},
      {"tiles of 8, a wide router", 9, 40, 16, 128, 8},
      {"tiles of 16, panels end early", 30, 136, 72, 12, 3},
      {"tiles of 32, all to one expert", 77, 40, 24, 4, 1, Routing::all_to_one},
      {"tiles of 64", 40, 72, 88, 4, 3},
      {"tiles of 128", 70, 264, 136, 2, 2},
      {"tiles of 128, two of one expert", 150, 40, 8, 2, 1, Routing::all_to_one},
      {"tiles of 128, panels and k go round", 90, 328, 200, 2, 2},
  };
  for (const CudaPath path : cuda_paths()) {
    INFO(name_of(path));
    const auto backend = make_cuda_backend({.cuda_path = path});
    for (const cases::Moe& c : many) check_experts(*backend, c);
  }
}

TEST_CASE("CUDA moe_ffn gives a token the same bits whatever else is in the call", "[cuda]") {
  const auto backend = make_cuda_backend({});
  const Experts experts(*backend, {"", 120, 72, 24, 4, 2});
  for (const auto& [most, ns] :
       {std::pair<int64_t, std::vector<int64_t>>{8, {1, 3}}, {120, {9, 17, 40}}}) {
    const auto all = experts.run(most);
    for (const int64_t n : ns) {
      INFO(n << " of " << most << " tokens");
      require_same_bits(experts.run(n), {all.begin(), all.begin() + n * 72});
    }
  }
  CHECK(experts.run(0).empty());
}

TEST_CASE("CUDA moe_ffn of many tokens gives a token the same bits on each path", "[cuda]") {
  for (const CudaPath path : cuda_paths()) {
    INFO(name_of(path));
    const auto backend = make_cuda_backend({.cuda_path = path});
    const Experts experts(*backend, {"", 150, 72, 24, 4, 2});
    const auto all = experts.run(150);
    require_same_bits(experts.run(100), {all.begin(), all.begin() + 100 * 72});
  }
}

TEST_CASE("CUDA moe_ffn keeps NaN and infinity in their own rows", "[cuda]") {
  for (const auto& [n, path] : {std::pair{8, CudaPath::portable},
                                {30, CudaPath::portable},
                                {140, CudaPath::portable},
                                {140, cuda_paths().back()}}) {
    INFO(n << " tokens, " << name_of(path));
    const auto backend = make_cuda_backend({.cuda_path = path});
    Experts experts(*backend, {"", n, 40, 16, 4, 2});
    const auto clean = experts.run(n);
    experts.x[2 * 40 + 1] = std::numeric_limits<float>::quiet_NaN();
    experts.x[5 * 40 + 7] = std::numeric_limits<float>::infinity();
    const auto dirty = experts.run(n);
    for (int64_t t = 0; t < n; ++t) {
      const std::vector<float> row(dirty.begin() + t * 40, dirty.begin() + (t + 1) * 40);
      if (t == 2 || t == 5) {
        CHECK(std::none_of(row.begin(), row.end(), [](float x) { return std::isfinite(x); }));
      } else {
        require_same_bits(row, {clean.begin() + t * 40, clean.begin() + (t + 1) * 40});
      }
    }
  }
}

}  // namespace lapidary
