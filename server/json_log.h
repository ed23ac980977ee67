// --log-format json: every line of the log is one JSON object, whatever a message holds.
#pragma once

#include <memory>

#include <spdlog/formatter.h>

namespace lapidary {

// {"time":...,"level":...,"message":...} and a newline.
std::unique_ptr<spdlog::formatter> json_log_formatter();

}  // namespace lapidary
