// The maximum of every short block of one row of logits: one vectorised pass, from which the
// largest logit and the k largest follow without looking at most of the row again. NaN and -inf
// count as "not a candidate". Holds scratch only; one thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lapidary::cpu {

struct Candidate {
  float value = 0.0F;
  int32_t id = 0;
};

// The one order of candidates: larger first, ties by lower id.
inline bool ranks_before(const Candidate& a, const Candidate& b) {
  const int is_larger = a.value > b.value;  // ints: no branch to guess wrong
  const int is_tie_first = static_cast<int>(a.value == b.value) & static_cast<int>(a.id < b.id);
  return (is_larger | is_tie_first) != 0;
}

class BlockMaxima {
 public:
  // Of `row`, which the calls below must get unchanged.
  void compute(std::span<const float> row);

  float max() const { return max_; }  // -inf: no candidate
  // The lowest id that holds max(). REQUIRES: max() > -inf.
  int32_t argmax(std::span<const float> row) const;
  // The k first candidates, in order; fewer when the row has fewer. REQUIRES: k >= 0.
  void top(std::span<const float> row, int k, std::vector<Candidate>* out);

 private:
  float kth_block_maximum(int k);

  std::vector<float> maxima_;     // [ceil(vocab / block_)]
  std::vector<float> selection_;  // scratch of kth_block_maximum
  size_t block_ = 1;
  float max_ = 0.0F;
};

}  // namespace lapidary::cpu
