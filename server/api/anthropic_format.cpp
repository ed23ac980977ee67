#include "server/api/anthropic_format.h"

#include "server/api/json_prefix.h"
#include "server/api/json_text.h"

namespace lapidary {
namespace {

constexpr std::string_view kSignature = "unsigned";

void append_field(std::string& out, const char* opening, std::string_view text) {
  out += opening;
  append_json_string(out, text);
}

// Ids of calls are ours: "call_" and digits.
std::string tool_use_id(std::string_view call_id) {
  constexpr std::string_view kPrefix = "call_";
  if (call_id.starts_with(kPrefix)) call_id.remove_prefix(kPrefix.size());
  return "toolu_" + std::string(call_id);
}

}  // namespace

void append_anthropic_block(std::string& out, const AnswerBlock& block, bool is_beginning) {
  const std::string_view text = is_beginning ? std::string_view() : block.text;
  switch (block.kind) {
    case BlockKind::thought:
      append_field(out, "{\"type\":\"thinking\",\"thinking\":", text);
      append_field(out, ",\"signature\":", is_beginning ? std::string_view() : kSignature);
      break;
    case BlockKind::text:
      append_field(out, "{\"type\":\"text\",\"text\":", text);
      break;
    case BlockKind::call:
      append_field(out, "{\"type\":\"tool_use\",\"id\":", tool_use_id(block.call_id));
      append_field(out, ",\"name\":", block.name);
      out += ",\"input\":" + complete_json_object(text);
      break;
  }
  out += '}';
}

void append_anthropic_delta(std::string& out, const AnswerBlock& block, std::string_view piece) {
  switch (block.kind) {
    case BlockKind::thought:
      append_field(out, "{\"type\":\"thinking_delta\",\"thinking\":", piece);
      break;
    case BlockKind::text:
      append_field(out, "{\"type\":\"text_delta\",\"text\":", piece);
      break;
    case BlockKind::call:
      append_field(out, "{\"type\":\"input_json_delta\",\"partial_json\":", piece);
      break;
  }
  out += '}';
}

void append_anthropic_signature(std::string& out) {
  append_field(out, "{\"type\":\"signature_delta\",\"signature\":", kSignature);
  out += '}';
}

void append_anthropic_stop(std::string& out, const AnthropicStop& stop) {
  out += "\"stop_reason\":";
  append_json_string_or_null(out, stop.reason == nullptr ? "" : stop.reason);
  out += ",\"stop_sequence\":";
  append_json_string_or_null(out, stop.sequence);
}

void append_anthropic_usage(std::string& out, const Usage& usage) {
  out += "{\"input_tokens\":";
  append_json_integer(out, usage.prompt_tokens - usage.cached_tokens);
  out += ",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":";
  append_json_integer(out, usage.cached_tokens);
  out += ",\"output_tokens\":";
  append_json_integer(out, usage.completion_tokens);
  out += '}';
}

void append_anthropic_message(std::string& out, std::string_view id, std::string_view model,
                              const std::vector<AnswerBlock>& blocks, const AnthropicStop& stop,
                              const Usage& usage) {
  append_field(out, "{\"id\":", id);
  append_field(out, ",\"type\":\"message\",\"role\":\"assistant\",\"model\":", model);
  out += ",\"content\":[";
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i > 0) out += ',';
    append_anthropic_block(out, blocks[i], false);
  }
  out += "],";
  append_anthropic_stop(out, stop);
  out += ",\"usage\":";
  append_anthropic_usage(out, usage);
  out += '}';
}

}  // namespace lapidary
