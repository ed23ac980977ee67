#include "server/dialect/call_parser.h"

#include <algorithm>
#include <utility>

#include "server/api/json_text.h"
#include "server/dialect/call_scalar.h"
#include "server/dialect/tool_name.h"
#include "server/dialect/white_space.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

constexpr size_t kNone = std::string::npos;
// Longest head: `call:` and a name; more is prose.
constexpr size_t kMaxHead = 256;
// Containers inside each other; deeper ones are text. A history may hold no deeper arguments
// either.
constexpr size_t kMaxDepth = 60;

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

// `call:f` and `:f` -> f, also `f` if there is such a tool; empty where there is no name.
std::string_view name_in(std::string_view head, const std::vector<ToolDeclaration>& tools) {
  head = strip(head);
  if (head.find(':') == kNone) {
    const auto is_it = [&](const ToolDeclaration& tool) { return tool.name == head; };
    const bool is_tool = std::any_of(tools.begin(), tools.end(), is_it);
    return is_tool ? head : std::string_view();
  }
  for (size_t colon = head.find(':'); colon != kNone; colon = head.find(':')) {
    const std::string_view word = strip(head.substr(0, colon));
    if (!word.empty() && word != "call") return {};
    head = strip(head.substr(colon + 1));
  }
  return has_tool_name_chars(head) ? head : std::string_view();
}

bool is_closer(char c) { return c == '}' || c == ']' || c == ')'; }

// Without the quotes of a language that has them around keys.
std::string_view bare_key(std::string_view key) {
  key = strip(key);
  const bool quoted =
      key.size() >= 2 && key.front() == key.back() && (key.front() == '"' || key.front() == '\'');
  return quoted ? key.substr(1, key.size() - 2) : key;
}

}  // namespace

CallParser::CallParser(const CallOptions& options) : options_(options) {}

void CallParser::open(bool closes_itself) {
  has_excess_ = has_excess_ || n_calls_ >= options_.max_calls;
  state_ = has_excess_ ? State::kClosed : State::kHead;
  closes_itself_ = closes_itself;
  has_parentheses_ = false;
  word_.clear();
  held_.clear();
  frames_.clear();
}

std::string CallParser::text(std::string_view text, std::vector<CallDelta>& out) {
  out_ = &out;
  given_back_.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    if (!is_open()) {
      given_back_ += text.substr(i);
      break;
    }
    take(text[i]);
  }
  return std::exchange(given_back_, {});
}

void CallParser::take(char c) {
  switch (state_) {
    case State::kClosed:
      return;
    case State::kHead:
      return take_head(c);
    case State::kKey:
      return take_key(c);
    case State::kQuotedKey:
      word_ += c;
      return;
    case State::kBehindKey:
      return take_behind_key(c);
    case State::kValue:
      return take_value(c);
    case State::kString:
      return take_string(c);
    case State::kBare:
      return take_bare(c);
    case State::kJsonString:
      return take_json_string(c);
    case State::kBehindValue:
      return take_behind_value(c);
    case State::kDone:
      return take_done(c);
  }
}

void CallParser::delimiter(std::vector<CallDelta>& out) {
  out_ = &out;
  switch (state_) {
    case State::kKey:
      if (strip(word_).empty()) {
        word_.clear();
        state_ = State::kQuotedKey;
      }
      return;
    case State::kQuotedKey:
      state_ = State::kBehindKey;
      return;
    case State::kBehindKey:
      end_key();
      return begin_string();
    case State::kValue:
      return begin_string();
    case State::kString:
      return end_string();
    case State::kBare: {
      // Behind a comma it opens a key; otherwise it ends a string whose beginning is missing.
      const bool opens_key =
          comma_ != kNone && strip(std::string_view(word_).substr(comma_ + 1)).empty();
      emit_string(strip(std::string_view(word_).substr(0, opens_key ? comma_ : kNone)));
      end_value();
      word_.clear();
      if (opens_key) state_ = State::kQuotedKey;
      return;
    }
    case State::kJsonString:
      return end_json_string();
    case State::kBehindValue:
      word_.clear();
      if (frames_.back().is_object) {
        state_ = State::kQuotedKey;
      } else {
        begin_string();
      }
      return;
    case State::kClosed:
    case State::kHead:
    case State::kDone:
      return;
  }
}

