#include "server/api/request_params.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <random>

#include "server/api/unsupported_fields.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxModelName = 256;
constexpr size_t kMaxStopStrings = 16;
constexpr size_t kMaxStopBytes = 256;
constexpr size_t kMaxStopIds = 128;
constexpr size_t kMaxBiases = 1024;

int32_t bias_token(const std::string& key, int vocab) {
  int64_t id = -1;
  const char* end = key.data() + key.size();
  const auto result = std::from_chars(key.data(), end, id);
  if (result.ec != std::errc() || result.ptr != end || id < 0 || id >= vocab) {
    throw api_error::invalid_value(
        "logit_bias", "keys must be token ids from 0 to " + std::to_string(vocab - 1) + ".");
  }
  return static_cast<int32_t>(id);
}

void parse_logit_bias(const Fields& body, int vocab, SamplingParams& sampling) {
  const Json* biases = body.object("logit_bias");
  if (biases == nullptr) return;
  if (biases->size() > kMaxBiases) {
    throw api_error::invalid_value(
        "logit_bias", "at most " + std::to_string(kMaxBiases) + " entries are accepted.");
  }
  for (const auto& [key, value] : biases->items()) {
    const int32_t id = bias_token(key, vocab);
    const double bias = checked_decimal(value, "logit_bias." + key, {.min = -100, .max = 100});
    sampling.logit_bias.emplace_back(id, static_cast<float>(bias));
  }
  // "7" and "07" are different keys of JSON but the same token.
  std::sort(sampling.logit_bias.begin(), sampling.logit_bias.end());
  for (size_t i = 1; i < sampling.logit_bias.size(); ++i) {
    if (sampling.logit_bias[i].first == sampling.logit_bias[i - 1].first) {
      throw api_error::invalid_value("logit_bias", "a token id is given twice.");
    }
  }
}

uint64_t choose_seed(const Fields& body, const Service& service) {
  const auto seed = body.integer("seed", std::numeric_limits<int64_t>::min(),
                                 std::numeric_limits<int64_t>::max());
  if (seed) return static_cast<uint64_t>(*seed);
  if (service.options.default_seed) return static_cast<uint64_t>(*service.options.default_seed);
  thread_local std::mt19937_64 generator{std::random_device{}()};
  return generator();
}

SamplingParams parse_sampling(const Fields& body, const Service& service) {
  const GenerationDefaults& defaults = service.config.generation;
  const auto decimal = [&](const char* name, double fallback, const DecimalRange& range) {
    return static_cast<float>(body.decimal(name, range).value_or(fallback));
  };
  SamplingParams p;
  p.temperature =
      decimal("temperature", defaults.do_sample ? defaults.temperature : 0.0, {.min = 0, .max = 2});
  p.top_p = decimal("top_p", defaults.top_p, {.min = 0, .max = 1, .min_is_open = true});
  p.min_p = decimal("min_p", defaults.min_p, {.min = 0, .max = 1});
  p.presence_penalty = decimal("presence_penalty", 0, {.min = -2, .max = 2});
  p.frequency_penalty = decimal("frequency_penalty", 0, {.min = -2, .max = 2});
  p.repetition_penalty = decimal("repetition_penalty", defaults.repetition_penalty,
                                 {.min = 0, .max = 10, .min_is_open = true});
  // -1 and 0 both mean "off", as elsewhere.
  const int64_t top_k = body.integer("top_k", -1, service.config.vocab).value_or(defaults.top_k);
  p.top_k = static_cast<int>(std::max<int64_t>(top_k, 0));
  parse_logit_bias(body, service.config.vocab, p);
  p.suppress_tokens = service.suppressed_tokens;
  p.seed = choose_seed(body, service);
  return p;
}

void parse_stops(const Fields& body, const Service& service, GenerationParams& params) {
  if (const Json* stop = body.find("stop")) {
    if (!stop->is_string()) check_array(*stop, "stop", 0, kMaxStopStrings);
    const size_t count = stop->is_string() ? 1 : stop->size();
    for (size_t i = 0; i < count; ++i) {
      const bool lone = stop->is_string();
      const std::string path = lone ? "stop" : "stop[" + std::to_string(i) + "]";
      std::string text = checked_text(lone ? *stop : (*stop)[i], path, kMaxStopBytes);
      if (text.empty()) throw api_error::invalid_value(path, "a stop string cannot be empty.");
      params.stop.strings.push_back(std::move(text));
    }
  }
  params.stop.include_in_output = body.boolean("include_stop_str_in_output").value_or(false);
  params.ignore_eos = body.boolean("ignore_eos").value_or(false);
  if (!params.ignore_eos) params.stop_ids = service.config.ids.eos;
  if (const Json* ids = body.array("stop_token_ids", 0, kMaxStopIds)) {
    const auto own = parse_token_ids(*ids, "stop_token_ids", service.config.vocab);
    params.stop_ids.insert(params.stop_ids.end(), own.begin(), own.end());
  }
}

