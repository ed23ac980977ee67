// rms_norm, add_norm and moe_combine against the plain twin.
#include "tests/reference/norm.h"

#include "tests/kernels/cases.h"
#include "tests/kernels/data.h"

namespace lapidary {
namespace {

constexpr double kEps = 1e-6;
constexpr int64_t kTokens = 5;

// A dozen roundings on the way to each element.
reference::Bounded near(double value, double magnitude) {
  return {value, 16 * reference::kUnit * magnitude};
}

// All rows of x.
std::vector<double> normed(const std::vector<float>& x, const std::vector<float>& weight) {
  std::vector<double> out;
  const auto n = static_cast<int64_t>(weight.size());
  for (size_t from = 0; from < x.size(); from += weight.size()) {
    const auto row = reference::rms_norm(reference::widen(x.data() + from, n), weight.data(), kEps);
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

// The norms of the new h that a verb gives along.
class NextNorms {
 public:
  explicit NextNorms(int64_t width)
      : width_(width), weights_{normals(width, 11), normals(width, 12)} {
    for (auto& out : out_) out.assign(kTokens * width, -1);
  }
  NextNorm first() { return {view(weights_[0], {width_}), view(out_[0], {kTokens, width_})}; }
  NextNorm second() { return {view(weights_[1], {width_}), view(out_[1], {kTokens, width_})}; }

  void check(const std::vector<float>& h, int n_asked) const {
    for (int i = 0; i < n_asked; ++i) {
      const auto expected = normed(h, weights_[i]);
      require_close(out_[i], [&](int64_t j) { return near(expected[j], std::fabs(expected[j])); });
    }
  }

 private:
  int64_t width_;
  std::vector<float> weights_[2], out_[2];
};

}  // namespace

TEST_CASE("rms_norm equals its plain twin for every width", "[kernels]") {
  each_backend([](Backend& backend) {
    for (int64_t n : cases::widths()) {
      INFO("width " << n);
      auto x = normals(kTokens * n, 1, 3);
      auto weight = normals(n, 2);
      std::vector<float> out(x.size());
      backend.rms_norm({view(x, {kTokens, n}), view(weight, {n}), 1e-6F, view(out, {kTokens, n})});
      const auto expected = normed(x, weight);
      require_close(out, [&](int64_t i) { return near(expected[i], std::fabs(expected[i])); });
    }
  });
}

TEST_CASE("rms_norm of zeros is zero, and eps counts when the row is small", "[kernels]") {
  each_backend([](Backend& backend) {
    std::vector<float> x(64, 0.0F);
    std::fill(x.begin() + 32, x.end(), 1e-4F);
    std::vector<float> weight(32, 2.0F);
    std::vector<float> out(64);
    backend.rms_norm({view(x, {2, 32}), view(weight, {32}), 1e-6F, view(out, {2, 32})});
    require_close(out, [&](int64_t i) {
      const double y = i < 32 ? 0 : 2e-4 / std::sqrt(1e-8 + 1e-6);
      return near(y, y);
    });
  });
}

TEST_CASE("add_norm adds the normed row and scales the stream", "[kernels]") {
  each_backend([](Backend& backend) {
    for (int64_t n : cases::widths()) {
      INFO("width " << n);
      const auto before = normals(kTokens * n, 1);
      auto h = before;
      auto x = normals(kTokens * n, 2, 5);
      auto weight = normals(n, 3);
      NextNorms next(n);
      backend.add_norm({.h = view(h, {kTokens, n}),
                        .x = view(x, {kTokens, n}),
                        .weight = view(weight, {n}),
                        .scale = 0.25F,
                        .next = next.first(),
                        .next_2 = next.second()});
      next.check(h, 2);
      const auto y = normed(x, weight);
      require_close(h, [&](int64_t i) {
        return near((before[i] + y[i]) * 0.25, std::fabs(before[i]) + std::fabs(y[i]));
      });
    }
  });
}

TEST_CASE("moe_combine norms both branches, their sum, and adds it", "[kernels]") {
  each_backend([](Backend& backend) {
    for (int64_t n : cases::widths()) {
      INFO("width " << n);
      const auto before = normals(kTokens * n, 1);
      auto h = before;
      auto dense = normals(kTokens * n, 2, 5);
      auto sparse = normals(kTokens * n, 3, 0.1F);
      auto dense_weight = normals(n, 4);
      auto sparse_weight = normals(n, 5);
      auto weight = normals(n, 6);
      NextNorms next(n);
      backend.moe_combine({view(h, {kTokens, n}), view(dense, {kTokens, n}),
                           view(sparse, {kTokens, n}), view(dense_weight, {n}),
                           view(sparse_weight, {n}), view(weight, {n}), 1e-6F, 0.5F,
                           next.first()});
      std::vector<reference::Bounded> expected;
      for (int64_t from = 0; from < kTokens * n; from += n) {
        auto sum = reference::rms_norm(reference::widen(dense.data() + from, n),
                                       dense_weight.data(), kEps);
        const auto other = reference::rms_norm(reference::widen(sparse.data() + from, n),
                                               sparse_weight.data(), kEps);
        double parts = 0;  // what the two terms cancel is lost to rounding
        double squares = 0;
        for (int64_t k = 0; k < n; ++k) {
          parts = std::max(parts, std::fabs(sum[k]) + std::fabs(other[k]));
          sum[k] += other[k];
          squares += sum[k] * sum[k];
        }
        const auto y = reference::rms_norm(sum, weight.data(), kEps);
        const double scale = 1 / std::sqrt(squares / static_cast<double>(n) + kEps);
        for (int64_t k = 0; k < n; ++k) {
          const double h_before = before[from + k];
          expected.push_back(
              near((h_before + y[k]) * 0.5,
                   std::fabs(h_before) + std::fabs(y[k]) + parts * scale * std::fabs(weight[k])));
        }
      }
      require_close(h, [&](int64_t i) { return expected[i]; });
      next.check(h, 1);
    }
  });
}

}  // namespace lapidary
