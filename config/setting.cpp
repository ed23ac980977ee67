#include "config/setting.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include <nlohmann/json.hpp>

#include "config/startup_error.h"

namespace lapidary {
namespace {

constexpr double kMillion = 1e6;
constexpr double kMaxInteger = 9e18;  // of int64, as far as a double tells them apart

using C = ServeConfig;

Setting any_text(const char* name, const char* group, SettingMember member, const char* help) {
  return {.name = name, .group = group, .member = member, .help = help};
}

Setting one_of(const char* name, const char* group, SettingMember member, const char* help,
               std::vector<std::string> choices) {
  Setting s = any_text(name, group, member, help);
  s.choices = std::move(choices);
  return s;
}

struct Limits {
  double min, max;
  const char* zero_word = nullptr;
};

Setting number(const char* name, const char* group, SettingMember member, const char* help,
               Limits limits) {
  Setting s = any_text(name, group, member, help);
  s.min = limits.min;
  s.max = limits.max;
  s.zero_word = limits.zero_word;
  return s;
}

Setting also(const char* alias, Setting setting) {
  setting.alias = alias;
  return setting;
}

std::vector<Setting> model_settings() {
  const char* g = "Model";
  return {
      any_text("model", g, &C::model, "Checkpoint folder, or an id such as google/gemma-4-E4B-it"),
      any_text("served-model-name", g, &C::served_model_names,
               "Names in requests and answers; the model goes before them (default: as given)"),
      one_of("load-format", g, &C::load_format,
             "auto and safetensors read the checkpoint; dummy invents weights for its config.json",
             {"auto", "safetensors", "dummy"}),
      one_of("dtype", g, &C::dtype,
             "Type of activations and matrices; auto is bfloat16, or float32 where the file is",
             {"auto", "bfloat16", "float32"}),
      any_text("generation-config", g, &C::generation_config,
               "Sampling defaults: auto (the checkpoint's), none, or a folder that has the file"),
      one_of("template", g, &C::template_variant,
             "Chat template: large (12B, 26B, 31B) or small (E2B, E4B)",
             {"auto", "large", "small"}),
      any_text("default-chat-template-kwargs", g, &C::default_chat_template_kwargs,
               "JSON object that requests start from, such as {\"enable_thinking\": true}"),
      one_of("reasoning-field", g, &C::reasoning_field,
             "Field of an answer that holds the model's thoughts",
             {"reasoning_content", "reasoning", "both"}),
      number("repetition-max-period", g, &C::repetition_max_period,
             "An answer that repeats a run of at most so many tokens is ended", {0, 1024, "none"}),
      number("repetition-min-tokens", g, &C::repetition_min_tokens,
             "Tokens that must repeat before it is, and at least four rounds", {16, 16 * kMillion}),
      number("seed", g, &C::seed, "Seed of requests that bring none (default: random for each)",
             {0, kMaxInteger}),
  };
}

std::vector<Setting> engine_settings() {
  const char* g = "Engine";
  return {
      also("-c",
           number("max-model-len", g, &C::max_model_len,
                  "Tokens of prompt and answer together; auto is the model's maximum or, where "
                  "that does not fit, what half of the cache holds",
                  {0, 16 * kMillion, "auto"})),
      number("max-num-seqs", g, &C::max_num_seqs, "Sequences computed at once", {1, 65536}),
      number("max-num-batched-tokens", g, &C::max_num_batched_tokens,
             "Tokens of one step; auto is 512, on a GPU 8192, and what max-num-seqs asks for where "
             "that is more",
             {0, kMillion, "auto"}),
      number("max-image-tokens", g, &C::max_image_tokens,
             "Soft tokens of the largest image: 70, 140, 280, 560 or 1120; none takes no images",
             {0, 1120, "none"}),
      number("max-queued-requests", g, &C::max_queued_requests,
             "Requests that may wait; more are refused with 503", {0, kMillion}),
      one_of("device", g, &C::device, "Where to compute; auto takes a GPU if there is one",
             {"auto", "cpu", "cuda"}),
      number("threads", g, &C::threads, "Compute threads; auto is one for each physical core",
             {0, 4096, "auto"}),
      one_of("cpu-isa", g, &C::cpu_isa, "Instruction set; auto takes the best there is",
             {"auto", "generic", "avx2", "avx512", "avx512bf16", "neon"}),
      one_of("cuda-path", g, &C::cuda_path,
             "Kernels where a GPU has two: portable, or hopper (not measured yet)",
             {"portable", "hopper"}),
      one_of("kv-cache-dtype", g, &C::kv_cache_dtype, "Type of keys and values; auto is dtype",
             {"auto", "bfloat16", "float32", "fp8"}),
      number("kv-cache-memory-bytes", g, &C::kv_cache_memory_bytes,
             "Memory for keys and values, such as 2G; auto goes by the two settings below",
             {0, kMaxInteger, "auto"}),
      number(
          "memory-utilization", g, &C::memory_utilization,
          "On the CPU: share of the memory left beside the weights that keys and values may take",
          {0.01, 0.99}),
      number("gpu-memory-utilization", g, &C::gpu_memory_utilization,
             "On a GPU: share of all its memory that weights, workspaces, keys and values may take",
             {0.01, 0.99}),
  };
}

std::vector<Setting> server_settings() {
  const char* g = "Server";
  return {
      any_text("host", g, &C::host, "Address to listen on"),
      number("port", g, &C::port, "Port to listen on; 0 takes any free one", {0, 65535}),
      number("max-connections", g, &C::max_connections, "HTTP connections at once", {1, 65536}),
      number("max-body-bytes", g, &C::max_body_bytes,
             "Largest request body, such as 4M; auto is that, 32M where the model takes images",
             {0, 1e9, "auto"}),
      number("request-timeout", g, &C::request_timeout_s, "Seconds after which a request is ended",
             {0, kMillion, "none"}),
      number("drain-timeout", g, &C::drain_timeout_s,
             "Seconds that running requests get after SIGTERM", {0, kMillion}),
      number("sse-ping-interval", g, &C::sse_ping_interval_s,
             "Seconds between keep-alive comments while a stream is silent", {0, 3600, "none"}),
      one_of("log-level", g, &C::log_level, "Least severity that is logged",
             {"trace", "debug", "info", "warning", "error"}),
      one_of("log-format", g, &C::log_format, "How log lines are written", {"text", "json"}),
  };
}

int edit_distance(const std::string& a, const std::string& b) {
  std::vector<int> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    int diagonal = row[0];
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int replaced = diagonal + (a[i - 1] != b[j - 1] ? 1 : 0);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

// "12", "0.5", "100000"; whole numbers without a point.
std::string number_text(double x) {
  return nlohmann::json(x == std::floor(x) && std::fabs(x) < 1e18
                            ? nlohmann::json(static_cast<int64_t>(x))
                            : nlohmann::json(x))
      .dump();
}

[[noreturn]] void refuse(const Setting& s, const std::string& origin, const std::string& text,
                         const std::string& wanted) {
  throw StartupError(std::string(s.name) + " (" + origin + ") must be " + wanted + ", not \"" +
                     text + "\".");
}

std::string range_text(const Setting& s, const char* kind) {
  std::string text =
      std::string(kind) + " from " + number_text(s.min) + " to " + number_text(s.max);
  if (s.zero_word != nullptr) text += std::string(" or \"") + s.zero_word + "\"";
  return text;
}

int64_t whole_number(const Setting& s, const std::string& text, const std::string& origin) {
  if (s.zero_word != nullptr && text == s.zero_word) return 0;
  const auto n = parse_count(text);
  if (!n || static_cast<double>(*n) < s.min || static_cast<double>(*n) > s.max) {
    refuse(s, origin, text, range_text(s, "a whole number (256k, 2G are understood)"));
  }
  return *n;
}

double real_number(const Setting& s, const std::string& text, const std::string& origin) {
  if (s.zero_word != nullptr && text == s.zero_word) return 0;
  double x = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), x);
  if (error != std::errc() || end != text.data() + text.size() || !(x >= s.min && x <= s.max)) {
    refuse(s, origin, text, range_text(s, "a number"));
  }
  return x;
}

std::string choice(const Setting& s, const std::string& text, const std::string& origin) {
  if (s.choices.empty()) {
    if (text.empty()) refuse(s, origin, text, "something");
    return text;
  }
  if (std::find(s.choices.begin(), s.choices.end(), text) == s.choices.end()) {
    std::string list;
    for (const std::string& c : s.choices) list += (list.empty() ? "" : ", ") + c;
    refuse(s, origin, text, "one of " + list);
  }
  return text;
}

// "a,b" and several texts alike.
std::vector<std::string> items(const Setting& s, const std::vector<std::string>& texts,
                               const std::string& origin) {
  std::vector<std::string> list;
  for (const std::string& text : texts) {
    for (size_t at = 0; at <= text.size();) {
      const size_t comma = std::min(text.find(',', at), text.size());
      if (comma == at) refuse(s, origin, text, "a list without empty items");
      list.push_back(text.substr(at, comma - at));
      at = comma + 1;
    }
  }
  return list;
}

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string Setting::environment_name() const {
  std::string text = "LAPIDARY_";
  for (const char* c = name; *c != '\0'; ++c) {
    text += *c == '-' ? '_' : static_cast<char>(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
  }
  return text;
}

const std::vector<Setting>& settings() {
  static const std::vector<Setting> table = [] {
    std::vector<Setting> all;
    for (auto part : {model_settings(), engine_settings(), server_settings()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }();
  return table;
}

const Setting* find_setting(const std::string& name) {
  std::string dashed = name;
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  for (const Setting& s : settings()) {
    if (dashed == s.name) return &s;
  }
  return nullptr;
}

std::string nearest_name(const std::string& typed, const std::vector<std::string>& names) {
  return *std::min_element(names.begin(), names.end(), [&](const auto& a, const auto& b) {
    return edit_distance(typed, a) < edit_distance(typed, b);
  });
}

void set_value(ServeConfig& config, const Setting& s, const std::vector<std::string>& texts,
               const std::string& origin) {
  const std::string text = texts.empty() ? "" : texts.back();
  std::visit(
      [&](auto member) {
        using Field = std::decay_t<decltype(config.*member)>;
        if constexpr (std::is_same_v<Field, std::string>) {
          config.*member = choice(s, text, origin);
        } else if constexpr (std::is_same_v<Field, double>) {
          config.*member = real_number(s, text, origin);
        } else if constexpr (std::is_same_v<Field, std::vector<std::string>>) {
          config.*member = items(s, texts, origin);
        } else if constexpr (std::is_same_v<Field, int>) {
          config.*member = static_cast<int>(whole_number(s, text, origin));
        } else {
          config.*member = whole_number(s, text, origin);
        }
      },
      s.member);
  config.origins[s.name] = origin;
}

std::string toml_value(const ServeConfig& config, const Setting& s) {
  return std::visit(
      [&](auto member) -> std::string {
        using Field = std::decay_t<decltype(config.*member)>;
        const Field& value = config.*member;
        if constexpr (std::is_same_v<Field, std::string>) {
          return quoted(value);
        } else if constexpr (std::is_same_v<Field, std::vector<std::string>>) {
          std::string list;
          for (const std::string& item : value) list += (list.empty() ? "" : ", ") + quoted(item);
          return "[" + list + "]";
        } else if constexpr (std::is_same_v<Field, std::optional<int64_t>>) {
          return value ? std::to_string(*value) : "";
        } else {
          if (value == 0 && s.zero_word != nullptr) return quoted(s.zero_word);
          if constexpr (std::is_same_v<Field, double>) return number_text(value);
          return std::to_string(value);
        }
      },
      s.member);
}

}  // namespace lapidary
