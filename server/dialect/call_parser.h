// From Gemma's call syntax to the JSON text of a call's arguments, token by token and append-only:
//   call:NAME{key:value,...}   with strings between two delimiters <|"|>, keys and all else bare.
// What is passed on is always the beginning of one JSON object, and a whole one once the call has
// ended, whatever the model wrote. Owned by an OutputParser, which sorts out the control tokens.
//
// Bad syntax is mended, never an error: a missing `call`, `()` for `{}`, quoted keys, keys without
// a value, strings in "..." or '...' or in nothing, a missing end of a string, list or object, one
// too many. What no call can be made of (no name) is given back as text.
//
// Values keep the type they are written in, but for parameters whose declared type says otherwise:
// a bare word for a string is one, 3.0 for an integer is 3, "5" in delimiters for a number is 5.
#pragma once

#include <climits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/dialect/chat.h"

namespace lapidary {

// What one token added to one call.
struct CallDelta {
  int index = 0;          // of the calls of this output
  std::string name;       // in the first delta of a call, otherwise empty
  std::string arguments;  // JSON text to append
};

struct CallOptions {
  const std::vector<ToolDeclaration>* tools = nullptr;  // null: calls are plain text
  int max_calls = INT_MAX;
  // Calls were held to a grammar: a value is what it is written as, and nothing is a call that has
  // no opener.
  bool is_exact = false;
};

class CallParser {
 public:
  explicit CallParser(const CallOptions& options);

  // A call opens: what follows is its name. `closes_itself`: no control token opened it, so none
  // will close it; it ends with its last brace.
  void open(bool closes_itself);
  // Text inside the call. Returns what is not part of it; the call is then over.
  std::string text(std::string_view text, std::vector<CallDelta>& out);
  // The string delimiter.
  void delimiter(std::vector<CallDelta>& out);
  // The call is over, properly or not: what is missing is added. Returns text that is no call.
  std::string close(std::vector<CallDelta>& out);

  bool is_open() const { return state_ != State::kClosed; }
  int n_calls() const { return n_calls_; }
  // One more call than allowed was opened; it was not passed on.
  bool has_excess() const { return has_excess_; }

 private:
  enum class State {
    kClosed,
    kHead,        // up to the brace behind the name
    kKey,         // in an object, before or in a key
    kQuotedKey,   // in a key between delimiters
    kBehindKey,   // behind such a key, before the colon
    kValue,       // before a value
    kString,      // in a string between delimiters
    kBare,        // in a value without delimiters
    kJsonString,  // in a string between ordinary quotes
    kBehindValue,
    kDone,  // behind the last brace
  };

  struct Frame {
    bool is_object = false;
    bool has_entry = false;
    const nlohmann::json* schema = nullptr;  // null: not declared
  };

  void take(char c);
  void take_head(char c);
  void take_key(char c);
  void take_behind_key(char c);
  void take_value(char c);
  void take_string(char c);
  void take_bare(char c);
  void take_json_string(char c);
  void take_behind_value(char c);
  void take_done(char c);

  void begin_call(std::string_view name);
  void push_frame(bool is_object);
  void begin_entry();  // of a list; an object's entry begins with its key
  void end_key();
  void end_lone_key();
  bool is_key(std::string_view text) const;
  void begin_string();
  void end_string();
  void end_value();
  void end_bare(std::string_view text);
  void end_json_string();
  void close_frame();
  void close_object();
  void close_list();
  void emit(std::string_view json);
  void emit_string(std::string_view text);
  bool is_end(char c) const;  // of the innermost object

  const CallOptions options_;
  State state_ = State::kClosed;
  std::vector<Frame> frames_;
  std::string word_;          // the head, a key or a value that cannot be sent yet
  std::string held_;          // kString: closers and white space, sent only if more follows
  std::string given_back_;    // text that is no call
  size_t comma_ = 0;          // kBare: of the last comma in word_, npos: none
  char quote_ = '"';          // kJsonString
  bool maybe_ended_ = false;  // kJsonString: behind a quote that may be its end
  bool is_typed_ = false;     // kString: may become a number or a boolean, so waits in word_
  bool closes_itself_ = false;
  bool has_parentheses_ = false;
  bool has_excess_ = false;
  const nlohmann::json* value_schema_ = nullptr;
  int n_calls_ = 0;
  std::vector<CallDelta>* out_ = nullptr;  // during a call of a public member
};

}  // namespace lapidary
