// `lapidary parse`: the server's reading of a model's outputs, for people. JSON lines on standard
// input (server/api/parse_output.h says what they hold), one line of answer for each. Needs the
// model's configuration and tokenizer, not its weights.
#pragma once

#include "config/serve_config.h"

namespace lapidary {

// Returns 0, or 1 if some line was answered with an error. Throws StartupError.
int run_parse(const ServeConfig& config, const Environment& environment);

}  // namespace lapidary
