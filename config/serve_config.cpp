#include "config/serve_config.h"

#include <charconv>
#include <cmath>
#include <filesystem>
#include <string_view>

#include <toml++/toml.h>
#include <CLI/CLI.hpp>

#include "config/checked_json.h"
#include "config/setting.h"
#include "config/startup_error.h"

extern char** environ;

namespace lapidary {
namespace {

constexpr std::string_view kPrefix = "LAPIDARY_";
constexpr char kConfigVariable[] = "LAPIDARY_CONFIG";
constexpr int kMaxListItems = 64;  // given to one flag

std::string toml_text(const toml::node& node, const std::string& file, const std::string& key) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* whole = node.as_integer()) return std::to_string(whole->get());
  if (const auto* real = node.as_floating_point()) return nlohmann::json(real->get()).dump();
  throw StartupError(file + ": `" + key + "` must be a string, a number or a list of strings.");
}

std::vector<std::string> toml_texts(const toml::node& node, const std::string& file,
                                    const std::string& key) {
  std::vector<std::string> texts;
  if (const auto* list = node.as_array()) {
    for (const toml::node& item : *list) texts.push_back(toml_text(item, file, key));
  } else {
    texts.push_back(toml_text(node, file, key));
  }
  return texts;
}

void apply_file(ServeConfig& config, const std::string& file) {
  constexpr size_t kMaxFileBytes = 1 << 20;
  toml::table table;
  try {
    table = toml::parse(read_small_file(file, kMaxFileBytes), file);
  } catch (const toml::parse_error& error) {
    throw StartupError(file + ", line " + std::to_string(error.source().begin.line) + ": " +
                       std::string(error.description()) + ".");
  }
  for (const auto& [toml_key, node] : table) {
    const std::string key(toml_key.str());
    const Setting* setting = find_setting(key);
    if (setting == nullptr) {
      std::vector<std::string> names;
      for (const Setting& s : settings()) names.emplace_back(s.name);
      throw StartupError(file + ": there is no setting `" + printable(key) + "`; did you mean `" +
                         nearest_name(key, names) + "`?");
    }
    set_value(config, *setting, toml_texts(node, file, key), "file " + file);
  }
}

// What Kubernetes puts into the environment of every pod when a service is called "lapidary".
bool is_service_link(const std::string& name, const std::string& value) {
  const std::string_view rest = std::string_view(name).substr(kPrefix.size());
  return rest.substr(0, 8) == "SERVICE_" || rest.substr(0, 5) == "PORT_" ||
         (rest == "PORT" && value.find("://") != std::string::npos);
}

void apply_environment(ServeConfig& config, const Environment& environment) {
  for (const auto& [name, value] : environment) {
    if (name.compare(0, kPrefix.size(), kPrefix) != 0 || name == kConfigVariable ||
        is_service_link(name, value)) {
      continue;
    }
    std::vector<std::string> names = {kConfigVariable};
    const Setting* setting = nullptr;
    for (const Setting& s : settings()) {
      names.push_back(s.environment_name());
      if (names.back() == name) setting = &s;
    }
    if (setting == nullptr) {
      throw StartupError("The environment variable " + printable(name) +
                         " is no setting; did you mean " + nearest_name(name, names) + "?");
    }
    set_value(config, *setting, {value}, "environment " + name);
  }
}

void check_together(const ServeConfig& config) {
  if (config.max_num_batched_tokens != 0 && config.max_num_batched_tokens < config.max_num_seqs) {
    throw StartupError("max-num-batched-tokens (" + std::to_string(config.max_num_batched_tokens) +
                       ") must be at least max-num-seqs (" + std::to_string(config.max_num_seqs) +
                       "): every running sequence gets a token in each step.");
  }
  if (config.max_body_bytes != 0 && config.max_body_bytes < 1024) {
    throw StartupError("max-body-bytes (" + std::to_string(config.max_body_bytes) +
                       ") must be at least 1024, or auto.");
  }
  constexpr int64_t kBudgets[] = {0, 70, 140, 280, 560, 1120};
  if (std::ranges::find(kBudgets, config.max_image_tokens) == std::end(kBudgets)) {
    throw StartupError(
        "max-image-tokens (" + std::to_string(config.max_image_tokens) +
        ") must be 70, 140, 280, 560, 1120 or none: the models know no other sizes.");
  }
  constexpr char kKwargs[] = "default-chat-template-kwargs";
  const ConfigObject kwargs(
      parse_checked_json(config.default_chat_template_kwargs, JsonLimits{}, kKwargs), kKwargs);
  for (const auto& item : kwargs.value().items()) {
    if (item.key() != "enable_thinking" && item.key() != "preserve_thinking") {
      kwargs.refuse(item.key(), "is not known; there are enable_thinking and preserve_thinking");
    }
    (void)kwargs.boolean(item.key());
  }
}

