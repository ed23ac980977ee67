#include "server/dialect/output_parser.h"

#include <utility>

#include "server/dialect/white_space.h"

namespace lapidary {
namespace {

// The only channel that Gemma 4 is known to open. The newline belongs to the label.
constexpr std::string_view kThoughtLabel = "thought\n";

}  // namespace

OutputParser::OutputParser(const Tokenizer& tokenizer, const DialectTokens& control,
                           bool starts_in_thought, const CallOptions& calls)
    : tokenizer_(tokenizer),
      control_(control),
      tools_(calls.tools),
      needs_opener_(calls.is_exact),
      decoder_(tokenizer),
      call_(calls),
      state_(starts_in_thought ? State::kThink : State::kContent) {}

OutputDelta OutputParser::push(int32_t id) {
  OutputDelta delta;
  if (has_excess_call()) return delta;
  if (tokenizer_.is_control(id)) {
    // No character reaches across a control token: what is incomplete stays so, on this side.
    append_text(decoder_.finish(), delta);
    push_control(id, delta);
  } else {
    if (in_thought()) ++reasoning_tokens_;
    append_text(decoder_.push(id), delta);
  }
  return delta;
}

OutputDelta OutputParser::finish(bool was_cut) {
  OutputDelta delta;
  if (has_excess_call()) return delta;
  const bool is_cut_call = state_ == State::kCall && was_cut;
  if (!is_cut_call) append_text(decoder_.finish(), delta);
  if (state_ == State::kCall && !was_cut) close_call(delta);
  release_lead(delta);
  if (n_calls() == 0) delta.content += held_content_space_;
  held_content_space_.clear();
  return delta;
}

void OutputParser::push_control(int32_t id, OutputDelta& delta) {
  if (state_ == State::kCall) {
    push_control_in_call(id, delta);
  } else if (id == control_.channel_open) {
    // Inside a thought as well: models double the opener, label and all.
    release_lead(delta);
    open_thought();
  } else if (in_thought() && id == control_.channel_close) {
    ++reasoning_tokens_;
    end_thought();
  } else if (id == control_.call_open) {
    if (in_thought()) end_thought();
    if (has_tools()) open_call(delta);
  }
}

void OutputParser::push_control_in_call(int32_t id, OutputDelta& delta) {
  if (id == control_.delimiter) {
    call_.delimiter(delta.calls);
  } else if (id == control_.call_open) {
    close_call(delta);
    open_call(delta);
  } else if (id == control_.channel_open) {
    close_call(delta);
    open_thought();
  } else if (id == control_.call_close || id == control_.turn_close || id == control_.turn_open ||
             id == control_.response_open || id == control_.eos) {
    close_call(delta);
  }
}

void OutputParser::open_thought() {
  ++reasoning_tokens_;
  label_.clear();
  state_ = State::kThinkLabel;
}

void OutputParser::end_thought() {
  held_space_.clear();
  needs_break_ = has_reasoning_;
  state_ = State::kContent;
  may_lead_ = true;
}

// White space before a call is not content; what only looked like the beginning of a call is.
void OutputParser::open_call(OutputDelta& delta) {
  release_lead(delta);
  held_content_space_.clear();
  call_.open(/*closes_itself=*/false);
  state_ = State::kCall;
}

void OutputParser::close_call(OutputDelta& delta) {
  const std::string rest = call_.close(delta.calls);
  state_ = State::kContent;
  may_lead_ = true;
  if (!rest.empty()) append_content(rest, delta);
}

void OutputParser::append_text(std::string_view text, OutputDelta& delta) {
  if (text.empty()) return;
  switch (state_) {
    case State::kContent:
      append_content(text, delta);
      break;
    case State::kThinkLabel:
      match_label(text, delta);
      break;
    case State::kThink:
      append_reasoning(text, delta);
      break;
    case State::kCall: {
      const std::string rest = call_.text(text, delta.calls);
      if (call_.is_open() || has_excess_call()) break;
      state_ = State::kContent;
      may_lead_ = true;
      if (!rest.empty()) append_content(rest, delta);
      break;
    }
  }
}

void OutputParser::append_content(std::string_view text, OutputDelta& delta) {
  if (!has_tools() || !may_lead_ || needs_opener_) return send_content(text, delta);
  lead_ += text;
  std::string_view solid = lead_;
  while (const size_t space = leading_space_bytes(solid)) solid.remove_prefix(space);
  if (solid.empty()) return;
  const Match match = match_call(solid);
  if (match == Match::kMaybe) return;
  if (match == Match::kNo) return send_content(std::exchange(lead_, {}), delta);
  const std::string call(solid);
  lead_.clear();
  held_content_space_.clear();
  call_.open(/*closes_itself=*/true);
  state_ = State::kCall;
  append_text(call, delta);
}

// The beginning of a content that no call came of.
void OutputParser::release_lead(OutputDelta& delta) {
  if (!lead_.empty()) send_content(std::exchange(lead_, {}), delta);
}

void OutputParser::send_content(std::string_view text, OutputDelta& delta) {
  if (!has_tools()) {
    delta.content += text;
    return;
  }
  const std::string_view solid = strip_end(text);
  if (!solid.empty()) {
    may_lead_ = false;
    delta.content += held_content_space_;
    delta.content += solid;
    held_content_space_.clear();
  }
  held_content_space_ += text.substr(solid.size());
}

OutputParser::Match OutputParser::match_call(std::string_view text) const {
  Match best = Match::kNo;
  for (const ToolDeclaration& tool : *tools_) {
    const std::string opening = "call:" + tool.name + "{";
    if (text.starts_with(opening)) return Match::kYes;
    if (std::string_view(opening).starts_with(text)) best = Match::kMaybe;
  }
  return best;
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
