// `lapidary check`: validates a checkpoint's files and prints what it is and what memory it needs.
// A folder with config.json alone gets its plan too; that its weights were not checked is said.
#pragma once

#include "config/serve_config.h"

namespace lapidary {

// Prints to standard output; 0 when all that is there is right. Throws StartupError otherwise.
int run_check(const ServeConfig& config, const Environment& environment);

}  // namespace lapidary
