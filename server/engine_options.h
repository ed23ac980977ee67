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

// The memory that the KV cache is taken from, once weights and workspaces are there.
struct MemoryRoom {
  // The host's.
  MemoryRoom(int64_t free_bytes) : free(free_bytes) {}
  // A GPU's: in all, what this process has taken of it, and what nobody has.
  MemoryRoom(int64_t total, int64_t taken_bytes, int64_t free_bytes)
      : free(free_bytes), gpu_total(total), taken(taken_bytes) {}

  int64_t free = 0;
  int64_t gpu_total = 0;  // 0: the host's memory
  int64_t taken = 0;
};

// `is_cuda`: computed on a GPU, which stores V once. Fills in every automatic value. Throws
// StartupError when no useful length fits.
EngineOptions engine_options(const ServeConfig& config, const ModelConfig& model,
                             const MemoryRoom& room, bool is_cuda = false);

// What the KV cache may take: as set; of the host's memory a share of what is free; of a GPU's what
// gpu_memory_utilization leaves beside the weights and workspaces, if that is free.
int64_t kv_budget(const ServeConfig& config, const MemoryRoom& room);

// What the KV cache is asked for, before anything is made to fit: max_model_len is the one that is
// set, or the model's. Throws StartupError when it is more than the model's.
KvDemand kv_demand(const ServeConfig& config, const ModelConfig& model, bool is_cuda = false);

}  // namespace lapidary