std::string default_text(const Setting& setting) {
  const std::string value = toml_value(ServeConfig{}, setting);
  return value.size() >= 2 && value.front() == '"' ? value.substr(1, value.size() - 2) : value;
}

}  // namespace

Environment process_environment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

ServeFlags::ServeFlags(CLI::App& app) {
  app.add_option("--config", config_file_, "TOML file of settings [LAPIDARY_CONFIG]")
      ->type_name("FILE")
      ->group("Settings");
  app.add_flag("--print-config", print_config_, "Print every setting with its origin and leave")
      ->group("Settings");
  for (const Setting& s : settings()) {
    const std::string name = s.name;
    std::string names = name == "model" ? "-m,--model,model" : "--" + name;
    if (s.alias != nullptr) names = std::string(s.alias) + "," + names;
    const bool list = std::holds_alternative<std::vector<std::string> ServeConfig::*>(s.member);
    CLI::Option* option = app.add_option(names, given_[name],
                                         std::string(s.help) + " [" + s.environment_name() + "]");
    // A list ends at the next flag.
    option->expected(1, list ? kMaxListItems : 1)->allow_extra_args(false)->group(s.group);
    option->multi_option_policy(list ? CLI::MultiOptionPolicy::TakeAll
                                     : CLI::MultiOptionPolicy::TakeLast);
    std::string type;
    for (const std::string& c : s.choices) type += (type.empty() ? "" : "|") + c;
    option->type_name(type.empty() ? "VALUE" : type);
    if (!list && name != "model" && name != "seed") option->default_str(default_text(s));
  }
}

ServeConfig ServeFlags::resolve(const Environment& environment) const {
  ServeConfig config;
  for (const Setting& s : settings()) config.origins[s.name] = "default";
  std::string file = config_file_;
  const auto variable = environment.find(kConfigVariable);
  if (file.empty() && variable != environment.end()) file = variable->second;
  if (!file.empty()) apply_file(config, file);
  apply_environment(config, environment);
  for (const Setting& s : settings()) {
    const auto it = given_.find(s.name);
    if (it != given_.end() && !it->second.empty()) {
      set_value(config, s, it->second, "flag --" + std::string(s.name));
    }
  }
  config.print_config = print_config_;
  check_together(config);
  return config;
}

ServeConfig parse_serve_config(int argc, const char* const* argv, const Environment& environment) {
  CLI::App app;
  const ServeFlags flags(app);
  app.parse(argc, argv);
  return flags.resolve(environment);
}

std::string config_text(const ServeConfig& config) {
  std::string text;
  for (const Setting& s : settings()) {
    const std::string value = toml_value(config, s);
    std::string line = std::string(s.name) + " = " + value;
    // An unset value has no TOML spelling.
    if (value.empty()) line = "# " + std::string(s.name) + " is not set";
    const auto origin = config.origins.find(s.name);
    if (line.size() < 48) line.resize(48, ' ');
    text += line + "  # " + (origin == config.origins.end() ? "default" : origin->second) + "\n";
  }
  return text;
}

std::optional<int64_t> parse_count(const std::string& text) {
  constexpr std::string_view kDecimal = "kmgt";
  constexpr std::string_view kBinary = "KMGT";
  double scale = 1;
  std::string_view digits = text;
  if (!digits.empty()) {
    const char suffix = digits.back();
    if (const size_t i = kDecimal.find(suffix); i != std::string_view::npos) {
      scale = std::pow(1000.0, static_cast<double>(i + 1));
      digits.remove_suffix(1);
    } else if (const size_t j = kBinary.find(suffix); j != std::string_view::npos) {
      scale = std::pow(1024.0, static_cast<double>(j + 1));
      digits.remove_suffix(1);
    }
  }
  const char* end = digits.data() + digits.size();
  if (scale == 1) {
    int64_t n = 0;
    const auto [at, error] = std::from_chars(digits.data(), end, n);
    if (error != std::errc() || at != end || n < 0) return std::nullopt;
    return n;
  }
  double x = 0;
  const auto [at, error] = std::from_chars(digits.data(), end, x, std::chars_format::fixed);
  const double n = std::round(x * scale);
  // 25.6k is whole although 25.6 has no exact double.
  if (error != std::errc() || at != end || !(n >= 0 && n < 9.2e18) ||
      std::fabs(n - x * scale) > 1e-6) {
    return std::nullopt;
  }
  return static_cast<int64_t>(n);
}

}  // namespace lapidary
