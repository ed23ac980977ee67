// How near a backend that computes in bf16 comes to the official implementation.
//
// Two bf16 runs of a small random model differ by whole logits, so the official bf16 run's own
// distance to float32 is the measure: ours may not be further away, and where the best token leads
// by more than that distance can explain it must be the same.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "tests/engine/golden_model.h"
#include "tests/engine/golden_outputs.h"
#include "tests/engine/paged_run.h"

namespace lapidary {

inline int best(const float* logits, int n) {
  return static_cast<int>(std::max_element(logits, logits + n) - logits);
}

inline float median(std::vector<float> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

inline void print_bf16_head() {
  std::printf("bf16, largest logit error a position: median of ours, official; top-1 compared\n");
}

// The longest prompt, in chunks of this size.
inline void check_bf16(const GoldenModel& model, const char* name, int chunk) {
  const GoldenOutputs golden(name);
  const int vocab = model.config.vocab;
  PagedRun run(model, DType::bf16);
  const int s = run.add(golden.ids(4));
  run.finish(s, chunk);
  const std::vector<float> official = golden.logits(4), lead = golden.floats("bf16.margins");
  const std::vector<float> noise = golden.floats("bf16.noise");
  const std::vector<int32_t> top1 = golden.ints("bf16.top1");
  std::vector<float> errors;
  int n_compared = 0;
  for (size_t p = 0; p < top1.size(); ++p) {
    const float* ours = run.logits(s).data() + p * vocab;
    const float* exact = official.data() + p * vocab;
    float error = 0;
    for (int i = 0; i < vocab; ++i) error = std::max(error, std::abs(ours[i] - exact[i]));
    errors.push_back(error);
    if (lead[p] < 2 * noise[p]) continue;  // the official run itself may have picked wrongly
    ++n_compared;
    INFO(name << " position " << p << ", chunks of " << chunk);
    CHECK(best(ours, vocab) == top1[p]);
  }
  std::printf("%-32s %8.3f %8.3f %4d of %zu\n", name, median(errors), median(noise), n_compared,
              top1.size());
  INFO(name << ", chunks of " << chunk);
  CHECK(median(errors) < 1.25F * median(noise));
  CHECK(n_compared > 0);
}

}  // namespace lapidary
