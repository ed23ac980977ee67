// `lapidary chat`: a conversation with the model in the terminal, without HTTP. The same renderer,
// engine and output parser as the server; thoughts are shown dimmed, tokens per second at the end
// of each turn. Reads standard input, so that a conversation can be piped in too.
#pragma once

#include <string>

#include "config/serve_config.h"

namespace CLI {
class App;
}

namespace lapidary {

struct ChatOptions {
  std::string system;  // system prompt; empty: none
  bool thinking = false;
  double temperature = -1;  // < 0: the model's own default
  int max_tokens = 1024;    // of one answer
};

void add_chat_flags(CLI::App& app, ChatOptions& options);

// Returns 0 at the end of input or /quit. Throws StartupError.
int run_chat(const ServeConfig& config, const Environment& environment, const ChatOptions& options);

}  // namespace lapidary
