// Where the ServeConfig, the ModelConfig and the machine's memory meet: the types and sizes that
// the engine is started with. `serve`, `bench` and `check` all take them from here, so that the
// plan that is printed is the plan that runs.
#pragma once

#include <cstdint>
#include <filesystem>

#include "config/model_config.h"
#include "config/serve_config.h"
#include "engine/engine.h"
#include "engine/memory_plan.h"
#include "kernels/backend.h"

namespace lapidary {

// The folder's ModelConfig with the sampling defaults that --generation-config asks for.
ModelConfig load_model_config(const ServeConfig& config, const std::filesystem::path& folder);

BackendOptions backend_options(const ServeConfig& config, const ModelConfig& model);

// How the backend stores matrices, for memory plans.
DType stored_dtype(const ServeConfig& config, const ModelConfig& model);

// `free_bytes`, `stores_v_once`: the backend's, once the weights are loaded. Fills in every
// automatic value. Throws StartupError when no useful length fits.
EngineOptions engine_options(const ServeConfig& config, const ModelConfig& model,
                             int64_t free_bytes, bool stores_v_once = false);

// What the KV cache may take: as set, or a share of the free memory.
int64_t kv_budget(const ServeConfig& config, int64_t free_bytes);

// What the KV cache is asked for, before anything is made to fit: max_model_len is the one that is
// set, or the model's. Throws StartupError when it is more than the model's.
KvDemand kv_demand(const ServeConfig& config, const ModelConfig& model, bool stores_v_once = false);

}  // namespace lapidary
