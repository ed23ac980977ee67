// A conversation told piece by piece, as the messages of a chat body: what the assistant did in a
// row (thoughts, texts, calls) becomes one message, since that is how a chat client would have it
// from the same answer. Remembers where each piece came from. Plain state of one request.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "server/api/field_origins.h"

namespace lapidary {

// The paths of a call, or of a call's result, in the client's body.
struct CallPaths {
  std::string whole, id, content;  // content: the arguments, or what the tool answered
};

class Transcript {
 public:
  // `origins` must outlive the transcript.
  explicit Transcript(FieldOrigins& origins) : origins_(origins) {}

  // What the system or the user says; `content` as chat_content() makes it.
  void add_message(const char* role, nlohmann::json content, const std::string& path);

  void add_thought(const std::string& text, const std::string& path);
  void add_text(const std::string& text, const std::string& path);
  // Ends the assistant's message: what it says next is another one.
  void end_message() { assistant_.reset(); }
  // `call` is a function's call as the chat body has it: {"name","arguments"}; null fields are
  // left for its checks to find.
  void add_call(nlohmann::json id, nlohmann::json call, const CallPaths& paths);
  void add_result(nlohmann::json id, nlohmann::json content, const CallPaths& paths);

  bool ends_with_assistant() const { return assistant_.has_value(); }
  nlohmann::json take() { return std::move(messages_); }

 private:
  size_t add(const char* role, const std::string& path);
  nlohmann::json& assistant(const std::string& path);

  FieldOrigins& origins_;
  nlohmann::json messages_ = nlohmann::json::array();
  std::optional<size_t> assistant_;  // the message that the assistant's next piece belongs to
};

}  // namespace lapidary
