// The binary's front door: one subcommand, its flags, its exit code. What goes wrong while starting
// ends here as one sentence on standard error.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <functional>

#include "config/serve_config.h"
#include "config/startup_error.h"
#include "server/bench_command.h"
#include "server/chat_command.h"
#include "server/check_command.h"
#include "server/parse_command.h"
#include "server/serve_command.h"

namespace lapidary {
namespace {

struct Command {
  Command(CLI::App& app, const char* name, const char* help)
      : sub(app.add_subcommand(name, help)), flags(*sub) {}

  CLI::App* sub;
  ServeFlags flags;
};

int run(int argc, char** argv) {
  CLI::App app{"Serves Gemma 4 to OpenAI clients."};
  app.set_version_flag("--version", "lapidary " LAPIDARY_VERSION);
  app.require_subcommand(1);
  Command serve(app, "serve", "Serve a model over HTTP");
  Command check(app, "check", "Validate a checkpoint and print its memory plan");
  Command bench(app, "bench", "Measure the engine without HTTP");
  Command chat(app, "chat", "Talk to the model in this terminal");
  Command parse(app, "parse", "Read a model's outputs as the server would, from JSON lines");
  BenchOptions bench_options;
  add_bench_flags(*bench.sub, bench_options);
  CheckOptions check_options;
  add_check_flags(*check.sub, check_options);
  ChatOptions chat_options;
  add_chat_flags(*chat.sub, chat_options);
  CLI11_PARSE(app, argc, argv);

  const Environment environment = process_environment();
  const auto with = [&](const Command& command, const std::function<int(const ServeConfig&)>& go) {
    const ServeConfig config = command.flags.resolve(environment);
    if (!config.print_config) return go(config);
    std::fputs(config_text(config).c_str(), stdout);
    return 0;
  };
  if (*check.sub) {
    return with(check,
                [&](const ServeConfig& c) { return run_check(c, environment, check_options); });
  }
  if (*bench.sub) {
    return with(bench,
                [&](const ServeConfig& c) { return run_bench(c, environment, bench_options); });
  }
  if (*chat.sub) {
    return with(chat, [&](const ServeConfig& c) { return run_chat(c, environment, chat_options); });
  }
  if (*parse.sub) {
    return with(parse, [&](const ServeConfig& c) { return run_parse(c, environment); });
  }
  return with(serve, [&](const ServeConfig& c) { return run_serve(c, environment); });
}

}  // namespace
}  // namespace lapidary

int main(int argc, char** argv) {
  try {
    return lapidary::run(argc, argv);
  } catch (const lapidary::StartupError& error) {
    std::fprintf(stderr, "lapidary: %s\n", error.what());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lapidary: unexpected: %s\n", error.what());
  }
  return 1;
}
