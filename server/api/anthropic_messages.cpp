#include "server/api/anthropic_messages.h"

#include <string>
#include <utility>
#include <vector>

#include "server/api/fields.h"
#include "server/api/json_object.h"
#include "server/api/text_parts.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxTypeBytes = 64;
constexpr size_t kMaxBlocks = 1024;
constexpr size_t kMaxMessages = 2048;
constexpr TextPart kText[] = {{"text", "text"}};

const Json& required(const Fields& block, const char* name) {
  const Json* value = block.find(name);
  if (value == nullptr) throw api_error::missing_parameter(block.path(name));
  return *value;
}

// What a tool answered. That it failed is said in words: the model knows no other way.
Json result_content(const Fields& block) {
  std::vector<std::string> texts;
  if (const Json* content = block.find("content")) {
    texts = parse_texts(*content, block.path("content"), kText);
  }
  if (block.boolean("is_error").value_or(false)) return "Error: " + joined(texts);
  return chat_content(std::move(texts));
}

void add_result(const Json& value, const Fields& block, const std::string& path,
                Transcript& transcript) {
  transcript.add_result(
      field(value, "tool_use_id"), result_content(block),
      {.whole = path, .id = block.path("tool_use_id"), .content = block.path("content")});
}

void add_call(const Json& value, const Fields& block, const std::string& path,
              Transcript& transcript) {
  const Json& input = required(block, "input");
  check_object(input, block.path("input"));
  transcript.add_call(field(value, "id"), {{"name", field(value, "name")}, {"arguments", input}},
                      {.whole = path, .id = block.path("id"), .content = block.path("input")});
}

std::string type_of(const Fields& block) {
  auto type = block.text("type", kMaxTypeBytes);
  if (!type) throw api_error::missing_parameter(block.path("type"));
  return *std::move(type);
}

// Texts of a user in a row are one message.
void add_user_blocks(const Json& blocks, const std::string& path, Transcript& transcript) {
  std::vector<std::string> texts;
  const auto end_texts = [&] {
    if (!texts.empty()) transcript.add_message("user", chat_content(std::move(texts)), path);
    texts.clear();
  };
  for (size_t i = 0; i < blocks.size(); ++i) {
    const std::string block_path = element_path(path + ".content", i);
    check_object(blocks[i], block_path);
    const Fields block(blocks[i], block_path);
    if (type_of(block) == "tool_result") {
      end_texts();
      add_result(blocks[i], block, block_path, transcript);
    } else {
      texts.push_back(parse_text_part(block, kText));
    }
  }
  end_texts();
}

void add_assistant_blocks(const Json& blocks, const std::string& path, Transcript& transcript) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    const std::string block_path = element_path(path + ".content", i);
    check_object(blocks[i], block_path);
    const Fields block(blocks[i], block_path);
    const std::string type = type_of(block);
    if (type == "thinking") {
      constexpr TextPart kThought[] = {{"thinking", "thinking"}};
      transcript.add_thought(parse_text_part(block, kThought), block_path);
    } else if (type == "tool_use") {
      add_call(blocks[i], block, block_path, transcript);
    } else {
      transcript.add_text(parse_text_part(block, kText), block_path);
    }
  }
}

void add_message(const Json& value, const std::string& path, Transcript& transcript) {
  check_object(value, path);
  const Fields message(value, path);
  const auto role = message.choice("role", {"user", "assistant"});
  if (!role) throw api_error::missing_parameter(message.path("role"));
  const Json& content = required(message, "content");
  const bool is_user = *role == "user";
  if (content.is_string()) {
    const auto& text = content.get_ref<const std::string&>();
    if (is_user) {
      transcript.add_message("user", text, path);
    } else {
      transcript.add_text(text, path);
    }
    return;
  }
  if (!content.is_array()) {
    throw api_error::invalid_type(message.path("content"), "a string or an array of blocks",
                                  type_name(content));
  }
  check_array(content, message.path("content"), 0, kMaxBlocks);
  if (is_user) {
    add_user_blocks(content, path, transcript);
  } else {
    add_assistant_blocks(content, path, transcript);
  }
}

}  // namespace

void add_system(const Json& system, Transcript& transcript) {
  if (system.is_null()) return;
  std::vector<std::string> texts = parse_texts(system, "system", kText);
  if (!texts.empty()) transcript.add_message("system", chat_content(std::move(texts)), "system");
}

void add_messages(const Json& messages, Transcript& transcript) {
  check_array(messages, "messages", 1, kMaxMessages);
  for (size_t i = 0; i < messages.size(); ++i) {
    add_message(messages[i], element_path("messages", i), transcript);
  }
}

}  // namespace lapidary
