// Times the bare decoder, without the scheduler: steps of a fixed batch, prompts of a fixed length.
// One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "config/model_config.h"
#include "engine/engine.h"
#include "engine/memory_plan.h"
#include "engine/model/gemma4.h"
#include "kernels/backend.h"

namespace lapidary {

// What a step moves and computes, from the model's shape alone: `n_tokens` computed behind
// `context` others, in each of n_seqs sequences, with logits for the last of each.
struct StepShape {
  int n_seqs = 1;
  int n_tokens = 1;
  int context = 0;
};
struct StepCost {
  double bytes = 0;  // weights once (experts: those expected under uniform routing), K and V that
                     // are seen by the last token once
  double flops = 0;  // 2 per weight and token, 4 per visible key, head and dimension
};
StepCost step_cost(const ModelConfig& config, DType stored, const KvForm& kv, const StepShape& step);

struct StepTime {
  double ms = 0;  // median of the timed steps
  int n_steps = 0;
};

class DecoderBench {
 public:
  // `decoder` has reserved what options say. Each call below takes the pages that it needs, and
  // throws StartupError when they do not fit.
  DecoderBench(Backend& backend, Gemma4& decoder, const EngineOptions& options);

  // Steps of one token for each of `batch` sequences, behind a context of `context` tokens,
  // logits and greedy choice included.
  StepTime decode(int batch, int context, int n_steps);
  // A prompt of `length` tokens in the engine's chunks, up to its first token.
  StepTime prefill(int length, int n_repeats);

 private:
  class Run;

  Backend& backend_;
  Gemma4& decoder_;
  const EngineOptions options_;
};

}  // namespace lapidary
