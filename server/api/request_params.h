// What the two completion endpoints have in common: sampling, stops, limits, streaming. Every field
// has a minimum and a maximum; what is absent comes from the model's own generation defaults.
// Plain data once parsed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/request.h"
#include "server/api/fields.h"
#include "server/api/repetition_breaker.h"
#include "server/api/service.h"
#include "server/dialect/stop_strings.h"

namespace lapidary {

struct GenerationParams {
  std::string model;  // as the request calls it
  SamplingParams sampling;
  int n = 1;
  std::optional<int> max_tokens;  // none: what the context leaves
  const char* max_tokens_field = "max_tokens";
  std::vector<int32_t> stop_ids;
  StopOptions stop;
  bool ignore_eos = false;
  RepetitionLimits repetition;

  bool stream = false;
  bool include_usage = false;
  bool continuous_usage = false;
  bool return_token_ids = false;
};

// All of the above, but for sampling.n_logprobs and what each endpoint has of its own. Throws
// ApiError; the model's name is checked first.
GenerationParams parse_generation_params(const Fields& body, const Service& service,
                                         int64_t min_max_tokens);

// Token ids of the model's vocabulary.
std::vector<int32_t> parse_token_ids(const nlohmann::json& list, const std::string& path,
                                     int vocab);

// max_tokens for a prompt of this many tokens; throws context_length_exceeded when they do not fit
// together. `param` is "messages" or "prompt".
int completion_room(const GenerationParams& params, const Service& service, size_t prompt_tokens,
                    const char* param);

}  // namespace lapidary
