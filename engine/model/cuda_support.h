// Whether the CUDA backend computes a model's shapes, from its config alone. Any thread.
#pragma once

#include <string>

#include "config/model_config.h"

namespace lapidary {

// Empty when it does; else why not, as the end of a sentence that names the field of config.json.
std::string why_not_on_cuda(const ModelConfig& config);

}  // namespace lapidary
