// The events of a streamed response, numbered, in the published order: an item is added, its part
// is added, grows and is done, the item is done, and only then the next one comes. Used by the
// thread that serves the request.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/api/answer_blocks.h"
#include "server/api/responses_format.h"
#include "server/http/sse_writer.h"

namespace lapidary {

class ResponsesEvents : public BlockVisitor {
 public:
  // The format must outlive it.
  explicit ResponsesEvents(const ResponsesFormat& format) : format_(format) {}

  // Where the next events go.
  void set_writer(SseWriter& sse) { sse_ = &sse; }

  void write_begun();
  void write_ended(const std::vector<AnswerBlock>& blocks, FinishReason finish, const Usage& usage);
  void write_failed(const std::vector<AnswerBlock>& blocks, const ApiError& error,
                    const Usage& usage);

  // How the blocks that end from now on ended; FinishReason::length cuts the last one.
  void set_finish(FinishReason finish) { finish_ = finish; }

  void on_open(size_t index, const AnswerBlock& block) override;
  void on_piece(size_t index, const AnswerBlock& block, std::string_view piece,
                std::span<const TokenChoice> logprobs) override;
  void on_close(size_t index, const AnswerBlock& block) override;

 private:
  std::string& begin(std::string_view event);
  void end(std::string& out);
  // An event of an item's part: its ids and indices.
  std::string& begin_part(std::string_view event, size_t index, const AnswerBlock& block);
  void write_item(std::string_view event, size_t index, const AnswerBlock& block,
                  const char* status, bool is_announced);
  void write_part(std::string_view text_event, std::string_view summary_event, size_t index,
                  const AnswerBlock& block, std::string_view text,
                  std::span<const TokenChoice> logprobs);
  bool is_summary(const AnswerBlock& block) const {
    return block.kind == BlockKind::thought && format_.shows_summary();
  }

  const ResponsesFormat& format_;
  SseWriter* sse_ = nullptr;
  int64_t sequence_ = 0;
  FinishReason finish_ = FinishReason::none;
};

}  // namespace lapidary
