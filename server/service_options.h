// What the ServeConfig says about answering requests, with the model's and the engine's own limits
// filled in. `serve` and `chat` both take it from here, so that they speak alike.
#pragma once

#include "config/serve_config.h"
#include "engine/engine.h"
#include "server/api/service.h"

namespace lapidary {

// Bytes of the largest request body.
size_t body_limit(const ServeConfig& config, const ModelConfig& model);

ServiceOptions service_options(const ServeConfig& config, const Engine& engine);

}  // namespace lapidary
