#include "server/api/chat_prompt.h"

#include <optional>
#include <string>
#include <utility>

#include "server/api/messages.h"
#include "server/api/tool_messages.h"
#include "server/dialect/prompt_renderer.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

struct Thinking {
  bool enabled = false;
  bool preserve = false;
  bool include = true;
  std::optional<int> budget;  // tokens
};

std::optional<bool> effort_of(const Fields& fields, const char* name) {
  const auto effort =
      fields.choice(name, {"none", "minimal", "low", "medium", "high", "xhigh", "max"});
  if (!effort) return std::nullopt;
  return *effort != "none";
}

std::optional<int> parse_budget(const Fields& fields, const char* name, const Service& service) {
  const auto tokens = fields.integer(name, 0, service.options.max_model_len);
  if (!tokens) return std::nullopt;
  return static_cast<int>(*tokens);
}

// {"effort","enabled","exclude","max_tokens"}: how OpenRouter's clients say it.
void parse_reasoning_object(const Fields& body, const Service& service, Thinking& thinking) {
  const Json* object = body.object("reasoning");
  if (object == nullptr) return;
  const Fields fields(*object, "reasoning");
  if (const auto on = effort_of(fields, "effort")) thinking.enabled = *on;
  thinking.budget = parse_budget(fields, "max_tokens", service);
  if (thinking.budget) thinking.enabled = true;
  if (const auto on = fields.boolean("enabled")) thinking.enabled = *on;
  if (fields.boolean("exclude").value_or(false)) thinking.include = false;
}

void parse_template_kwargs(const Fields& body, Thinking& thinking) {
  const Json* kwargs = body.object("chat_template_kwargs");
  if (kwargs == nullptr) return;
  const Fields fields(*kwargs, "chat_template_kwargs");
  for (const auto& [key, value] : kwargs->items()) {
    if (key != "enable_thinking" && key != "preserve_thinking") {
      throw api_error::unsupported_parameter(
          fields.path(key), "There are 'enable_thinking' and 'preserve_thinking'.");
    }
  }
  if (const auto on = fields.boolean("enable_thinking")) thinking.enabled = *on;
  if (const auto on = fields.boolean("preserve_thinking")) thinking.preserve = *on;
}

// The most specific wins: the server's default, the effort, the template's own switches.
Thinking parse_thinking(const Fields& body, const Service& service) {
  Thinking thinking{service.options.enable_thinking, service.options.preserve_thinking, true};
  if (const auto on = effort_of(body, "reasoning_effort")) thinking.enabled = *on;
  parse_reasoning_object(body, service, thinking);
  parse_template_kwargs(body, thinking);
  if (const auto budget = parse_budget(body, "thinking_token_budget", service)) {
    thinking.budget = budget;
  }
  thinking.include = body.boolean("include_reasoning").value_or(thinking.include);
  return thinking;
}

PromptEnd parse_end(const Fields& body, const std::vector<ChatMessage>& messages) {
  const bool continues = body.boolean("continue_final_message").value_or(false);
  const bool generates = body.boolean("add_generation_prompt").value_or(!continues);
  if (!continues) return generates ? PromptEnd::kGenerate : PromptEnd::kClosed;
  if (generates) {
    throw api_error::invalid_value("continue_final_message",
                                   "it excludes 'add_generation_prompt'.");
  }
  if (messages.back().role != Role::kAssistant) {
    throw api_error::invalid_value("continue_final_message",
                                   "the last message must be the assistant's.");
  }
  if (!messages.back().tool_calls.empty()) {
    throw api_error::invalid_value("continue_final_message", "the last message calls tools.");
  }
  return PromptEnd::kContinueLast;
}

std::vector<int> soft_token_counts(const std::vector<PreparedImage>& images) {
  std::vector<int> counts;
  for (const PreparedImage& image : images) counts.push_back(image.n_soft_tokens);
  return counts;
}

std::vector<MediaSpan> media_spans(const std::vector<EncodedPrompt::Place>& places,
                                   const std::vector<PreparedImage>& images) {
  std::vector<MediaSpan> spans;
  for (const EncodedPrompt::Place& place : places) {
    const PreparedImage& image = images[static_cast<size_t>(place.media)];
    spans.push_back({place.first, place.count, image.pixels, image.fingerprint});
  }
  return spans;
}

}  // namespace

ChatPrompt parse_chat_prompt(const Fields& body, const Service& service) {
  const Thinking thinking = parse_thinking(body, service);
  ImageInputs inputs(body, service);
  std::vector<ChatMessage> messages = parse_messages(body, inputs);
  const PromptEnd end = parse_end(body, messages);
  check_tool_results(messages, end == PromptEnd::kGenerate);
  for (ChatMessage& message : messages) {
    for (ToolCall& call : message.tool_calls) call.tokens = service.calls.recall(call);
  }
  auto tools = std::make_shared<const ToolRequest>(parse_tools(body));
  const RenderedPrompt prompt = render_prompt(messages, {.variant = service.options.variant,
                                                         .enable_thinking = thinking.enabled,
                                                         .preserve_thinking = thinking.preserve,
                                                         .end = end,
                                                         .tools = tools->tools});
  const ThoughtRoom thoughts{.has_thoughts = true,
                             .may_think = thinking.enabled && end == PromptEnd::kGenerate,
                             .starts_in_thought = prompt.starts_in_thought,
                             .budget = thinking.budget};
  const std::vector<PreparedImage> images = prepare_images(inputs.take(), service);
  EncodedPrompt encoded = encode_prompt(prompt, service.tokenizer, soft_token_counts(images));
  return {std::move(encoded.tokens), media_spans(encoded.media, images), thoughts, thinking.include,
          std::move(tools)};
}

}  // namespace lapidary
