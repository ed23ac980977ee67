#include "server/serve_command.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "config/startup_error.h"
#include "server/api/answer_format.h"
#include "server/api/routes.h"
#include "server/api/service.h"
#include "server/engine_options.h"
#include "server/greeting.h"
#include "server/http/http_server.h"
#include "server/json_log.h"
#include "server/loaded_model.h"
#include "server/media/media_decoder.h"
#include "server/service_options.h"
#include "server/shutdown_signals.h"

namespace lapidary {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Time for the last bytes of finished answers to leave, after the engine has drained.
constexpr milliseconds kLastBytes{5000};

void set_up_log(const ServeConfig& config) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("lapidary"));
  spdlog::set_level(spdlog::level::from_str(config.log_level));
  if (config.log_format == "json") spdlog::set_formatter(json_log_formatter());
}

HttpOptions http_options(const ServeConfig& config, size_t max_body_bytes) {
  HttpOptions options;
  options.host = config.host;
  options.port = config.port;
  options.max_connections = static_cast<size_t>(config.max_connections);
  options.limits.body_bytes = max_body_bytes;
  return options;
}

// Refuses what comes, lets what runs end, then stops the listener.
void drain(Service& service, Engine& engine, HttpServer& server, double timeout_s) {
  spdlog::info("Draining: no new requests; running ones may take {:g} s. Once more aborts.",
               timeout_s);
  service.draining = true;
  const auto timeout =
      std::chrono::duration_cast<steady_clock::duration>(std::chrono::duration<double>(timeout_s));
  engine.drain(steady_clock::now() + timeout);
  const auto deadline = steady_clock::now() + kLastBytes;
  while (server.active_requests() > 0 && steady_clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  server.stop();
}

// Placeholders that the engine does not know as such would be computed as words.
void check_image_tokens(const ModelConfig& model, const Tokenizer& tokenizer) {
  for (const char* name : {"<|image>", "<|image|>", "<image|>"}) {
    if (tokenizer.control_id(name)) continue;
    throw StartupError(std::string("The model has a vision tower, but its tokenizer no ") + name +
                       "; --max-image-tokens none serves text.");
  }
  const auto& known = model.ids.placeholders;
  if (std::ranges::find(known, *tokenizer.control_id("<|image|>")) == known.end()) {
    throw StartupError(
        "config.json does not name the tokenizer's <|image|> as its image_token_id; "
        "--max-image-tokens none serves text.");
  }
}

// What computes, and what was planned for it.
void log_start(const ServeConfig& config, const LoadedModel& model) {
  const EngineOptions& o = model.options;
  spdlog::info("{}", model.backend->description());
  for (const std::string& line : start_lines(config, model)) spdlog::info("{}", line);
  spdlog::info("Sequences of up to {} tokens, {} at once, steps of {}", o.max_model_len,
               o.max_num_seqs, o.max_num_batched_tokens);
}

}  // namespace

int run_serve(const ServeConfig& config, const Environment& environment) {
  set_up_log(config);
  auto signals = std::make_unique<ShutdownSignals>();
  const std::filesystem::path folder = model_folder(config, environment);
  // The model's config decides which tokenizer fits, and a wrong one is found before gigabytes of
  // weights are read.
  const ModelConfig shape = load_model_config(config, folder);
  const Tokenizer tokenizer = load_tokenizer(folder, shape);
  std::optional<MediaDecoder> decoder;  // before the weights: it may refuse to start
  if (shape.vision) {
    check_image_tokens(shape, tokenizer);
    decoder.emplace();
  }
  LoadedModel model = load_model(config, folder);
  log_start(config, model);
  Engine engine(*model.backend, std::move(model.decoder), model.options);
  Service service(service_options(config, engine), engine.config(), tokenizer);
  service.submit = [&engine](Request request) { return engine.submit(std::move(request)); };
  service.stats = [&engine] { return engine.stats(); };
  if (decoder && engine.config().vision) {
    service.decode_image = [&decoder](std::span<const uint8_t> file, const MediaLimits& limits) {
      return decoder->image(file, limits);
    };
  }

  HttpServer server(http_options(config, service.options.max_body_bytes));
  add_routes(server, service);
  const int port = server.bind();
  std::fputs(greeting(server_url(config.host, port), service.options.model_names.front(),
                      service.options.max_model_len)
                 .c_str(),
             stdout);
  std::fflush(stdout);
  signals->arm([&] { drain(service, engine, server, config.drain_timeout_s); });
  const bool was_stopped = server.run();
  signals.reset();  // before what a shutdown works on
  if (!was_stopped) {
    spdlog::error("Stopped: the listening socket failed.");
    return 1;
  }
  spdlog::info("Stopped.");
  return 0;
}

}  // namespace lapidary
