// The decoder's own memory for steps of some size, in bytes: what Gemma4::reserve takes and what a
// memory plan counts. Pure function, any thread.
#pragma once

#include <cstdint>

#include "config/model_config.h"
#include "kernels/tensor.h"

namespace lapidary {

// The largest step.
struct StepLimits {
  int max_tokens = 0;
  int max_seqs = 0;
  int max_keys = 0;          // positions of one sequence
  int max_image_tokens = 0;  // soft tokens of one image, of a model with a tower

  // Rows whose logits are computed at once. A row is a megabyte: enough for a step of many
  // sequences, bounded for long scored prompts.
  int logit_rows() const;
};

// One buffer each, by the name that it has in Gemma4.
struct StepBuffers {
  int64_t hidden = 0, logit_rows = 0, normed = 0, normed_2 = 0;
  int64_t projected = 0, query = 0, attended = 0, ffn = 0, block_out = 0, sparse_out = 0;
  int64_t experts = 0, expert_weights = 0;
  int64_t ple = 0, ple_projected = 0, ple_gate = 0;
  int64_t rope_sliding = 0, rope_global = 0;
  int64_t ids = 0, block_table = 0;  // the latter twice
  int64_t logits = 0;

  int64_t total() const;
};

// act: Backend::activation_dtype().
StepBuffers step_buffers(const ModelConfig& config, const StepLimits& limits, DType act);

}  // namespace lapidary
