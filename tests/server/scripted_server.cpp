// The whole HTTP side over an engine that says what it is told: the last user message is the
// model's raw output, control tokens and all; behind a tool's result it says that it is done. For
// clients that need answers no small model gives: tests/e2e/test_tools.py. Prints its address, runs
// until its standard input ends.

#include <cstdio>
#include <string>

#include "tests/server/running_server.h"

namespace lapidary {
namespace {

std::string output_for(const std::string& prompt) {
  if (prompt.ends_with("<tool_response|>")) return "Done.";
  if (prompt.ends_with("<tool_response|><|channel>thought\n")) return "All there.\n<channel|>Done.";
  const std::string opening = "<|turn>user\n";
  const size_t begin = prompt.rfind(opening) + opening.size();
  return prompt.substr(begin, prompt.find("<turn|>", begin) - begin);
}

int run() {
  RunningServer server;
  ApiWorld& world = server.world;
  world.service.options.max_model_len = 100'000;
  world.engine.set_script([&world](const Request& request) {
    const std::string prompt = world.tokenizer.decode(request.tokens, /*skip_control=*/false);
    std::vector<TokenEvent> events;
    for (const int32_t id : world.tokenizer.encode_with_control(output_for(prompt))) {
      events.push_back(ApiWorld::token(request, 0, id));
    }
    events.push_back(ApiWorld::token(request, 0, world.config.ids.eos.front()));
    events.back().finish = FinishReason::stop;
    return events;
  });
  std::printf("http://127.0.0.1:%d\n", server.port);
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}

}  // namespace
}  // namespace lapidary

int main() { return lapidary::run(); }