std::string CallParser::close(std::vector<CallDelta>& out) {
  out_ = &out;
  given_back_.clear();
  switch (state_) {
    case State::kHead:
      if (const std::string name(name_in(word_, *options_.tools)); !name.empty()) {
        begin_call(name);
      } else {
        given_back_ = word_;
      }
      break;
    case State::kKey:
    case State::kQuotedKey:
    case State::kBehindKey:
      if (!strip(word_).empty()) end_lone_key();
      break;
    case State::kValue:
      if (frames_.back().is_object) emit("null");
      break;
    case State::kString: {
      // Closers at the end of a string that was never ended are the call's.
      const size_t closer = std::find_if(held_.begin(), held_.end(), is_closer) - held_.begin();
      if (closer < held_.size()) held_.clear();
      end_string();
      break;
    }
    case State::kBare:
      if (comma_ != kNone && strip(std::string_view(word_).substr(comma_ + 1)).empty())
        word_.resize(comma_);
      end_bare(word_);
      break;
    case State::kJsonString:
      if (!maybe_ended_) {
        while (!word_.empty() && (is_closer(word_.back()) || is_space(word_.back())))
          word_.pop_back();
      }
      end_json_string();
      break;
    default:
      break;
  }
  while (!frames_.empty()) close_frame();
  word_.clear();
  state_ = State::kClosed;
  return std::exchange(given_back_, {});
}

void CallParser::take_head(char c) {
  if (c == '{' || c == '(') {
    const std::string name(name_in(word_, *options_.tools));
    if (!name.empty()) {
      begin_call(name);
      has_parentheses_ = c == '(';
      return;
    }
  } else if (word_.size() < kMaxHead) {
    word_ += c;
    return;
  }
  given_back_ = std::exchange(word_, {}) + c;
  state_ = State::kClosed;
}

void CallParser::begin_call(std::string_view name) {
  out_->push_back({.index = n_calls_++, .name = std::string(name), .arguments = {}});
  value_schema_ = nullptr;
  for (const ToolDeclaration& tool : *options_.tools) {
    if (tool.name == name && !options_.is_exact) value_schema_ = &tool.parameters;
  }
  push_frame(true);
}

void CallParser::push_frame(bool is_object) {
  emit(is_object ? "{" : "[");
  frames_.push_back({.is_object = is_object, .has_entry = false, .schema = value_schema_});
  value_schema_ = is_object ? nullptr : declared_items(value_schema_);
  word_.clear();
  state_ = is_object ? State::kKey : State::kValue;
}

bool CallParser::is_end(char c) const {
  return c == '}' || (c == ')' && has_parentheses_ && frames_.size() == 1);
}

void CallParser::take_key(char c) {
  const bool is_empty = strip(word_).empty();
  if (is_end(c) || c == ',') {
    if (!is_empty) end_lone_key();
    if (is_end(c)) close_object();
  } else if (c == ':') {
    word_ = std::string(bare_key(word_));
    end_key();
  } else if (!is_empty || (!is_space(c) && c != '{' && !is_closer(c))) {
    word_ += c;
  }
}

void CallParser::take_behind_key(char c) {
  if (c == ':') {
    end_key();
  } else if (is_end(c) || c == ',') {
    end_lone_key();
    if (is_end(c)) close_object();
  }
}

void CallParser::end_lone_key() {
  if (state_ == State::kKey) word_ = std::string(bare_key(word_));
  end_key();
  emit("null");
  state_ = State::kKey;
}

void CallParser::end_key() {
  Frame& frame = frames_.back();
  if (frame.has_entry) emit(",");
  frame.has_entry = true;
  emit_string(word_);
  emit(":");
  value_schema_ = declared_property(frame.schema, word_);
  word_.clear();
  state_ = State::kValue;
}

void CallParser::begin_entry() {
  Frame& frame = frames_.back();
  if (frame.is_object) return;
  if (frame.has_entry) emit(",");
  frame.has_entry = true;
}

void CallParser::take_value(char c) {
  const bool in_object = frames_.back().is_object;
  if (is_space(c) || c == ':') return;
  if (c == ',' || is_end(c) || (c == ']' && !in_object)) {
    if (in_object) emit("null");
    if (c == ',') {
      if (in_object) state_ = State::kKey;
      return;
    }
    return c == ']' ? close_list() : close_object();
  }
  begin_entry();
  if ((c == '{' || c == '[') && frames_.size() < kMaxDepth) return push_frame(c == '{');
  word_.clear();
  if (c == '"' || c == '\'') {
    quote_ = c;
    maybe_ended_ = false;
    state_ = State::kJsonString;
    return;
  }
  comma_ = kNone;
  word_ = c;
  state_ = State::kBare;
}

void CallParser::begin_string() {
  begin_entry();
  const std::string type = declared_type(value_schema_);
  is_typed_ = type == "integer" || type == "number" || type == "boolean";
  word_.clear();
  held_.clear();
  if (!is_typed_) emit("\"");
  state_ = State::kString;
}

