#include "server/parse_command.h"

#include <cstdio>
#include <iostream>
#include <string>

#include "config/model_config.h"
#include "server/api/api_error.h"
#include "server/api/parse_output.h"
#include "server/hf_cache.h"
#include "server/loaded_model.h"

namespace lapidary {
namespace {

std::string answer_line(const std::string& line, const Service& service, bool& ended_well) {
  try {
    return parse_output(service.parse(line), service);
  } catch (const ApiError& error) {
    ended_well = false;
    return error.body();
  }
}

}  // namespace

int run_parse(const ServeConfig& config, const Environment& environment) {
  const std::filesystem::path folder = resolve_model(config.model, environment);
  const ModelConfig model = ModelConfig::load(folder);
  const Tokenizer tokenizer = load_tokenizer(folder, model);
  ServiceOptions options;
  options.model_names = {config.model};
  options.max_model_len = 1 << 20;  // of a line
  options.max_body_bytes = 64 << 20;
  const Service service(options, model, tokenizer);
  bool ended_well = true;
  for (std::string line; std::getline(std::cin, line);) {
    if (line.empty()) continue;
    std::printf("%s\n", answer_line(line, service, ended_well).c_str());
    std::fflush(stdout);
  }
  return ended_well ? 0 : 1;
}

}  // namespace lapidary
