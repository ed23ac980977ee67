// sample: the draws of one row stay together, rows are shared among the threads.
#include <cstddef>
#include <vector>

#include "kernels/cpu/cpu_backend.h"

namespace lapidary::cpu {

std::vector<Sampled> CpuBackend::sample(const SampleArgs& args) {
  const int64_t n_rows = args.logits.dim(0);
  const int64_t vocab = args.logits.dim(1);
  expect_shape(args.logits, DType::f32, {n_rows, vocab});
  CHECK(vocab > 0);
  const std::span<const SampleDraw> draws = args.draws;
  std::vector<size_t> begins;  // of the draws of one row
  for (size_t i = 0; i < draws.size(); ++i) {
    CHECK(draws[i].row >= 0 && draws[i].row < n_rows);
    CHECK(draws[i].n_logprobs <= SampleArgs::kMaxLogprobs);
    CHECK(i == 0 || draws[i - 1].row <= draws[i].row);
    if (i == 0 || draws[i - 1].row != draws[i].row) begins.push_back(i);
  }
  std::vector<Sampled> out(draws.size());
  pool_.run(static_cast<int64_t>(begins.size()), [&](int thread, int64_t i) {
    const size_t begin = begins[i];
    const size_t end = i + 1 < static_cast<int64_t>(begins.size()) ? begins[i + 1] : draws.size();
    float* row = args.logits.as<float>() + draws[begin].row * vocab;
    samplers_[thread].sample(args, draws.subspan(begin, end - begin),
                             {row, static_cast<size_t>(vocab)}, out.data() + begin);
  });
  return out;
}

}  // namespace lapidary::cpu
