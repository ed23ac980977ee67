// `lapidary check`: validates a checkpoint's files and prints what it is and what memory it needs.
// A folder with config.json alone gets its plan too; that its weights were not checked is said.
// With --memory the plan is for a device of that much memory, which need not be here.
#pragma once

#include <cstdint>
#include <string>

#include "config/serve_config.h"

namespace CLI {
class App;
}

namespace lapidary {

struct CheckOptions {
  std::string memory;  // as typed: "64GiB"; empty: this machine's
};

void add_check_flags(CLI::App& app, CheckOptions& options);

// Prints to standard output; 0 when all that is there is right. Throws StartupError otherwise.
int run_check(const ServeConfig& config, const Environment& environment,
              const CheckOptions& options);

}  // namespace lapidary
