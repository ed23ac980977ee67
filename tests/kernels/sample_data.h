// Draws with all that belongs to them, at random with fixed seeds, and how to put them to a
// backend.
#pragma once

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "tests/reference/sampling.h"
#include "tests/tested_seed.h"

namespace lapidary {

inline std::vector<float> normal_row(int vocab, float deviation, uint32_t seed) {
  std::mt19937 random(tested_seed(seed));
  std::normal_distribution<float> noise(0.0F, deviation);
  std::vector<float> row(vocab);
  for (float& x : row) x = noise(random);
  return row;
}

template <typename T>
T one_of(std::mt19937& random, std::initializer_list<T> values) {
  return values.begin()[random() % values.size()];
}

inline std::string described(const SampleDraw& d) {
  return "temperature " + std::to_string(d.temperature) + " top_k " + std::to_string(d.top_k) +
         " top_p " + std::to_string(d.top_p) + " min_p " + std::to_string(d.min_p);
}

// Half of the rows have many ties; half of the draws each have counts, bias, bans; some a mask.
inline SampleCase random_case(uint32_t seed, int vocab) {
  std::mt19937 random(tested_seed(seed));
  SampleCase c{.row = normal_row(vocab, 2.0F, seed)};
  if (random() % 2 == 0) {
    for (float& x : c.row) x = std::round(x * 2.0F) / 2.0F;
  }
  c.draw = {.temperature = one_of(random, {0.5F, 1.0F, 2.0F}),
            .top_k = one_of(random, {0, 0, 1, 5, 64, 1000, 2000}),
            .top_p = one_of(random, {1.0F, 1.0F, 0.95F, 0.6F, 0.2F}),
            .min_p = one_of(random, {0.0F, 0.0F, 0.05F, 0.3F}),
            .seed = seed * 1000003ULL};
  if (random() % 2 == 0) {
    c.draw.presence_penalty = one_of(random, {0.0F, 0.5F, -1.0F});
    c.draw.frequency_penalty = one_of(random, {0.0F, 0.3F});
    c.draw.repetition_penalty = one_of(random, {1.0F, 1.3F, 0.8F});
    std::vector<int32_t> outputs(vocab, 0);
    for (int i = 0; i < 6; ++i) ++outputs[random() % vocab];
    for (int id = 0; id < vocab; ++id) {
      const bool is_in_prompt = id == 0 || id == vocab / 2 || id == vocab - 1;
      if (is_in_prompt || outputs[id] > 0) c.counts.push_back({id, outputs[id]});
    }
  }
  if (random() % 2 == 0) c.biases = {{1, 1.5F}, {0, -2.0F}, {1, 0.5F}};
  if (vocab > 2 && random() % 2 == 0) c.banned = {2, 5};
  if (vocab > 2 && random() % 2 == 0) c.banned.push_back(3);
  if (vocab > 2 && random() % 3 == 0) {
    c.mask.resize((vocab + 31) / 32);
    for (uint32_t& word : c.mask) word = static_cast<uint32_t>(random() | random());
    c.mask[0] |= 2U;  // one is left
  }
  return c;
}

// Flat lists of several cases. The rows are the caller's.
class SampleLists {
 public:
  void add(const SampleCase& c, int64_t row) {
    SampleDraw draw = c.draw;
    draw.row = row;
    draw.counts = append(counts_, c.counts);
    draw.bias = append(biases_, c.biases);
    draw.banned = append(banned_, c.banned);
    if (!c.mask.empty()) {
      draw.mask = static_cast<int64_t>(masks_.size() / c.mask.size());
      masks_.insert(masks_.end(), c.mask.begin(), c.mask.end());
    }
    draws_.push_back(draw);
  }
  std::span<const SampleDraw> draws() const { return draws_; }
  SampleArgs args(const Tensor& logits) const {
    return {logits, draws_, counts_, biases_, banned_, masks_};
  }

 private:
  template <typename T>
  static ListPart append(std::vector<T>& list, const std::vector<T>& items) {
    const ListPart part{static_cast<int64_t>(list.size()), static_cast<int64_t>(items.size())};
    list.insert(list.end(), items.begin(), items.end());
    return part;
  }

  std::vector<SampleDraw> draws_;
  std::vector<TokenCount> counts_;
  std::vector<TokenBias> biases_;
  std::vector<int32_t> banned_;
  std::vector<uint32_t> masks_;
};

// Each case a row of its own, all in one call.
inline std::vector<Sampled> sample_all(Backend& backend, const std::vector<SampleCase>& cases) {
  const auto n = static_cast<int64_t>(cases.size());
  const auto vocab = static_cast<int64_t>(cases[0].row.size());
  const size_t row_bytes = static_cast<size_t>(vocab) * sizeof(float);
  const Buffer rows = backend.allocate(cases.size() * row_bytes);
  SampleLists lists;
  for (int64_t i = 0; i < n; ++i) {
    backend.upload(static_cast<char*>(rows.data()) + static_cast<size_t>(i) * row_bytes,
                   cases[i].row.data(), row_bytes);
    lists.add(cases[i], i);
  }
  return backend.sample(lists.args(Tensor(rows.data(), DType::f32, {n, vocab})));
}

// Pearson's statistic over cells of at least 5 expected draws; the rest is one cell.
inline bool fits(const std::vector<int>& drawn, const std::vector<double>& probability,
                 int n_draws) {
  double statistic = 0.0;
  double rest_expected = 0.0;
  double rest_drawn = 0.0;
  int cells = 0;
  for (size_t i = 0; i < drawn.size(); ++i) {
    const double expected = probability[i] * n_draws;
    if (expected < 5.0) {
      rest_expected += expected;
      rest_drawn += drawn[i];
      continue;
    }
    statistic += (drawn[i] - expected) * (drawn[i] - expected) / expected;
    ++cells;
  }
  if (rest_expected > 1.0) {
    statistic += (rest_drawn - rest_expected) * (rest_drawn - rest_expected) / rest_expected;
    ++cells;
  } else if (rest_drawn > 12.0) {
    return false;
  }
  const double freedom = std::max(cells - 1, 1);
  return statistic < freedom + 5.0 * std::sqrt(2.0 * freedom) + 5.0;
}

}  // namespace lapidary
