#include "server/chat_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "server/api/request_params.h"
#include "server/api/service.h"
#include "server/dialect/output_parser.h"
#include "server/dialect/prompt_renderer.h"
#include "server/loaded_model.h"
#include "server/service_options.h"

namespace lapidary {
namespace {

using Clock = std::chrono::steady_clock;

class Conversation {
 public:
  Conversation(const Service& service, const ChatOptions& options)
      : service_(service), options_(options), is_terminal_(isatty(STDOUT_FILENO) != 0) {
    reset();
  }

  void reset() {
    messages_.clear();
    if (!options_.system.empty()) {
      messages_.push_back({.role = Role::kSystem, .content = options_.system});
    }
  }

  // One turn: prints the answer as it comes and keeps it for the next turn.
  void ask(const std::string& text) {
    messages_.push_back({.role = Role::kUser, .content = text});
    const RenderedPrompt prompt = render_prompt(
        messages_, {.variant = service_.options.variant,
                    .enable_thinking = options_.thinking || service_.options.enable_thinking,
                    .preserve_thinking = service_.options.preserve_thinking});
    const Submission submission =
        service_.submit(request_for(encode_prompt(prompt, service_.tokenizer)));
    const auto* stream = std::get_if<std::shared_ptr<TokenStream>>(&submission);
    if (stream == nullptr) {
      std::printf("This conversation no longer fits the context; /reset starts a new one.\n\n");
      messages_.pop_back();
      return;
    }
    answer(**stream, prompt.starts_in_thought);
  }

 private:
  // The same defaults as a request over HTTP that says nothing else.
  Request request_for(std::vector<int32_t> prompt) const {
    nlohmann::json fields = {{"model", service_.options.model_names.front()}};
    if (options_.temperature >= 0) fields["temperature"] = options_.temperature;
    const GenerationParams params = parse_generation_params(Fields(fields), service_, 1);
    const int room = service_.options.max_model_len - static_cast<int>(prompt.size());
    return {.id = "chat",
            .tokens = std::move(prompt),
            .sampling = params.sampling,
            .max_tokens = std::max(1, std::min(options_.max_tokens, room)),
            .stop_ids = params.stop_ids};
  }

  void answer(TokenStream& stream, bool starts_in_thought) {
    OutputParser parser(service_.tokenizer, service_.dialect, starts_in_thought);
    ChatMessage reply{.role = Role::kAssistant, .content = std::string()};
    const auto add = [&](const OutputDelta& delta) {
      reply.reasoning += delta.reasoning;
      std::get<std::string>(reply.content) += delta.content;
      show(delta);
    };
    const Clock::time_point start = Clock::now();
    Clock::time_point first{};
    int n_tokens = 0;
    while (!stream.done()) {
      for (const TokenEvent& event : stream.take(std::chrono::seconds(1))) {
        if (event.token < 0) continue;
        if (n_tokens++ == 0) first = Clock::now();
        add(parser.push(event.token));
      }
    }
    add(parser.finish());
    end_thought();
    print_speed(n_tokens, start, first);
    messages_.push_back(std::move(reply));
  }

  void show(const OutputDelta& delta) {
    if (!delta.reasoning.empty()) {
      if (!shows_thought_ && is_terminal_) std::fputs("\x1b[2m", stdout);
      shows_thought_ = true;
      std::fputs(delta.reasoning.c_str(), stdout);
    }
    if (!delta.content.empty()) {
      end_thought();
      std::fputs(delta.content.c_str(), stdout);
    }
    std::fflush(stdout);
  }

  void end_thought() {
    if (!std::exchange(shows_thought_, false)) return;
    std::fputs(is_terminal_ ? "\x1b[0m\n" : "\n", stdout);
  }

  // Over the whole turn, the prompt's own time included.
  void print_speed(int n_tokens, Clock::time_point start, Clock::time_point first) const {
    const auto seconds = [](auto duration) {
      return std::chrono::duration<double>(duration).count();
    };
    std::printf("\n%s(%d tokens", is_terminal_ ? "\x1b[2m" : "", n_tokens);
    if (n_tokens > 0) {
      std::printf(", %.0f tokens/s, first after %.0f ms", n_tokens / seconds(Clock::now() - start),
                  1e3 * seconds(first - start));
    }
    std::printf(")%s\n\n", is_terminal_ ? "\x1b[0m" : "");
  }

  const Service& service_;
  const ChatOptions options_;
  const bool is_terminal_;
  bool shows_thought_ = false;
  std::vector<ChatMessage> messages_;
};

}  // namespace

void add_chat_flags(CLI::App& app, ChatOptions& options) {
  app.add_option("--system", options.system, "System prompt");
  app.add_flag("--thinking", options.thinking, "Let the model think before it answers");
  app.add_option("--temperature", options.temperature, "0: greedy; default: the model's own")
      ->check(CLI::Range(0.0, 2.0));
  app.add_option("--max-tokens", options.max_tokens, "Longest answer, in tokens")
      ->check(CLI::Range(1, 1 << 20));
}

int run_chat(const ServeConfig& config, const Environment& environment,
             const ChatOptions& options) {
  const std::filesystem::path folder = model_folder(config, environment);
  const Tokenizer tokenizer = load_tokenizer(folder, ModelConfig::load(folder));
  LoadedModel loaded = load_model(config, folder);
  Engine engine(*loaded.backend, std::move(loaded.decoder), loaded.options);
  Service service(service_options(config, engine), engine.config(), tokenizer);
  service.submit = [&engine](Request request) { return engine.submit(std::move(request)); };
  Conversation conversation(service, options);

  std::printf("Talking to %s. /reset starts anew, /quit or end of input leaves.\n\n",
              folder.filename().c_str());
  std::string line;
  while (std::printf("> "), std::fflush(stdout), std::getline(std::cin, line)) {
    if (isatty(STDIN_FILENO) == 0) std::printf("%s\n", line.c_str());
    if (line == "/quit" || line == "/exit") break;
    if (line == "/reset") {
      conversation.reset();
      std::printf("A new conversation.\n\n");
    } else if (!line.empty()) {
      conversation.ask(line);
    }
  }
  std::printf("\n");
  return 0;
}

}  // namespace lapidary
