// Requests whose greedy answers the official implementation gave.
#pragma once

#include <chrono>
#include <vector>

#include "engine/request.h"
#include "engine/token_stream.h"
#include "tests/engine/golden_outputs.h"

namespace lapidary {

struct GreedyCase {
  Request request;
  std::vector<int32_t> official;
};

// `copies` of each.
inline std::vector<GreedyCase> greedy_cases(const GoldenOutputs& golden, int copies) {
  std::vector<GreedyCase> cases;
  for (int i = 0; i < golden.n_prompts(); ++i) {
    if (!golden.has_greedy(i)) continue;
    GreedyCase c{.request = {.tokens = golden.ids(i)}, .official = golden.greedy_ids(i)};
    c.request.max_tokens = static_cast<int>(c.official.size());
    c.request.sampling.temperature = 0;
    cases.insert(cases.end(), copies, c);
  }
  REQUIRE(cases.size() == 3U * copies);
  return cases;
}

inline std::vector<int32_t> answer_of(TokenStream& stream) {
  std::vector<int32_t> tokens;
  while (!stream.done()) {
    for (const TokenEvent& e : stream.take(std::chrono::seconds(5))) {
      if (e.token >= 0) tokens.push_back(e.token);
    }
  }
  return tokens;
}

}  // namespace lapidary
