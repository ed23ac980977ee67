#include "server/api/responses_items.h"

#include <string>
#include <vector>

#include "server/api/fields.h"
#include "server/api/json_object.h"
#include "server/api/text_parts.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxTypeBytes = 64;
constexpr size_t kMaxItems = 8192;  // several of them may make one message
constexpr TextPart kSaidParts[] = {
    {"input_text", "text"}, {"output_text", "text"}, {"text", "text"}};
constexpr TextPart kAnswerParts[] = {
    {"output_text", "text"}, {"refusal", "refusal"}, {"input_text", "text"}, {"text", "text"}};
constexpr TextPart kThoughtParts[] = {{"reasoning_text", "text"}};
constexpr TextPart kSummaryParts[] = {{"summary_text", "text"}};

const Json& required(const Fields& item, const char* name) {
  const Json* value = item.find(name);
  if (value == nullptr) throw api_error::missing_parameter(item.path(name));
  return *value;
}

// Clients may leave the type of a message out.
std::string type_of(const Fields& item) {
  if (auto type = item.text("type", kMaxTypeBytes)) return *std::move(type);
  if (item.find("role") != nullptr) return "message";
  throw api_error::missing_parameter(item.path("type"));
}

void add_message(const Fields& item, const std::string& path, Transcript& transcript) {
  const auto role = item.choice("role", {"user", "assistant", "system", "developer"});
  if (!role) throw api_error::missing_parameter(item.path("role"));
  const Json& content = required(item, "content");
  const bool is_answer = *role == "assistant";
  const auto texts = is_answer ? parse_texts(content, item.path("content"), kAnswerParts)
                               : parse_texts(content, item.path("content"), kSaidParts);
  if (is_answer) {
    transcript.add_text(joined(texts), path);
  } else {
    transcript.add_message(role->c_str(), chat_content(texts), path);
  }
}

std::vector<std::string> parse_list(const Fields& item, const char* name,
                                    std::span<const TextPart> kinds) {
  const Json* list = item.array(name, 0, 256);
  return list == nullptr ? std::vector<std::string>() : parse_texts(*list, item.path(name), kinds);
}

// The thought itself, else what stands for it.
void add_reasoning(const Fields& item, const std::string& path, Transcript& transcript) {
  std::vector<std::string> texts = parse_list(item, "content", kThoughtParts);
  const std::vector<std::string> summary = parse_list(item, "summary", kSummaryParts);
  if (texts.empty()) texts = summary;
  if (texts.empty() && item.find("encrypted_content") != nullptr) {
    throw api_error::unsupported_value(item.path("encrypted_content"),
                                       "only reasoning in plain text can be read by this server.");
  }
  for (const std::string& text : texts) transcript.add_thought(text, path);
}

void add_call(const Json& value, const Fields& item, const std::string& path,
              Transcript& transcript) {
  transcript.add_call(
      field(value, "call_id"),
      {{"name", field(value, "name")}, {"arguments", required(item, "arguments")}},
      {.whole = path, .id = item.path("call_id"), .content = item.path("arguments")});
}

void add_output(const Json& value, const Fields& item, const std::string& path,
                Transcript& transcript) {
  const auto texts = parse_texts(required(item, "output"), item.path("output"), kSaidParts);
  transcript.add_result(
      field(value, "call_id"), chat_content(texts),
      {.whole = path, .id = item.path("call_id"), .content = item.path("output")});
}

}  // namespace

void add_input(const Json& input, Transcript& transcript) {
  if (input.is_string()) {
    transcript.add_message("user", input, "input");
    return;
  }
  if (!input.is_array()) {
    throw api_error::invalid_type("input", "a string or an array of items", type_name(input));
  }
  check_array(input, "input", 1, kMaxItems);
  std::string last;
  for (size_t i = 0; i < input.size(); ++i) {
    const std::string path = element_path("input", i);
    check_object(input[i], path);
    const Fields item(input[i], path);
    const std::string type = type_of(item);
    // Two messages in a row are two; one behind reasoning or calls belongs to them.
    if (type == "message" && last == "message") transcript.end_message();
    if (type == "message") {
      add_message(item, path, transcript);
    } else if (type == "reasoning") {
      add_reasoning(item, path, transcript);
    } else if (type == "function_call") {
      add_call(input[i], item, path, transcript);
    } else if (type == "function_call_output") {
      add_output(input[i], item, path, transcript);
    } else {
      throw api_error::unsupported_value(
          item.path("type"), "items of type '" + type +
                                 "' cannot be read by this server; it takes 'message', "
                                 "'reasoning', 'function_call' and 'function_call_output'.");
    }
    last = type;
  }
}

}  // namespace lapidary
