#include "server/api/answer_format.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "config/utf8.h"
#include "server/api/json_text.h"

namespace lapidary {
namespace {

bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const int length = read_utf8(text, at).length;
    if (length == 0) return false;
    at += static_cast<size_t>(length);
  }
  return true;
}

void append_token_logprob(std::string& out, const Tokenizer& tokenizer, int32_t id, float logprob) {
  out += "{\"token\":";
  append_json_string(out, token_label(tokenizer, id));
  out += ",\"logprob\":";
  append_json_logprob(out, logprob);
  out += ",\"bytes\":[";
  bool first = true;
  for (const char c : tokenizer.token_bytes(id)) {
    if (!first) out += ',';
    first = false;
    append_json_integer(out, static_cast<unsigned char>(c));
  }
  out += ']';
}

// The most likely ones, and the chosen one if it is not among them. Keys are texts, and two tokens
// may have the same: then the chosen token's value stands, otherwise the likelier one's.
void append_top_map(std::string& out, const Tokenizer& tokenizer, const TokenChoice& entry) {
  if (!entry.logprob) {
    out += "null";
    return;
  }
  std::vector<std::string> labels;
  const std::string chosen = token_label(tokenizer, entry.token);
  out += '{';
  const auto add = [&](std::string label, float logprob) {
    if (std::find(labels.begin(), labels.end(), label) != labels.end()) return;
    if (!labels.empty()) out += ',';
    append_json_string(out, label);
    out += ':';
    append_json_logprob(out, label == chosen ? *entry.logprob : logprob);
    labels.push_back(std::move(label));
  };
  for (const TokenLogprob& top : entry.top) add(token_label(tokenizer, top.token), top.logprob);
  add(chosen, *entry.logprob);
  out += '}';
}

template <typename Add>
void append_list(std::string& out, const char* name, const std::vector<TokenChoice>& entries,
                 const Add& add) {
  out += '"';
  out += name;
  out += "\":[";
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i > 0) out += ',';
    add(entries[i]);
  }
  out += ']';
}

}  // namespace

std::string AnswerHead::opening() const {
  std::string out = "{\"id\":";
  append_json_string(out, id);
  out += ",\"object\":";
  append_json_string(out, object);
  out += ",\"created\":";
  append_json_integer(out, created);
  out += ",\"model\":";
  append_json_string(out, model);
  out += ",\"system_fingerprint\":\"lapidary-" LAPIDARY_VERSION "\"";
  return out;
}

int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

const char* finish_text(FinishReason finish) {
  switch (finish) {
    case FinishReason::stop:
      return "\"stop\"";
    case FinishReason::length:
      return "\"length\"";
    default:
      return "null";
  }
}

void append_stop_reason(std::string& out, bool is_repetition) {
  if (is_repetition) out += ",\"stop_reason\":\"repetition\"";
}

void append_usage(std::string& out, const Usage& usage) {
  out += "{\"prompt_tokens\":";
  append_json_integer(out, usage.prompt_tokens);
  out += ",\"completion_tokens\":";
  append_json_integer(out, usage.completion_tokens);
  out += ",\"total_tokens\":";
  append_json_integer(out, usage.prompt_tokens + usage.completion_tokens);
  out += ",\"prompt_tokens_details\":{\"cached_tokens\":";
  append_json_integer(out, usage.cached_tokens);
  out += ",\"audio_tokens\":0,\"image_tokens\":";
  append_json_integer(out, usage.image_tokens);
  out += "},\"completion_tokens_details\":{\"reasoning_tokens\":";
  append_json_integer(out, usage.reasoning_tokens);
  out +=
      ",\"audio_tokens\":0,\"accepted_prediction_tokens\":0,"
      "\"rejected_prediction_tokens\":0}}";
}

void append_chunk_usage(std::string& out, const GenerationParams& params, const Usage& usage) {
  if (params.continuous_usage) {
    out += ",\"usage\":";
    append_usage(out, usage);
  } else if (params.include_usage) {
    out += ",\"usage\":null";
  }
}

void append_usage_chunk(std::string& out, const std::string& opening, const Usage& usage) {
  out += opening;
  out += ",\"choices\":[],\"usage\":";
  append_usage(out, usage);
  out += '}';
}

void append_token_ids(std::string& out, const std::vector<int32_t>& ids) {
  out += '[';
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) out += ',';
    append_json_integer(out, ids[i]);
  }
  out += ']';
}

void append_reasoning(std::string& out, ReasoningField field, std::string_view text) {
  if (field != ReasoningField::reasoning) {
    out += "\"reasoning_content\":";
    append_json_string(out, text);
    out += ',';
  }
  if (field != ReasoningField::reasoning_content) {
    out += "\"reasoning\":";
    append_json_string(out, text);
    out += ',';
  }
}

void append_logprob_list(std::string& out, const Tokenizer& tokenizer,
                         std::span<const TokenChoice> entries) {
  out += '[';
  for (const TokenChoice& entry : entries) {
    if (out.back() != '[') out += ',';
    append_token_logprob(out, tokenizer, entry.token, entry.logprob.value_or(0.0F));
    out += ",\"top_logprobs\":[";
    for (size_t i = 0; i < entry.top.size(); ++i) {
      if (i > 0) out += ',';
      append_token_logprob(out, tokenizer, entry.top[i].token, entry.top[i].logprob);
      out += '}';
    }
    out += "]}";
  }
  out += ']';
}

void append_chat_logprobs(std::string& out, const Tokenizer& tokenizer,
                          const std::vector<TokenChoice>& entries) {
  out += "{\"content\":";
  append_logprob_list(out, tokenizer, entries);
  out += ",\"refusal\":null}";
}

void append_completion_logprobs(std::string& out, const Tokenizer& tokenizer,
                                const std::vector<TokenChoice>& entries) {
  out += '{';
  append_list(out, "tokens", entries, [&](const TokenChoice& entry) {
    append_json_string(out, token_label(tokenizer, entry.token));
  });
  out += ',';
  append_list(out, "token_logprobs", entries, [&](const TokenChoice& entry) {
    if (entry.logprob) {
      append_json_logprob(out, *entry.logprob);
    } else {
      out += "null";
    }
  });
  out += ',';
  append_list(out, "top_logprobs", entries,
              [&](const TokenChoice& entry) { append_top_map(out, tokenizer, entry); });
  out += ',';
  append_list(out, "text_offset", entries, [&](const TokenChoice& entry) {
    append_json_integer(out, static_cast<int64_t>(entry.text_offset));
  });
  out += '}';
}

std::string token_label(const Tokenizer& tokenizer, int32_t id) {
  const std::string_view bytes = tokenizer.token_bytes(id);
  if (is_utf8(bytes)) return std::string(bytes);
  constexpr char kHex[] = "0123456789abcdef";
  std::string label = "bytes:";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    label += "\\x";
    label += kHex[byte >> 4];
    label += kHex[byte & 15];
  }
  return label;
}

}  // namespace lapidary
