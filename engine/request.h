// The border between server/ (people, JSON, text) and engine/ (integers, tensors): plain data that
// crosses threads. A Request is immutable once submitted; what comes back are TokenEvents through
// a TokenStream (engine/token_stream.h). No pointers into either side, no callbacks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/answer_rules.h"
#include "engine/media/media_span.h"
#include "kernels/sample.h"

namespace lapidary {

// Already validated and merged with the model's defaults: every field has its final value.
struct SamplingParams {
  float temperature = 1.0F;  // 0: greedy
  int top_k = 0;             // 0: off
  float top_p = 1.0F;
  float min_p = 0.0F;
  float presence_penalty = 0.0F;
  float frequency_penalty = 0.0F;
  float repetition_penalty = 1.0F;  // over prompt and output, as vLLM and transformers
  std::vector<std::pair<int32_t, float>> logit_bias;
  std::vector<int32_t> suppress_tokens;  // never sampled
  uint64_t seed = 0;                     // of the counter-based generator
  int n_logprobs = -1;                   // -1: none; k >= 0: the chosen token's and the k largest
  int min_tokens = 0;                    // stop ids are suppressed before this many
};

struct Request {
  std::string id;               // for the log
  std::vector<int32_t> tokens;  // the prompt, never empty
  SamplingParams sampling;
  int n = 1;                      // choices; they share the prompt's pages
  int max_tokens = 0;             // per choice; 0 only with prompt_logprobs
  std::vector<int32_t> stop_ids;  // eos ids (unless ignored) and the client's own
  bool prompt_logprobs = false;   // of the capped logits at temperature 1, before penalties
  std::shared_ptr<const AnswerRules> rules = nullptr;  // null: the answer is free
  std::vector<MediaSpan> media;  // in the prompt, ascending, apart from one another
};

enum class FinishReason : uint8_t {
  none,       // not the last event of its choice
  stop,       // a stop id, or the end of a grammar (TokenEvent::token holds it)
  length,     // max_tokens, or the context is full
  failed,     // its rules left no token to go on with
  cancelled,  // the consumer went away, was too slow, or the server gave up draining
};

// One token of one choice. With prompt_logprobs the prompt's tokens come first, as events with
// `is_prompt`, once (choice 0); the first prompt token has no logprob.
struct TokenEvent {
  int choice = 0;
  int32_t token = -1;  // -1: no token (a choice that ends without one)
  bool is_prompt = false;
  FinishReason finish = FinishReason::none;
  std::optional<float> logprob;   // when asked for
  std::vector<TokenLogprob> top;  // the n_logprobs largest, descending
};

}  // namespace lapidary
