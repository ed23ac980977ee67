// The parts below the sampler: random numbers, selection, softmax, the long prefix.
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/cpu/sampling/block_maxima.h"
#include "kernels/cpu/sampling/nucleus.h"
#include "kernels/cpu/sampling/random.h"
#include "kernels/cpu/sampling/softmax.h"
#include "kernels/sample.h"
#include "tests/catch.h"
#include "tests/reference/sampling.h"
#include "tests/tested_seed.h"

namespace lapidary::cpu {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// `steps` > 0: logits on a grid of so many steps per unit, so that ties are common.
std::vector<float> normal_row(int vocab, float deviation, float steps, uint32_t seed) {
  std::mt19937 random(tested_seed(seed));
  std::normal_distribution<float> noise(0.0F, deviation);
  std::vector<float> row(vocab);
  for (float& x : row) {
    x = noise(random);
    if (steps > 0.0F) x = std::round(x * steps) / steps;
  }
  return row;
}

// With u on a grid of n points, a token of probability p is drawn n p times, off by less than two:
// each of its intervals' ends moves by less than one point.
template <typename Draw>
void check_on_grid(const std::vector<double>& probability, int n, Draw draw_at) {
  std::vector<int> drawn(probability.size(), 0);
  for (int i = 0; i < n; ++i) ++drawn[draw_at((i + 0.5) / n)];
  for (size_t id = 0; id < drawn.size(); ++id) {
    INFO("id " << id << " of " << drawn.size() << ", grid " << n);
    if (probability[id] == 0.0) {
      CHECK(drawn[id] == 0);
    } else {
      CHECK(std::abs(drawn[id] - probability[id] * n) < 1.01);
    }
  }
}

}  // namespace

