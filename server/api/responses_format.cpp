#include "server/api/responses_format.h"

#include <charconv>

#include "server/api/answer_format.h"
#include "server/api/json_text.h"
#include "server/http/request_policy.h"

namespace lapidary {
namespace {

void append_string(std::string& out, const char* field, std::string_view text) {
  out += ",\"";
  out += field;
  out += "\":";
  append_json_string(out, text);
}

// The shortest text that gives the same float.
void append_decimal(std::string& out, const char* field, float value) {
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  out += ",\"";
  out += field;
  out += "\":";
  out.append(buffer, end);
}

void append_input_usage(std::string& out, const Usage& usage) {
  out += "{\"input_tokens\":";
  append_json_integer(out, usage.prompt_tokens);
  out += ",\"input_tokens_details\":{\"cached_tokens\":";
  append_json_integer(out, usage.cached_tokens);
  out += ",\"cache_write_tokens\":0},\"output_tokens\":";
  append_json_integer(out, usage.completion_tokens);
  out += ",\"output_tokens_details\":{\"reasoning_tokens\":";
  append_json_integer(out, usage.reasoning_tokens);
  out += "},\"total_tokens\":";
  append_json_integer(out, usage.prompt_tokens + usage.completion_tokens);
  out += '}';
}

const char* prefix_of(BlockKind kind) {
  switch (kind) {
    case BlockKind::thought:
      return "rs_";
    case BlockKind::call:
      return "fc_";
    default:
      return "msg_";
  }
}

}  // namespace

ResponsesFormat::ResponsesFormat(const ResponsesRequest& request, const GenerationParams& params,
                                 const Tokenizer& tokenizer)
    : tokenizer_(tokenizer),
      shows_summary_(request.wants_summary),
      id_(random_hex(40)),
      created_(unix_time()) {
  append_string(fields_, "model", params.model);
  append_decimal(fields_, "temperature", params.sampling.temperature);
  append_decimal(fields_, "top_p", params.sampling.top_p);
  // Its braces give way to those of the response.
  const std::string echo = request.echo.dump();
  fields_ += ',';
  fields_.append(echo, 1, echo.size() - 2);
}

void ResponsesFormat::append_opening(std::string& out, const char* status) const {
  out += "{\"id\":\"resp_" + id_ + "\",\"object\":\"response\",\"created_at\":";
  append_json_integer(out, created_);
  append_string(out, "status", status);
  out += fields_;
}

void ResponsesFormat::append_begun(std::string& out) const {
  append_opening(out, "in_progress");
  out += ",\"completed_at\":null,\"error\":null,\"incomplete_details\":null,\"output\":[]}";
}

void ResponsesFormat::append_ended(std::string& out, const std::vector<AnswerBlock>& blocks,
                                   FinishReason finish, const Usage& usage) const {
  const bool was_cut = finish == FinishReason::length;
  const char* status = was_cut ? "incomplete" : "completed";
  append_opening(out, status);
  out += ",\"completed_at\":";
  if (was_cut) {
    out += "null,\"error\":null,\"incomplete_details\":{\"reason\":\"max_output_tokens\"}";
  } else {
    append_json_integer(out, unix_time());
    out += ",\"error\":null,\"incomplete_details\":null";
  }
  append_output(out, blocks, status);
  out += ",\"usage\":";
  append_input_usage(out, usage);
  out += '}';
}

void ResponsesFormat::append_failed(std::string& out, const std::vector<AnswerBlock>& blocks,
                                    const ApiError& error, const Usage& usage) const {
  append_opening(out, "failed");
  out += ",\"completed_at\":null,\"error\":{\"code\":\"server_error\"";
  append_string(out, "message", error.message);
  out += "},\"incomplete_details\":null";
  append_output(out, blocks, "incomplete");
  out += ",\"usage\":";
  append_input_usage(out, usage);
  out += '}';
}

void ResponsesFormat::append_output(std::string& out, const std::vector<AnswerBlock>& blocks,
                                    const char* last_status) const {
  out += ",\"output\":[";
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i > 0) out += ',';
    append_item(out, i, blocks[i], i + 1 < blocks.size() ? "completed" : last_status);
  }
  out += ']';
}

std::string ResponsesFormat::item_id(size_t index, const AnswerBlock& block) const {
  return prefix_of(block.kind) + id_ + std::to_string(index);
}

void ResponsesFormat::append_item(std::string& out, size_t index, const AnswerBlock& block,
                                  const char* status, bool is_announced) const {
  out += "{\"id\":\"" + item_id(index, block) + '"';
  append_string(out, "status", status);
  const auto append_list = [&](const char* field, bool is_filled) {
    out += ",\"";
    out += field;
    out += "\":[";
    if (is_filled && !is_announced) append_part(out, block, block.text, block.logprobs);
    out += ']';
  };
  switch (block.kind) {
    case BlockKind::thought:
      out += ",\"type\":\"reasoning\"";
      append_list("summary", shows_summary_);
      if (!shows_summary_) append_list("content", true);
      break;
    case BlockKind::text:
      out += ",\"type\":\"message\",\"role\":\"assistant\"";
      append_list("content", true);
      break;
    case BlockKind::call:
      out += ",\"type\":\"function_call\"";
      append_string(out, "call_id", block.call_id);
      append_string(out, "name", block.name);
      append_string(out, "arguments", is_announced ? std::string_view() : block.text);
      break;
  }
  out += '}';
}

void ResponsesFormat::append_part(std::string& out, const AnswerBlock& block, std::string_view text,
                                  std::span<const TokenChoice> logprobs) const {
  if (block.kind == BlockKind::thought) {
    out += shows_summary_ ? "{\"type\":\"summary_text\"" : "{\"type\":\"reasoning_text\"";
    append_string(out, "text", text);
    out += '}';
    return;
  }
  out += "{\"type\":\"output_text\"";
  append_string(out, "text", text);
  out += ",\"annotations\":[],\"logprobs\":";
  append_logprobs(out, logprobs);
  out += '}';
}

void ResponsesFormat::append_logprobs(std::string& out,
                                      std::span<const TokenChoice> logprobs) const {
  append_logprob_list(out, tokenizer_, logprobs);
}

}  // namespace lapidary