void parse_lengths(const Fields& body, const Service& service, int64_t min_max_tokens,
                   GenerationParams& params) {
  const int64_t longest = service.options.max_model_len;
  for (const char* name : {"max_tokens", "max_completion_tokens"}) {
    // Out of range has a message of its own above the maximum: it names the model's limit.
    const auto value = body.integer(name, min_max_tokens, std::numeric_limits<int64_t>::max());
    if (!value) continue;
    if (*value > longest) {
      ApiError error = api_error::invalid_value(name, "");
      error.message = std::string(name) + " is too large: " + std::to_string(*value) +
                      ". This model supports at most " + std::to_string(longest) +
                      " completion tokens, whereas you provided " + std::to_string(*value) + ".";
      throw error;
    }
    params.max_tokens = static_cast<int>(*value);
    params.max_tokens_field = name;
  }
  const int64_t min_tokens = body.integer("min_tokens", 0, longest).value_or(0);
  if (params.max_tokens && min_tokens > *params.max_tokens) {
    throw api_error::invalid_value("min_tokens", "it is larger than max_tokens.");
  }
  params.sampling.min_tokens = static_cast<int>(min_tokens);
  params.stop.min_tokens = min_tokens;
}

// Who asks for an answer without an end gets one, circles and all.
void parse_repetition(const Fields& body, const Service& service, GenerationParams& params) {
  const bool is_on = body.boolean("stop_on_repetition").value_or(!params.ignore_eos);
  if (is_on) params.repetition = service.options.repetition;
  params.repetition.from_tokens = params.sampling.min_tokens;
}

void parse_streaming(const Fields& body, GenerationParams& params) {
  params.stream = body.boolean("stream").value_or(false);
  params.return_token_ids = body.boolean("return_token_ids").value_or(false);
  const Json* options = body.object("stream_options");
  if (options == nullptr) return;
  if (!params.stream) {
    throw api_error::invalid_value("stream_options", "it is only allowed when 'stream' is true.");
  }
  const Fields fields(*options, "stream_options");
  params.continuous_usage = fields.boolean("continuous_usage_stats").value_or(false);
  params.include_usage = fields.boolean("include_usage").value_or(false) || params.continuous_usage;
  fields.boolean("include_obfuscation");  // padding against traffic analysis; not needed
}

}  // namespace

std::vector<int32_t> parse_token_ids(const Json& list, const std::string& path, int vocab) {
  std::vector<int32_t> ids;
  ids.reserve(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    // The path is only made when it is needed: a list may hold a whole context.
    const Json& value = list[i];
    if (value.is_number_integer() && value.get<int64_t>() >= 0 && value.get<int64_t>() < vocab) {
      ids.push_back(value.get<int32_t>());
    } else {
      checked_integer(value, path + "[" + std::to_string(i) + "]", 0, vocab - 1);
    }
  }
  return ids;
}

GenerationParams parse_generation_params(const Fields& body, const Service& service,
                                         int64_t min_max_tokens) {
  GenerationParams params;
  const auto model = body.text("model", kMaxModelName);
  if (!model) throw api_error::missing_parameter("model");
  if (!service.serves(*model)) throw api_error::model_not_found(*model);
  params.model = *model;
  refuse_unsupported_fields(body);
  check_ignored_fields(body);
  params.sampling = parse_sampling(body, service);
  params.n = static_cast<int>(body.integer("n", 1, service.options.max_choices).value_or(1));
  parse_stops(body, service, params);
  parse_lengths(body, service, min_max_tokens, params);
  parse_repetition(body, service, params);
  parse_streaming(body, params);
  return params;
}

int completion_room(const GenerationParams& params, const Service& service, size_t prompt_tokens,
                    const char* param) {
  const int64_t context = service.options.max_model_len;
  const auto prompt = static_cast<int64_t>(prompt_tokens);
  const std::string limit =
      "This model's maximum context length is " + std::to_string(context) + " tokens. However, ";
  const bool no_answer = params.max_tokens == 0;
  if (prompt > context || (prompt == context && !no_answer)) {
    throw api_error::context_too_long(
        param, limit + "your " + param + " resulted in " + std::to_string(prompt) +
                   " tokens. Please reduce the length of the " + param + ".");
  }
  if (!params.max_tokens) return static_cast<int>(context - prompt);
  if (prompt + *params.max_tokens > context) {
    throw api_error::context_too_long(param, limit + "you requested " +
                                                 std::to_string(prompt + *params.max_tokens) +
                                                 " tokens (" + std::to_string(prompt) + " in the " +
                                                 param + ", " + std::to_string(*params.max_tokens) +
                                                 " in the completion). Please reduce the "
                                                 "length of the " +
                                                 param + " or of the completion.");
  }
  return *params.max_tokens;
}

}  // namespace lapidary