TEST_CASE("Philox gives the published known answers", "[kernels]") {
  CHECK(philox({0, 0, 0, 0}, {0, 0}) ==
        PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({~0U, ~0U, ~0U, ~0U}, {~0U, ~0U}) ==
        PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("uniform numbers fill the unit interval for neighbouring seeds and positions",
          "[kernels]") {
  constexpr int kNumbers = 20000;
  std::vector<int> by_position(20, 0);
  std::vector<int> by_seed(20, 0);
  for (int i = 0; i < kNumbers; ++i) {
    const double a = uniform(1, 0, i);
    const double b = uniform(static_cast<uint64_t>(i), 0, 1);
    REQUIRE((a >= 0.0 && a < 1.0 && b >= 0.0 && b < 1.0));
    ++by_position[static_cast<int>(a * 20)];
    ++by_seed[static_cast<int>(b * 20)];
  }
  for (int cell = 0; cell < 20; ++cell) {
    CHECK(std::abs(by_position[cell] - kNumbers / 20) < 160);
    CHECK(std::abs(by_seed[cell] - kNumbers / 20) < 160);
  }
  CHECK(uniform(1ULL << 40, 0, 5) != uniform(0, 0, 5));
  CHECK(uniform(5, 0, 1LL << 40) != uniform(5, 0, 0));
  CHECK(uniform(5, 1, 7) != uniform(6, 0, 7));  // a choice is no neighbouring seed
}

TEST_CASE("the k largest are those of a full sort", "[kernels]") {
  BlockMaxima maxima;
  std::vector<Candidate> top;
  for (int vocab : {1, 7, 8, 100, 1536, 5000, 33000, 70001}) {
    for (float steps : {0.0F, 4.0F, 0.25F}) {
      std::vector<float> row = normal_row(vocab, 2.0F, steps, 17);
      if (vocab >= 100) {
        row[3] = row[64] = kNan;
        for (int i = 0; i < vocab; i += 5) row[i] = -kInf;
      }
      maxima.compute(row);
      const std::vector<int32_t> order = reference::ranking(row);
      for (int k : {0, 1, 2, 20, 64, 1000, 1024, vocab, vocab + 5}) {
        maxima.top(row, k, &top);
        INFO("vocab " << vocab << " steps " << steps << " k " << k);
        REQUIRE(top.size() == std::min<size_t>(k, order.size()));
        bool is_equal = true;
        for (size_t i = 0; i < top.size(); ++i) {
          is_equal = is_equal && top[i].id == order[i] && top[i].value == row[order[i]];
        }
        CHECK(is_equal);
      }
      CHECK(maxima.argmax(row) == order[0]);
    }
  }
}

TEST_CASE("the exponential is right to 1e-6 where it matters and 0 far out", "[kernels]") {
  for (double x = 0.0; x > -20.0; x -= 0.00137) {
    const auto rounded = static_cast<float>(x);
    const double exact = std::exp(static_cast<double>(rounded));
    REQUIRE(std::abs(exp_negative(rounded) / exact - 1.0) < 1e-6);
  }
  CHECK(exp_negative(0.0F) == 1.0F);
  CHECK(exp_negative(-86.0F) > 0.0F);
  CHECK(exp_negative(-87.0F) == 0.0F);
  CHECK(exp_negative(-kInf) == 0.0F);
}

TEST_CASE("a draw from the whole row hits each token by its share", "[kernels]") {
  for (int vocab : {1, 5, 255, 256, 257, 1000}) {
    const std::vector<float> row = normal_row(vocab, 1.0F, 0.0F, 23);
    for (const auto& [temperature, min_p] :
         {std::pair{1.0F, 0.0F}, {0.7F, 0.0F}, {2.0F, 0.25F}, {1.0F, 1.0F}}) {
      const SampleDraw params{.temperature = temperature, .min_p = min_p};
      const auto expected = reference::distribution(row, params);
      const Softmax softmax{.max = *std::max_element(row.begin(), row.end()),
                            .inverse_temperature = 1.0F / temperature};
      const float near = min_p > 0.0F ? std::abs(temperature * std::log(min_p)) : kInf;
      check_on_grid(expected.probability, 8000,
                    [&](double u) { return draw_from_row(row, softmax, near, u); });
    }
  }
}

TEST_CASE("the long prefix is the one a full sort gives", "[kernels]") {
  Nucleus nucleus;
  int n_checked = 0;
  for (uint32_t seed = 0; seed < 80; ++seed) {
    std::mt19937 random(tested_seed(seed));
    const int vocab = std::vector<int>{3, 60, 500, 1200}[random() % 4];
    const float steps = std::vector<float>{0.0F, 0.0F, 20.0F, 1.0F}[random() % 4];
    // Crowded: the whole row is in the nearest bucket, so the choice within a bucket decides.
    const bool is_crowded = random() % 2 == 0;
    const float deviation =
        is_crowded ? 3e-4F : std::vector<float>{0.0F, 0.01F, 1.0F, 3.0F}[random() % 4];
    std::vector<float> row = normal_row(vocab, deviation, is_crowded ? steps * 1e3F : steps, seed);
    if (random() % 3 == 0) row[random() % vocab] = kNan;
    if (random() % 3 == 0) row[random() % vocab] = -kInf;
    const SampleDraw params{.temperature = std::vector<float>{0.3F, 1.0F, 2.0F}[random() % 3] *
                                               (is_crowded ? 3e-4F : 1.0F),
                                .top_k = std::vector<int>{0, 1, 17, 300, 5000}[random() % 5],
                                .top_p = std::vector<float>{1.0F, 0.99F, 0.7F, 0.3F}[random() % 4],
                                .min_p = std::vector<float>{0.0F, 0.0F, 0.1F, 0.9F}[random() % 4]};
    const auto expected = reference::distribution(row, params);
    if (expected.margin < 3e-6) continue;
    ++n_checked;
    BlockMaxima maxima;
    maxima.compute(row);
    const Softmax softmax{.max = maxima.max(), .inverse_temperature = 1.0F / params.temperature};
    const PrefixLimits limits{
        .top_k = params.top_k,
        .top_p = params.top_p,
        .max_distance =
            params.min_p > 0.0F ? std::abs(params.temperature * std::log(params.min_p)) : kInf};
    INFO("seed " << seed << " deviation " << deviation << " steps " << steps << " top_k "
                 << params.top_k << " top_p " << params.top_p << " min_p " << params.min_p);
    check_on_grid(expected.probability, 2000,
                  [&](double u) { return nucleus.draw(row, softmax, limits, u); });
  }
  CHECK(n_checked > 50);
}

}  // namespace lapidary::cpu
