#include "server/dialect/output_parser.h"

#include "server/dialect/white_space.h"

namespace lapidary {
namespace {

// The only channel that Gemma 4 is known to open. The newline belongs to the label.
constexpr std::string_view kThoughtLabel = "thought\n";

}  // namespace

OutputParser::OutputParser(const Tokenizer& tokenizer, const DialectTokens& control,
                           bool starts_in_thought)
    : tokenizer_(tokenizer),
      control_(control),
      decoder_(tokenizer),
      state_(starts_in_thought ? State::kThink : State::kContent) {}

OutputDelta OutputParser::push(int32_t id) {
  OutputDelta delta;
  if (tokenizer_.is_control(id)) {
    // No character reaches across a control token: what is incomplete stays so, on this side.
    append_text(decoder_.finish(), delta);
    push_control(id);
  } else {
    if (in_thought()) ++reasoning_tokens_;
    append_text(decoder_.push(id), delta);
  }
  return delta;
}

OutputDelta OutputParser::finish() {
  OutputDelta delta;
  append_text(decoder_.finish(), delta);
  return delta;
}

void OutputParser::push_control(int32_t id) {
  if (id == control_.channel_open) {
    // Inside a thought as well: models double the opener, label and all.
    ++reasoning_tokens_;
    label_.clear();
    state_ = State::kThinkLabel;
  } else if (in_thought() && id == control_.channel_close) {
    ++reasoning_tokens_;
    end_thought();
  } else if (in_thought() && id == control_.call_open) {
    end_thought();
  }
}

void OutputParser::end_thought() {
  held_space_.clear();
  needs_break_ = has_reasoning_;
  state_ = State::kContent;
}

void OutputParser::append_text(std::string_view text, OutputDelta& delta) {
  if (text.empty()) return;
  switch (state_) {
    case State::kContent:
      delta.content += text;
      break;
    case State::kThinkLabel:
      match_label(text, delta);
      break;
    case State::kThink:
      append_reasoning(text, delta);
      break;
  }
}

void OutputParser::match_label(std::string_view text, OutputDelta& delta) {
  label_ += text;
  if (kThoughtLabel.starts_with(label_) && label_.size() < kThoughtLabel.size()) return;
  state_ = State::kThink;
  if (label_.starts_with(kThoughtLabel)) {
    held_space_.clear();
    needs_break_ = has_reasoning_;
    append_reasoning(std::string_view(label_).substr(kThoughtLabel.size()), delta);
  } else {
    append_reasoning(label_, delta);
  }
}

void OutputParser::append_reasoning(std::string_view text, OutputDelta& delta) {
  const std::string_view solid = strip_end(text);
  if (!solid.empty()) {
    if (needs_break_) delta.reasoning += '\n';
    needs_break_ = false;
    has_reasoning_ = true;
    delta.reasoning += held_space_;
    delta.reasoning += solid;
    held_space_.clear();
  }
  held_space_ += text.substr(solid.size());
}

}  // namespace lapidary
