// Experts, tokens and routings of a case, for tests and benchmarks of moe_ffn.
#pragma once

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "tests/kernels/cases.h"
#include "tests/kernels/data.h"
#include "tests/tested_seed.h"

namespace lapidary {

inline std::vector<int32_t> routing_of(const cases::Moe& c, uint32_t seed) {
  std::mt19937 generator(tested_seed(seed));
  std::vector<int32_t> experts;
  std::vector<int32_t> all(c.n_experts);
  std::iota(all.begin(), all.end(), 0);
  for (int64_t t = 0; t < c.n_tokens; ++t) {
    if (c.routing == cases::Routing::random) std::shuffle(all.begin(), all.end(), generator);
    const int32_t first =
        c.routing == cases::Routing::few_experts ? 3 + static_cast<int32_t>(t % 2) : 0;
    for (int j = 0; j < c.top_k; ++j) experts.push_back(all[first + j]);
  }
  return experts;
}

struct MoeData {
  MoeData(Backend& backend, const cases::Moe& c, DType dtype)
      : gate(c.ffn, c.hidden, dtype, 1, c.n_experts, 2 / std::sqrt(static_cast<float>(c.hidden))),
        up(c.ffn, c.hidden, dtype, 2, c.n_experts, 1 / std::sqrt(static_cast<float>(c.hidden))),
        down(c.hidden, c.ffn, dtype, 3, c.n_experts, 1 / std::sqrt(static_cast<float>(c.ffn))),
        x(normals(c.n_tokens * c.hidden, 4)),
        experts(routing_of(c, 5)),
        weights(normals(c.n_tokens * c.top_k, 6)),
        out(c.n_tokens * c.hidden, -1) {
    const HostMatrix parts[] = {gate.host(), up.host()};
    const HostMatrix down_host = down.host();
    packed_gate_up = backend.pack(parts, WeightForm::gate_up);
    packed_down = backend.pack({&down_host, 1}, WeightForm::stacked);
    args = {view(x, {c.n_tokens, c.hidden}),
            view(experts, {c.n_tokens, c.top_k}),
            view(weights, {c.n_tokens, c.top_k}),
            &packed_gate_up,
            &packed_down,
            view(out, {c.n_tokens, c.hidden})};
  }
  MoeData(const MoeData&) = delete;

  FileMatrix gate, up, down;
  std::vector<float> x;
  std::vector<int32_t> experts;
  std::vector<float> weights, out;
  Weight packed_gate_up, packed_down;
  MoeFfnArgs args;
};

}  // namespace lapidary
