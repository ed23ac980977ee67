#include "server/api/json_prefix.h"

namespace lapidary {
namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// Reads the text once and remembers the last place behind which it can be closed.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::string complete() {
    for (at_ = 0; at_ < text_.size(); ++at_) step(text_[at_]);
    if (safe_ == 0) return "{}";
    std::string whole(text_.substr(0, safe_));
    whole.append(closers_.rbegin(), closers_.rend());
    return whole;
  }

 private:
  void step(char c) {
    if (in_string_) {
      step_in_string(c);
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      open_.push_back(c == '{' ? '}' : ']');
      expects_key_ = c == '{';
      mark(at_ + 1);
    } else if (c == '}' || c == ']') {
      if (is_bare_) mark(at_);
      is_bare_ = false;
      if (!open_.empty()) open_.pop_back();
      mark(at_ + 1);
    } else if (c == ',') {
      if (is_bare_) mark(at_);
      is_bare_ = false;
      expects_key_ = !open_.empty() && open_.back() == '}';
    } else if (c == ':') {
      expects_key_ = false;
    } else if (!is_space(c)) {
      is_bare_ = true;  // a number or a word: whole only when something stands behind it
    } else if (is_bare_) {
      mark(at_);
      is_bare_ = false;
    }
  }

  void step_in_string(char c) {
    if (is_escaped_) {
      is_escaped_ = false;
    } else if (c == '\\') {
      is_escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
      if (!expects_key_) mark(at_ + 1);
    }
  }

  void mark(size_t end) {
    safe_ = end;
    closers_ = open_;
  }

  const std::string_view text_;
  size_t at_ = 0;
  std::string open_;  // what closes the brackets that are open, outermost first
  bool in_string_ = false, is_escaped_ = false, is_bare_ = false;
  bool expects_key_ = false;  // the next string is one
  size_t safe_ = 0;
  std::string closers_;  // as open_ was at safe_
};

}  // namespace

std::string complete_json_object(std::string_view prefix) { return Reader(prefix).complete(); }

}  // namespace lapidary
