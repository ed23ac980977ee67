// From --device to a Backend: a CUDA device where one is visible and can compute what is asked,
// else the CPU. Main thread, at start.
#pragma once

#include <memory>

#include "config/model_config.h"
#include "config/serve_config.h"
#include "kernels/backend.h"

namespace lapidary {

// Throws StartupError when the device that is named is not there, or does not know a type that is
// asked for; nothing is replaced silently.
std::unique_ptr<Backend> open_backend(const ServeConfig& config, const ModelConfig& model);

}  // namespace lapidary
