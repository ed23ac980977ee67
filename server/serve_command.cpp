#include "server/serve_command.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "server/api/answer_format.h"
#include "server/api/routes.h"
#include "server/api/service.h"
#include "server/http/http_server.h"
#include "server/loaded_model.h"
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
  if (config.log_format == "json") {
    spdlog::set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","message":"%v"})");
  }
}

HttpOptions http_options(const ServeConfig& config) {
  HttpOptions options;
  options.host = config.host;
  options.port = config.port;
  options.max_connections = static_cast<size_t>(config.max_connections);
  options.limits.body_bytes = static_cast<size_t>(config.max_body_bytes);
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

void announce(const ServeConfig& config, int port, const Service& service) {
  const bool any = config.host == "0.0.0.0" || config.host == "::";
  const std::string host = any ? "127.0.0.1" : config.host;
  std::printf("Lapidary serves %s (%d tokens of context) on http://%s:%d\n",
              service.options.model_names.front().c_str(), service.options.max_model_len,
              host.c_str(), port);
  std::printf(
      "Try:\n  curl http://%s:%d/v1/chat/completions -H 'Content-Type: application/json' "
      "-d '{\"model\": \"%s\", \"messages\": [{\"role\": \"user\", \"content\": "
      "\"Who are you?\"}]}'\n",
      host.c_str(), port, service.options.model_names.front().c_str());
  std::fflush(stdout);
}

}  // namespace

int run_serve(const ServeConfig& config, const Environment& environment) {
  set_up_log(config);
  auto signals = std::make_unique<ShutdownSignals>();
  const std::filesystem::path folder = model_folder(config, environment);
  // The model's config decides which tokenizer fits, and a wrong one is found before gigabytes of
  // weights are read.
  const Tokenizer tokenizer = load_tokenizer(folder, ModelConfig::load(folder));
  LoadedModel model = load_model(config, folder);
  Engine engine(*model.backend, std::move(model.decoder), model.options);
  Service service(service_options(config, engine), engine.config(), tokenizer);
  service.submit = [&engine](Request request) { return engine.submit(std::move(request)); };
  service.stats = [&engine] { return engine.stats(); };

  HttpServer server(http_options(config));
  add_routes(server, service);
  const int port = server.bind();
  announce(config, port, service);
  signals->arm([&] { drain(service, engine, server, config.drain_timeout_s); });
  server.run();
  signals.reset();  // before what a shutdown works on
  spdlog::info("Stopped.");
  return 0;
}

}  // namespace lapidary
