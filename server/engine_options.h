// Where the ServeConfig, the ModelConfig and the machine's memory meet: the types and sizes that the
// engine is started with. `serve`, `bench` and `check` all take them from here, so that the plan
// that is printed is the plan that runs.
#pragma once

#include <cstdint>

#include "config/model_config.h"
#include "config/serve_config.h"
#include "engine/engine.h"
#include "engine/memory_plan.h"
#include "kernels/backend.h"

namespace lapidary {

BackendOptions backend_options(const ServeConfig& config, const ModelConfig& model);

// How the backend stores matrices, for memory plans.
DType stored_dtype(const ServeConfig& config, const ModelConfig& model);

// `free_bytes`: memory that may be used beside the weights (available_memory_bytes() once they are
// loaded). Fills in every automatic value. Throws StartupError when no useful length fits.
EngineOptions engine_options(const ServeConfig& config, const ModelConfig& model,
                             int64_t free_bytes);

// The engine's options as the memory plan's.
KvDemand kv_demand(const EngineOptions& options);

// What this process may still take: the system's available memory, or what its control group
// leaves, whichever is less.
int64_t available_memory_bytes();

}  // namespace lapidary
