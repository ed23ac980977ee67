// rms_norm, add_norm and moe_combine of the CUDA backend against the plain twin.
#include "tests/reference/norm.h"

#include <algorithm>

#include "tests/cuda/device_data.h"
#include "tests/cuda/schedules.h"
#include "tests/kernels/data.h"

namespace lapidary {
namespace {

constexpr double kEps = 1e-6;
constexpr int64_t kTokens = 3;
// Below a warp's columns, rows that do not start on 16 bytes, several warps, whole and not.
const int64_t kWidths[] = {1, 7, 64, 97, 96, 264, 1003, 2816};

reference::Bounded near(double value, double magnitude) {
  return {value, 24 * reference::kUnit * magnitude};
}

// The same, rounded once to bf16.
reference::Bounded near_bf16(double value, double magnitude) {
  const reference::Bounded exact = near(value, magnitude);
  return {value, exact.error + (std::fabs(value) + exact.error) / 256};
}

// All rows of x.
std::vector<double> normed(const std::vector<double>& x, const std::vector<float>& weight) {
  std::vector<double> out;
  const auto n = static_cast<std::ptrdiff_t>(weight.size());
  for (auto row = x.begin(); row != x.end(); row += n) {
    const auto y = reference::rms_norm({row, row + n}, weight.data(), kEps);
    out.insert(out.end(), y.begin(), y.end());
  }
  return out;
}

std::vector<double> widened(const std::vector<float>& x) { return {x.begin(), x.end()}; }

// The h that the verb left, normed: what `next` must hold.
void require_next(Backend& backend, const OnDevice& out, const std::vector<float>& h,
                  const std::vector<float>& weight) {
  const auto expected = normed(widened(h), weight);
  require_close(from_device(backend, out),
                [&](int64_t i) { return near_bf16(expected[i], std::fabs(expected[i])); });
}

}  // namespace

TEST_CASE("CUDA rms_norm equals its plain twin for every width", "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (int64_t n : kWidths) {
    INFO("width " << n);
    const auto x = normals(kTokens * n, 1, 3);
    const auto weight = normals(n, 2);
    const auto expected = normed(widened(x), weight);
    const OnDevice x_there = to_device(*backend, x, DType::f32, {kTokens, n});
    const OnDevice weight_there = to_device(*backend, weight, DType::f32, {n});
    each_schedule([&] {
      const OnDevice out = unwritten(*backend, DType::bf16, {kTokens, n});
      backend->rms_norm({x_there, weight_there, 1e-6F, out});
      require_close(from_device(*backend, out),
                    [&](int64_t i) { return near_bf16(expected[i], std::fabs(expected[i])); });
    });
  }
}

TEST_CASE("CUDA rms_norm of zeros is zero, and eps counts when the row is small", "[cuda]") {
  const auto backend = make_cuda_backend({});
  std::vector<float> x(64, 0.0F);
  std::fill(x.begin() + 32, x.end(), 1e-4F);
  const OnDevice x_there = to_device(*backend, x, DType::f32, {2, 32});
  const OnDevice weight = to_device(*backend, std::vector<float>(32, 2.0F), DType::f32, {32});
  const OnDevice out = unwritten(*backend, DType::bf16, {2, 32});
  backend->rms_norm({x_there, weight, 1e-6F, out});
  require_close(from_device(*backend, out), [&](int64_t i) {
    const double y = i < 32 ? 0 : 2e-4 / std::sqrt(1e-8 + 1e-6);
    return near_bf16(y, y);
  });
}

