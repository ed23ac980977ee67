// Accuracy of the vector exponential, tanh and gelu of every instruction set against double
// precision, over the ranges where the verbs use them. The bounds are what README.md documents.
#include <limits>

#include "tests/kernels/data.h"

namespace lapidary {
namespace {

void each_table(const std::function<void(const cpu::Kernels&)>& body) {
  int count = 0;
  const cpu::Kernels* const* tables = cpu::runnable_kernels(&count);
  for (int i = 0; i < count; ++i) {
    INFO(tables[i]->name);
    body(*tables[i]);
  }
}

std::vector<float> steps(float from, float to, int n) {
  std::vector<float> x(n);
  for (int i = 0; i < n; ++i)
    x[i] = from + (to - from) * (static_cast<float>(i) / static_cast<float>(n - 1));
  return x;
}

// The largest distance in units of the last place of `expected` that is not subnormal.
double worst_ulp(const std::vector<float>& actual, const std::function<double(size_t)>& expected) {
  double worst = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double e = expected(i);
    if (std::fabs(e) < std::numeric_limits<float>::min()) continue;
    int exponent = 0;
    std::frexp(e, &exponent);
    worst = std::max(worst, std::fabs(actual[i] - e) / std::ldexp(1.0, exponent - 24));
  }
  return worst;
}

}  // namespace

TEST_CASE("exp is within 2 ulp from -87 to 88", "[kernels]") {
  each_table([](const cpu::Kernels& kernels) {
    const auto x = steps(-87, 88, 2000001);
    std::vector<float> y(x.size());
    kernels.exp(x.data(), static_cast<int64_t>(x.size()), y.data());
    const double worst = worst_ulp(y, [&](size_t i) { return std::exp(double{x[i]}); });
    INFO("worst " << worst << " ulp");
    CHECK(worst <= 2);
  });
}

TEST_CASE("exp is exact at 0, zero far below, and keeps NaN", "[kernels]") {
  each_table([](const cpu::Kernels& kernels) {
    const float infinity = std::numeric_limits<float>::infinity();
    const std::vector<float> x = {0, -0.0F, -88, -1e30F, -infinity, NAN};
    std::vector<float> y(x.size());
    kernels.exp(x.data(), static_cast<int64_t>(x.size()), y.data());
    CHECK(y[0] == 1);
    CHECK(y[1] == 1);
    CHECK(y[2] == 0);
    CHECK(y[3] == 0);
    CHECK(y[4] == 0);
    CHECK(std::isnan(y[5]));
  });
}

TEST_CASE("tanh of the soft cap is within 3 ulp", "[kernels]") {
  each_table([](const cpu::Kernels& kernels) {
    const auto x = steps(-12, 12, 1000001);
    auto y = x;
    kernels.soft_cap(y.data(), static_cast<int64_t>(y.size()), 1.0F);
    const double worst = worst_ulp(y, [&](size_t i) { return std::tanh(double{x[i]}); });
    INFO("worst " << worst << " ulp");
    CHECK(worst <= 3);
  });
}

TEST_CASE("gelu is within 4e-6 of its value from -6 on", "[kernels]") {
  each_table([](const cpu::Kernels& kernels) {
    const auto x = steps(-6, 20, 1000001);
    const std::vector<float> ones(x.size(), 1.0F);
    std::vector<float> y(x.size());
    kernels.gelu_mul(x.data(), ones.data(), static_cast<int64_t>(x.size()), y.data());
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double e = reference::gelu_tanh(x[i]);
      if (e != 0) worst = std::max(worst, std::fabs(y[i] - e) / std::fabs(e));
    }
    INFO("worst " << worst);
    CHECK(worst <= 4e-6);
  });
}

}  // namespace lapidary
