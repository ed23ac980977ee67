// The JSON text of /v1/responses: the response object in each of its states, and its output items.
// Used by the thread that serves the request.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/tokenizer.h"
#include "server/api/answer_blocks.h"
#include "server/api/api_error.h"
#include "server/api/generation.h"
#include "server/api/request_params.h"
#include "server/api/responses_request.h"

namespace lapidary {

class ResponsesFormat {
 public:
  // The tokenizer must outlive it.
  ResponsesFormat(const ResponsesRequest& request, const GenerationParams& params,
                  const Tokenizer& tokenizer);

  // A response that has only begun.
  void append_begun(std::string& out) const;
  // One that ended: completed, or incomplete where the limit cut it.
  void append_ended(std::string& out, const std::vector<AnswerBlock>& blocks, FinishReason finish,
                    const Usage& usage) const;
  // One that failed, with what it had said.
  void append_failed(std::string& out, const std::vector<AnswerBlock>& blocks,
                     const ApiError& error, const Usage& usage) const;

  std::string item_id(size_t index, const AnswerBlock& block) const;
  // A block as an output item; `status` is "in_progress", "completed" or "incomplete". One that is
  // only announced has no content yet.
  void append_item(std::string& out, size_t index, const AnswerBlock& block, const char* status,
                   bool is_announced = false) const;
  // {"type":"output_text",...}, or "reasoning_text" or "summary_text" of a thought.
  void append_part(std::string& out, const AnswerBlock& block, std::string_view text,
                   std::span<const TokenChoice> logprobs) const;
  void append_logprobs(std::string& out, std::span<const TokenChoice> logprobs) const;

  // Thoughts stand where their summary would.
  bool shows_summary() const { return shows_summary_; }

 private:
  void append_opening(std::string& out, const char* status) const;
  void append_output(std::string& out, const std::vector<AnswerBlock>& blocks,
                     const char* last_status) const;

  const Tokenizer& tokenizer_;
  const bool shows_summary_;
  const std::string id_;  // without its prefix
  int64_t created_;
  std::string fields_;  // what is the same in every state
};

}  // namespace lapidary