TEST_CASE("CUDA add_norm adds the normed row, scales the stream, and norms what it leaves",
          "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (int64_t n : kWidths) {
    const auto before = normals(kTokens * n, 1);
    const auto x = rounded_to_bf16(normals(kTokens * n, 2, 5));
    const auto weight = normals(n, 3);
    const std::vector<float> next_weight[] = {normals(n, 4), normals(n, 5)};
    const auto y = normed(widened(x), weight);
    const OnDevice x_there = to_device(*backend, x, DType::bf16, {kTokens, n});
    const OnDevice weight_there = to_device(*backend, weight, DType::f32, {n});
    const OnDevice next_there[] = {to_device(*backend, next_weight[0], DType::f32, {n}),
                                   to_device(*backend, next_weight[1], DType::f32, {n})};
    for (int n_next : {0, 1, 2}) {
      INFO("width " << n << ", " << n_next << " next norms");
      each_schedule([&] {
        const OnDevice h = to_device(*backend, before, DType::f32, {kTokens, n});
        const OnDevice out[] = {unwritten(*backend, DType::bf16, {kTokens, n}),
                                unwritten(*backend, DType::bf16, {kTokens, n})};
        AddNormArgs args{h, x_there, weight_there, 1e-6F, 0.25F, {}, {}};
        if (n_next > 0) args.next = {next_there[0], out[0]};
        if (n_next > 1) args.next_2 = {next_there[1], out[1]};
        backend->add_norm(args);
        const auto after = from_device(*backend, h);
        require_close(after, [&](int64_t i) {
          return near((before[i] + y[i]) * 0.25, std::fabs(before[i]) + std::fabs(y[i]));
        });
        for (int k = 0; k < n_next; ++k) require_next(*backend, out[k], after, next_weight[k]);
      });
    }
  }
}

TEST_CASE("CUDA moe_combine norms both branches, their sum, adds it, and norms what it leaves",
          "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (int64_t n : kWidths) {
    INFO("width " << n);
    const auto before = normals(kTokens * n, 1);
    const auto dense = rounded_to_bf16(normals(kTokens * n, 2, 5));
    const auto sparse = rounded_to_bf16(normals(kTokens * n, 3, 0.1F));
    const std::vector<float> weights[] = {normals(n, 4), normals(n, 5), normals(n, 6),
                                          normals(n, 7)};
    const auto left = normed(widened(dense), weights[0]);
    const auto right = normed(widened(sparse), weights[1]);
    std::vector<double> joined(left.size());
    for (size_t i = 0; i < joined.size(); ++i) joined[i] = left[i] + right[i];
    const auto y = normed(joined, weights[2]);
    // What the two terms cancel is lost to rounding: relative to the larger, not to their sum.
    const auto magnitude = [&](int64_t i) {
      const double parts = std::fabs(left[i]) + std::fabs(right[i]);
      const double lost = joined[i] == 0 ? 0 : std::fabs(y[i] / joined[i]) * parts;
      return std::fabs(before[i]) + std::fabs(y[i]) + lost;
    };
    const OnDevice dense_there = to_device(*backend, dense, DType::bf16, {kTokens, n});
    const OnDevice sparse_there = to_device(*backend, sparse, DType::bf16, {kTokens, n});
    std::vector<OnDevice> there;
    for (const auto& w : weights) there.push_back(to_device(*backend, w, DType::f32, {n}));
    for (bool has_next : {false, true}) {
      each_schedule([&] {
        const OnDevice h = to_device(*backend, before, DType::f32, {kTokens, n});
        const OnDevice out = unwritten(*backend, DType::bf16, {kTokens, n});
        MoeCombineArgs args{h,        dense_there, sparse_there, there[0], there[1],
                            there[2], 1e-6F,       0.5F,         {}};
        if (has_next) args.next = {there[3], out};
        backend->moe_combine(args);
        const auto after = from_device(*backend, h);
        require_close(after,
                      [&](int64_t i) { return near((before[i] + y[i]) * 0.5, magnitude(i)); });
        if (has_next) require_next(*backend, out, after, weights[3]);
      });
    }
  }
}

TEST_CASE("CUDA norms of a row do not depend on the other rows", "[cuda]") {
  const auto backend = make_cuda_backend({});
  const int64_t n = 264;
  const auto x = normals(4 * n, 1);
  const OnDevice weight = to_device(*backend, normals(n, 2), DType::f32, {n});
  const OnDevice all = unwritten(*backend, DType::bf16, {4, n});
  backend->rms_norm({to_device(*backend, x, DType::f32, {4, n}), weight, 1e-6F, all});
  const OnDevice one = unwritten(*backend, DType::bf16, {1, n});
  backend->rms_norm(
      {to_device(*backend, {x.begin() + 2 * n, x.begin() + 3 * n}, DType::f32, {1, n}), weight,
       1e-6F, one});
  const auto together = from_device(*backend, all);
  require_same_bits(from_device(*backend, one),
                    {together.begin() + 2 * n, together.begin() + 3 * n});
}

}  // namespace lapidary
