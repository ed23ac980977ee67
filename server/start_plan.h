// What the memory goes to, in words: printed at start by `serve` and by `lapidary check`, which
// plans by the same formulas what it has not taken. Main thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/model_config.h"
#include "config/serve_config.h"
#include "engine/engine.h"
#include "engine/memory_plan.h"
#include "engine/model/step_memory.h"
#include "server/engine_options.h"

namespace lapidary {

struct StartPlan {
  bool is_cuda = false;
  int64_t gpu_total = 0;  // bytes of its memory; 0 on the CPU
  int64_t weights = 0;    // bytes
  StepMemory steps;
};

// The largest step that the settings allow.
StepLimits step_limits(const ServeConfig& config, const KvDemand& demand);

// By the formulas alone.
StartPlan planned_start(const ServeConfig& config, const ModelConfig& model, bool is_cuda,
                        int n_threads);

// One line each: weights and workspaces; pages and what fits into them.
std::vector<std::string> plan_lines(const ServeConfig& config, const ModelConfig& model,
                                    const StartPlan& plan, const EngineOptions& options);

}  // namespace lapidary
