// Draws from a long prefix of the candidates' order (top_p without top_k, or a very large top_k)
// without sorting them: tokens are tallied in buckets of distance from the largest logit, and only
// the buckets on which a limit or the draw falls are looked into. Exact: the prefix is the one
// that a full sort gives. Holds scratch only; one thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/sampling/block_maxima.h"
#include "kernels/cpu/sampling/softmax.h"

namespace lapidary::cpu {

// A prefix of the candidates' order ends at the first of these limits; its first is always in it.
struct PrefixLimits {
  int top_k = 0;              // 0: none
  float top_p = 1.0F;         // 1: none; of the mass that top_k leaves
  float max_distance = 0.0F;  // from the largest logit; infinite: none
};

class Nucleus {
 public:
  // REQUIRES: softmax.max is the largest of `row` and finite; u in [0, 1).
  int32_t draw(std::span<const float> row, const Softmax& softmax, const PrefixLimits& limits,
               double u);

 private:
  void tally();
  void cut_by_count(int top_k);
  void cut_by_mass(double top_p);
  void cut_by_distance(float max_distance);
  // Candidates of one bucket that are still in the prefix, by id, into inside_.
  void look_into(size_t bucket);
  size_t select_mass(double missing);
  // The prefix now ends with `last`, the last of the `n_kept` first of inside_.
  void end_with(size_t bucket, size_t n_kept, const Candidate& last);
  double weight(const Candidate& c) const;
  double mass_of(size_t begin, size_t end) const;  // of inside_

  std::span<const float> row_;  // during draw()
  Softmax softmax_;
  Candidate last_;        // no candidate behind it is in the prefix
  size_t n_buckets_ = 0;  // buckets that the prefix reaches
  std::vector<double> mass_;
  std::vector<int32_t> counts_;
  std::vector<Candidate> inside_;
};

}  // namespace lapidary::cpu
