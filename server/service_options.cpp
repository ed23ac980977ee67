#include "server/service_options.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "server/api/answer_format.h"

namespace lapidary {
namespace {

TemplateVariant template_variant(const ServeConfig& config, const ModelConfig& model) {
  if (config.template_variant == "small") return TemplateVariant::kSmall;
  if (config.template_variant == "large") return TemplateVariant::kLarge;
  return model.is_small_variant() ? TemplateVariant::kSmall : TemplateVariant::kLarge;
}

ReasoningField reasoning_field(const ServeConfig& config) {
  if (config.reasoning_field == "both") return ReasoningField::both;
  if (config.reasoning_field == "reasoning") return ReasoningField::reasoning;
  return ReasoningField::reasoning_content;
}

// A folder given with a slash at its end still gets its name.
std::string default_model_name(const std::string& model) {
  std::string name = model;
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  return name;
}

}  // namespace

size_t body_limit(const ServeConfig& config, const ModelConfig& model) {
  if (config.max_body_bytes > 0) return static_cast<size_t>(config.max_body_bytes);
  return model.vision ? size_t{32} << 20 : size_t{4} << 20;
}

ServiceOptions service_options(const ServeConfig& config, const Engine& engine) {
  ServiceOptions options;
  options.model_names = config.served_model_names;
  if (options.model_names.empty()) options.model_names = {default_model_name(config.model)};
  options.created = unix_time();
  options.max_model_len = engine.options().max_model_len;
  options.max_choices = std::min(options.max_choices, engine.options().max_num_seqs);
  options.max_sequences = engine.options().max_num_seqs + engine.options().max_queued_requests;
  options.max_body_bytes = body_limit(config, engine.config());
  options.max_image_tokens = engine.options().max_image_tokens;
  options.default_seed = config.seed;
  options.variant = template_variant(config, engine.config());
  const auto kwargs = nlohmann::json::parse(config.default_chat_template_kwargs);
  options.enable_thinking = kwargs.value("enable_thinking", false);
  options.preserve_thinking = kwargs.value("preserve_thinking", false);
  options.reasoning_field = reasoning_field(config);
  options.repetition = {.max_period = static_cast<int>(config.repetition_max_period),
                        .min_tokens = static_cast<int>(config.repetition_min_tokens)};
  options.request_timeout_s = config.request_timeout_s;
  options.ping_interval_s = config.sse_ping_interval_s;
  return options;
}

}  // namespace lapidary