void CallParser::take_string(char c) {
  if (is_closer(c) || is_space(c)) {
    held_ += c;
    return;
  }
  if (is_typed_) {
    word_ += std::exchange(held_, {});
    word_ += c;
    return;
  }
  std::string json;
  append_json_escaped(json, std::exchange(held_, {}));
  append_json_escaped(json, std::string_view(&c, 1));
  emit(json);
}

void CallParser::end_string() {
  if (is_typed_) {
    word_ += std::exchange(held_, {});
    emit(typed_string(word_, value_schema_));
  } else {
    std::string json;
    append_json_escaped(json, std::exchange(held_, {}));
    emit(json + "\"");
  }
  end_value();
}

void CallParser::end_value() {
  word_.clear();
  state_ = State::kBehindValue;
}

void CallParser::take_bare(char c) {
  const bool in_object = frames_.back().is_object;
  if (is_end(c) || (c == ']' && !in_object)) {
    end_bare(word_);
    return take_behind_value(c);
  }
  const std::string_view word = word_;
  if (c == ',' && (!in_object || is_bare_literal(strip(word)))) {
    end_bare(word_);
    return take_behind_value(c);
  }
  if (c == ':' && comma_ != kNone && is_key(bare_key(word.substr(comma_ + 1)))) {
    // The comma ended the value, and this is the next key: no string without delimiters tells
    // earlier where it ends.
    const std::string key(bare_key(word.substr(comma_ + 1)));
    end_bare(word_.substr(0, comma_));
    word_ = key;
    return end_key();
  }
  if (c == ',') comma_ = word_.size();
  word_ += c;
}

// Where the keys are declared, one of them; otherwise what looks like a name.
bool CallParser::is_key(std::string_view text) const {
  const Json* schema = frames_.back().schema;
  const bool declared = schema != nullptr && schema->is_object() && schema->contains("properties");
  return declared ? declared_property(schema, std::string(text)) != nullptr
                  : has_tool_name_chars(text);
}

void CallParser::end_bare(std::string_view text) {
  emit(bare_scalar(text, value_schema_));
  end_value();
}

// A quote ends the string only where a value may end: apostrophes inside stay.
void CallParser::take_json_string(char c) {
  if (maybe_ended_) {
    if (is_space(c)) {
      held_ += c;
      return;
    }
    if (c == ',' || is_closer(c)) {
      end_json_string();
      return take_behind_value(c);
    }
    word_ += quote_ + std::exchange(held_, {});
    maybe_ended_ = false;
  }
  const bool is_escaped = (word_.size() - (word_.find_last_not_of('\\') + 1)) % 2 == 1;
  if (c == quote_ && !is_escaped) {
    maybe_ended_ = true;
    held_.clear();
  } else {
    word_ += c;
  }
}

void CallParser::end_json_string() {
  maybe_ended_ = false;
  held_.clear();
  emit_string(unquoted(word_, quote_));
  end_value();
}

void CallParser::take_behind_value(char c) {
  const bool in_object = frames_.back().is_object;
  if (is_space(c) || c == ':') return;
  if (c == ',') {
    state_ = in_object ? State::kKey : State::kValue;
    word_.clear();
    if (!in_object) value_schema_ = declared_items(frames_.back().schema);
  } else if (c == ']') {
    close_list();
  } else if (is_end(c)) {
    close_object();
  } else if (in_object) {
    state_ = State::kKey;
    take_key(c);
  } else {
    value_schema_ = declared_items(frames_.back().schema);
    state_ = State::kValue;
    take_value(c);
  }
}

void CallParser::close_frame() {
  emit(frames_.back().is_object ? "}" : "]");
  frames_.pop_back();
  end_value();
  if (!frames_.empty()) return;
  state_ = closes_itself_ ? State::kClosed : State::kDone;
}

// The innermost object, and the lists in it that were not closed.
void CallParser::close_object() {
  while (!frames_.back().is_object) close_frame();
  close_frame();
}

// The innermost list, and the objects in it that were not closed; nothing where there is no list.
void CallParser::close_list() {
  const bool has_list =
      std::any_of(frames_.begin(), frames_.end(), [](const Frame& f) { return !f.is_object; });
  if (!has_list) return;
  while (frames_.back().is_object) close_frame();
  close_frame();
}

void CallParser::take_done(char c) {
  if (is_space(c) || is_closer(c) || c == ',') return;
  open(false);
  if (is_open()) take_head(c);
}

void CallParser::emit(std::string_view json) {
  const int index = n_calls_ - 1;
  if (out_->empty() || out_->back().index != index) {
    out_->push_back({.index = index, .name = {}, .arguments = {}});
  }
  out_->back().arguments += json;
}

void CallParser::emit_string(std::string_view text) {
  std::string json;
  append_json_string(json, text);
  emit(json);
}

}  // namespace lapidary
