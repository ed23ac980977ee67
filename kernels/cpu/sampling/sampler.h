// From one row of logits to one token, as a SampleDraw says (kernels/sample.h). No full sort of the
// vocabulary anywhere. Holds only scratch space and no draw's state; one thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kernels/cpu/sampling/block_maxima.h"
#include "kernels/cpu/sampling/nucleus.h"
#include "kernels/sample.h"

namespace lapidary::cpu {

class Sampler {
 public:
  // draws.front() .. are all of one row, `row`, which is changed in place.
  void sample(const SampleArgs& args, std::span<const SampleDraw> draws, std::span<float> row,
              Sampled* out);

 private:
  // One draw's lists, looked up.
  struct Lists {
    std::span<const TokenCount> counts;
    std::span<const TokenBias> biases;
    std::span<const int32_t> banned;
    std::span<const uint32_t> mask;  // empty: all are allowed

    bool allows(int32_t id) const {
      return mask.empty() || (mask[static_cast<size_t>(id) / 32] >> (id % 32) & 1U) != 0;
    }
  };
  static Lists lists_of(const SampleArgs& args, const SampleDraw& draw, size_t vocab);
  static int32_t lowest_allowed(const Lists& lists, size_t vocab);

  Sampled score(const SampleDraw& draw, std::span<const float> row);
  Sampled draw_token(const SampleDraw& draw, const Lists& lists, std::span<float> row);
  void edit(const SampleDraw& draw, const Lists& lists, std::span<float> row);
  void change(std::span<float> row, int32_t id, float value);
  int32_t choose(const SampleDraw& draw, const Lists& lists, std::span<float> row);
  int32_t choose_finite(const SampleDraw& draw, std::span<const float> row);
  int32_t choose_from_top(const SampleDraw& draw, std::span<const float> row, double max_distance,
                          double u);

  std::vector<float> copy_;  // of a row whose raw values another draw still needs
  std::vector<std::pair<int32_t, float>> raw_;  // what edit() changed, before it did; for logprobs
  bool keeps_raw_ = false;
  BlockMaxima maxima_;
  Nucleus nucleus_;
  std::vector<Candidate> candidates_;
  std::vector<double> weights_;
};

}  // namespace lapidary::cpu
