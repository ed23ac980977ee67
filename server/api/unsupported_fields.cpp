#include "server/api/unsupported_fields.h"

#include <algorithm>
#include <string>
#include <vector>

namespace lapidary {
namespace {

using Json = nlohmann::json;

constexpr char kChatOnly[] = "It belongs to /v1/chat/completions.";
constexpr char kOtherName[] = "Use 'structured_outputs' or 'response_format'.";

const std::vector<UnsupportedField>& table() {
  static const std::vector<UnsupportedField> rows = {
      {"structural_tag", kOtherName},
      {"guided_json", kOtherName},
      {"guided_regex", kOtherName},
      {"guided_choice", kOtherName},
      {"guided_grammar", kOtherName},
      {"json_schema", kOtherName},
      {"grammar", kOtherName},
      {"regex", kOtherName},
      {"ebnf", kOtherName},
      {"audio", "This server does not produce audio."},
      {"modalities", "This server produces text only.", {Json::array({"text"})}},
      {"web_search_options", "This server does not search the web."},
      {"chat_template", "The template is the model's own; it cannot be sent with a request."},
      {"best_of", "Ask for several choices with 'n'.", {1}},
      {"suffix", "This model does not fill in the middle."},
      {"use_beam_search", "This server samples; it has no beam search."},
      {"length_penalty", "It belongs to beam search, which this server does not have.", {1, 1.0}},
      {"allowed_token_ids", "Use 'logit_bias'."},
      {"bad_words", "Use 'logit_bias'."},
      {"prompt_embeds", "Prompts are text or token ids."},
      {"prompt_logprobs", "Use 'echo' with 'logprobs' of /v1/completions."},
      {"truncate_prompt_tokens", "Prompts are never cut; send a shorter one."},
      {"transforms", "Prompts are never cut; send a shorter one."},
      {"priority", "Requests have no priorities yet.", {0}},
      {"logits_processors", "Code cannot be sent with a request."},
      {"lora", "This server has no adapters."},
      {"kv_transfer_params", "This server does not move caches."},
  };
  return rows;
}

const std::vector<UnsupportedField>& chat_table() {
  static const std::vector<UnsupportedField> rows = {
      {"tools", kChatOnly},
      {"tool_choice", kChatOnly, {"none", "auto"}},
      {"functions", kChatOnly},
      {"function_call", kChatOnly, {"none", "auto"}},
      {"thinking_token_budget", kChatOnly},
  };
  return rows;
}

bool asks_for_nothing(const Json& value) {
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.is_structured() && value.empty();
}

void require(const Fields& body, const char* name, bool wanted, const char* why) {
  const auto value = body.boolean(name);
  if (value && *value != wanted) throw api_error::unsupported_value(body.path(name), why);
}

void check_metadata(const Fields& body) {
  const Json* metadata = body.object("metadata");
  if (metadata == nullptr) return;
  if (metadata->size() > 16) {
    throw api_error::invalid_value("metadata", "at most 16 entries are accepted.");
  }
  for (const auto& [key, value] : metadata->items()) {
    if (key.size() > 64) throw api_error::string_too_long("metadata", 64, key.size());
    checked_text(value, "metadata." + key, 512);
  }
}

}  // namespace

void refuse_fields(const Fields& body, std::span<const UnsupportedField> rows) {
  for (const UnsupportedField& row : rows) {
    const Json* value = body.find(row.name);
    if (value == nullptr || asks_for_nothing(*value)) continue;
    if (std::find(row.harmless.begin(), row.harmless.end(), *value) != row.harmless.end()) continue;
    throw api_error::unsupported_parameter(body.path(row.name), row.why);
  }
}

void refuse_chat_fields(const Fields& body) { refuse_fields(body, chat_table()); }

void refuse_unsupported_fields(const Fields& body) {
  refuse_fields(body, table());
  require(body, "skip_special_tokens", true, "control tokens are never part of the text.");
  require(body, "separate_reasoning", true, "reasoning always has a field of its own.");
  require(body, "stream_reasoning", true, "reasoning is streamed like content.");
}

void check_ignored_fields(const Fields& body) {
  body.text("user", 256);
  body.text("safety_identifier", 64);
  body.text("prompt_cache_key", 256);
  body.text("prompt_cache_retention", 64);
  body.text("cache_salt", 256);
  body.choice("service_tier", {"auto", "default", "flex", "scale", "priority", "fast"});
  body.choice("verbosity", {"low", "medium", "high"});
  body.boolean("store");
  body.boolean("parallel_tool_calls");
  body.boolean("spaces_between_special_tokens");
  body.object("prediction");
  check_metadata(body);
}

}  // namespace lapidary
