// The engine-side life of one choice of one request: its tokens, how far its KV is computed, the
// pages it holds. Created at admission, gone when the choice ends. Engine thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/answer_guide.h"
#include "engine/cache/page_table.h"
#include "engine/request.h"
#include "engine/token_counts.h"
#include "engine/token_stream.h"

namespace lapidary {

struct Sequence {
  // Set at creation.
  std::shared_ptr<const Request> request;
  std::shared_ptr<TokenStream> stream;
  int choice = 0;
  int64_t arrival = 0;          // order of submission; choices of one request share it
  std::shared_ptr<int> n_open;  // choices of the request that have not ended; engine thread's

  // Set by the engine.
  std::vector<int32_t> tokens;  // prompt, then answer
  int n_prompt = 0;
  int n_prompt_published = 0;        // prompt events already sent (prompt_logprobs)
  bool must_fork = false;            // the other choices start when the prompt is computed
  TokenCounts counts;                // kept only when a penalty reads it
  std::optional<AnswerGuide> guide;  // where it stands in the request's rules; none: it is free

  // Set by the scheduler.
  int n_computed = 0;  // tokens whose KV is in the pages
  PageTable sliding, global;

  int n_tokens() const { return static_cast<int>(tokens.size()); }
  int n_output() const { return n_tokens() - n_prompt; }
  int n_pending() const { return n_tokens() - n_computed; }
};

}  // namespace lapidary
