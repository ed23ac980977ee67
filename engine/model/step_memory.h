// What the largest steps take beside weights and KV, by the formulas of each device: known without
// the device. Pure functions, any thread.
#pragma once

#include <cstdint>

#include "config/model_config.h"
#include "engine/memory_plan.h"
#include "engine/model/step_buffers.h"

namespace lapidary {

// Bytes.
struct StepMemory {
  int64_t buffers = 0;  // the decoder's own, logits among them
  int64_t logits = 0;
  int64_t attention = 0, experts = 0;  // what these verbs take for themselves
  // Of all verbs: on CUDA the largest one's, since they take turns; on the CPU the sum of the two.
  int64_t workspace = 0;
  int64_t library = 0;  // cuBLASLt's
  int64_t vision = 0;   // the vision tower's own

  int64_t total() const { return buffers + workspace + library + vision; }
};

// Exact: what the CUDA backend reserves.
StepMemory cuda_step_memory(const ModelConfig& config, const StepLimits& limits);

// At most: memory that is never touched costs nothing there.
StepMemory cpu_step_memory(const ModelConfig& config, const StepLimits& limits, int n_threads);

}  // namespace lapidary
