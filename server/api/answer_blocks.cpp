#include "server/api/answer_blocks.h"

#include <algorithm>
#include <utility>

#include "kernels/check.h"

namespace lapidary {

bool AnswerBlocks::is_open(BlockKind kind) const {
  return has_open_ && blocks_.back().kind == kind;
}

void AnswerBlocks::open(AnswerBlock block, BlockVisitor& visitor) {
  finish(visitor);
  // What came before a thought or a call and brought no text was not text.
  if (block.kind != BlockKind::text) pending_.clear();
  blocks_.push_back(std::move(block));
  has_open_ = true;
  visitor.on_open(blocks_.size() - 1, blocks_.back());
}

void AnswerBlocks::append(std::string_view piece, std::vector<TokenChoice> logprobs,
                          BlockVisitor& visitor) {
  AnswerBlock& block = blocks_.back();
  block.text += piece;
  block.logprobs.insert(block.logprobs.end(), logprobs.begin(), logprobs.end());
  visitor.on_piece(blocks_.size() - 1, block, piece, logprobs);
}

void AnswerBlocks::finish(BlockVisitor& visitor) {
  if (!has_open_) return;
  if (is_open(BlockKind::text) && !pending_.empty())
    append({}, std::exchange(pending_, {}), visitor);
  has_open_ = false;
  visitor.on_close(blocks_.size() - 1, blocks_.back());
}

void AnswerBlocks::ensure_answer(BlockVisitor& visitor) {
  const bool has_answer = std::any_of(blocks_.begin(), blocks_.end(), [](const AnswerBlock& b) {
    return b.kind != BlockKind::thought;
  });
  if (!has_answer) open({.kind = BlockKind::text}, visitor);
}

void AnswerBlocks::add_call(const ToolCallDelta& call, BlockVisitor& visitor) {
  if (!call.name.empty()) {
    open({.kind = BlockKind::call, .call_id = call.id, .name = call.name}, visitor);
  }
  CHECK(is_open(BlockKind::call));
  if (!call.arguments.empty()) append(call.arguments, {}, visitor);
}

void AnswerBlocks::add(const ChoiceDelta& delta, BlockVisitor& visitor) {
  // The end of an open call comes before text that stop strings held back.
  auto call = delta.calls.begin();
  for (; call != delta.calls.end() && call->name.empty(); ++call) add_call(*call, visitor);
  for (const TokenChoice& entry : delta.logprobs) {
    if (entry.is_content) pending_.push_back(entry);
  }
  if (!delta.reasoning.empty()) {
    if (!is_open(BlockKind::thought)) open({.kind = BlockKind::thought}, visitor);
    append(delta.reasoning, {}, visitor);
  }
  if (!delta.content.empty()) {
    if (!is_open(BlockKind::text)) open({.kind = BlockKind::text}, visitor);
    append(delta.content, std::exchange(pending_, {}), visitor);
  }
  for (; call != delta.calls.end(); ++call) add_call(*call, visitor);
}

}  // namespace lapidary
