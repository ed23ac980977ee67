// Time of one draw over a row of Gemma's vocabulary, one core, for each way of sampling. Prints
// the median of many draws on rows of realistic spread; the copy of the row that each draw
// changes is not counted.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <vector>

#include "kernels/cpu/sampling/sampler.h"

namespace lapidary {
namespace {

constexpr int kVocab = 262144;
constexpr int kDraws = 400;

struct BenchCase {
  const char* name;
  SampleDraw draw;
};

// Normal noise with a few peaks, as a trained model's logits; some peaks far, some close together.
std::vector<float> realistic_row(uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> noise(0.0F, 3.0F);
  std::vector<float> row(kVocab);
  for (float& x : row) x = noise(random);
  for (int peak = 0; peak < 8; ++peak) {
    row[random() % kVocab] = 14.0F + static_cast<float>(random() % 100) * 0.1F;
  }
  return row;
}

double median_us(const std::vector<std::vector<float>>& rows, SampleDraw draw) {
  cpu::Sampler sampler;
  std::vector<float> row;
  std::vector<double> times;
  draw.seed = 1;
  for (int i = 0; i < kDraws; ++i) {
    row = rows[i % rows.size()];
    const auto start = std::chrono::steady_clock::now();
    draw.position = i;
    Sampled sampled;
    sampler.sample({}, {&draw, 1}, row, &sampled);
    const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - start;
    times.push_back(time.count());
  }
  std::nth_element(times.begin(), times.begin() + kDraws / 2, times.end());
  return times[kDraws / 2];
}

}  // namespace
}  // namespace lapidary

int main() {
  using lapidary::BenchCase;
  const BenchCase cases[] = {
      {"greedy", {.temperature = 0.0F}},
      {"default: top_k 64, top_p 0.95", {.top_k = 64, .top_p = 0.95F}},
      {"default, 20 logprobs", {.top_k = 64, .top_p = 0.95F, .n_logprobs = 20}},
      {"top_p 0.95 only", {.top_p = 0.95F}},
      {"top_p 0.95 only, temperature 2", {.temperature = 2.0F, .top_p = 0.95F}},
      {"top_k 5000, top_p 0.95", {.top_k = 5000, .top_p = 0.95F}},
      {"min_p 0.05 only", {.min_p = 0.05F}},
      {"temperature only", {}},
  };
  std::vector<std::vector<float>> rows;
  for (uint32_t seed = 0; seed < 4; ++seed) rows.push_back(lapidary::realistic_row(seed));
  const std::vector<std::vector<float>> flat = {std::vector<float>(lapidary::kVocab, 30.0F)};
  std::printf("vocab %d, us a token (median of %d)\n", lapidary::kVocab, lapidary::kDraws);
  std::printf("%-34s %10s %10s\n", "", "realistic", "all equal");
  for (const BenchCase& c : cases) {
    std::printf("%-34s %10.1f %10.1f\n", c.name, lapidary::median_us(rows, c.draw),
                lapidary::median_us(flat, c.draw));
  }
}
