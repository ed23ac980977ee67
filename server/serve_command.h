// `lapidary serve`: loads the model, listens, and serves until SIGTERM or SIGINT; then drains: new
// requests are refused, running ones finish within --drain-timeout. A second signal aborts.
#pragma once

#include "config/serve_config.h"

namespace lapidary {

// 0 after a drain, 1 when the listening socket failed. Throws StartupError.
int run_serve(const ServeConfig& config, const Environment& environment);

}  // namespace lapidary
