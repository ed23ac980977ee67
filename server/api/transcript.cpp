#include "server/api/transcript.h"

#include <utility>

namespace lapidary {
namespace {

using Json = nlohmann::json;

std::string message_path(size_t index) { return element_path("messages", index); }

void append(Json& message, const char* field, const char* between, const std::string& text) {
  Json& value = message[field];
  if (value.is_null()) {
    value = text;
  } else {
    value.get_ref<std::string&>() += between + text;
  }
}

}  // namespace

size_t Transcript::add(const char* role, const std::string& path) {
  const size_t index = messages_.size();
  messages_.push_back({{"role", role}});
  origins_.add(message_path(index), path);
  origins_.add(message_path(index) + ".role", path);
  return index;
}

Json& Transcript::assistant(const std::string& path) {
  if (!assistant_) assistant_ = add("assistant", path);
  return messages_[*assistant_];
}

void Transcript::add_message(const char* role, Json content, const std::string& path) {
  end_message();
  messages_[add(role, path)]["content"] = std::move(content);
}

void Transcript::add_thought(const std::string& text, const std::string& path) {
  // Several thoughts are joined as the parser of answers joins them.
  if (!text.empty()) append(assistant(path), "reasoning_content", "\n", text);
}

void Transcript::add_text(const std::string& text, const std::string& path) {
  append(assistant(path), "content", "", text);
}

void Transcript::add_call(Json id, Json call, const CallPaths& paths) {
  Json& calls = assistant(paths.whole)["tool_calls"];
  if (calls.is_null()) calls = Json::array();
  const std::string list = message_path(*assistant_) + ".tool_calls";
  if (calls.empty()) origins_.add(list, paths.whole);
  const std::string path = element_path(list, calls.size());
  origins_.add(path, paths.whole);
  origins_.add(path + ".id", paths.id);
  origins_.add(path + ".function", paths.whole);
  origins_.add(path + ".function.arguments", paths.content);
  calls.push_back({{"id", std::move(id)}, {"type", "function"}, {"function", std::move(call)}});
}

void Transcript::add_result(Json id, Json content, const CallPaths& paths) {
  end_message();
  const size_t index = add("tool", paths.whole);
  origins_.add(message_path(index) + ".tool_call_id", paths.id);
  origins_.add(message_path(index) + ".content", paths.content);
  messages_[index]["tool_call_id"] = std::move(id);
  messages_[index]["content"] = std::move(content);
}

}  // namespace lapidary
