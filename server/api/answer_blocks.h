// An answer as the sequence of what was said: thoughts, texts, calls, each whole before the next
// begins. The other front doors answer in such blocks; a streamed answer is what a visitor sees of
// them, a whole one is the blocks. Plain state of one choice, on the thread that serves it.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/choice_assembler.h"

namespace lapidary {

enum class BlockKind { thought, text, call };

struct AnswerBlock {
  BlockKind kind = BlockKind::text;
  std::string text = {};                   // of a call: its arguments
  std::string call_id = {}, name = {};     // of a call
  std::vector<TokenChoice> logprobs = {};  // of a text, when asked for
};

// Sees each block begin, grow and end; the block is as it stands after that. This one looks away.
class BlockVisitor {
 public:
  virtual ~BlockVisitor() = default;
  virtual void on_open(size_t /*index*/, const AnswerBlock&) {}
  // `logprobs` are those of this piece; its text may be empty.
  virtual void on_piece(size_t /*index*/, const AnswerBlock&, std::string_view /*piece*/,
                        std::span<const TokenChoice> /*logprobs*/) {}
  virtual void on_close(size_t /*index*/, const AnswerBlock&) {}
};

class AnswerBlocks {
 public:
  void add(const ChoiceDelta& delta, BlockVisitor& visitor);
  // Ends the last block. Nothing may be added behind it.
  void finish(BlockVisitor& visitor);
  // Makes sure that there is a text or a call, if need be an empty text.
  void ensure_answer(BlockVisitor& visitor);

  const std::vector<AnswerBlock>& blocks() const { return blocks_; }

 private:
  bool is_open(BlockKind kind) const;
  void open(AnswerBlock block, BlockVisitor& visitor);
  void append(std::string_view piece, std::vector<TokenChoice> logprobs, BlockVisitor& visitor);
  void add_call(const ToolCallDelta& call, BlockVisitor& visitor);

  std::vector<AnswerBlock> blocks_;
  bool has_open_ = false;             // the last block has not ended
  std::vector<TokenChoice> pending_;  // of text that has not come yet
};

}  // namespace lapidary
