// Times the bare decoder: steps of a fixed batch, prompts of a fixed length. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "config/model_config.h"
#include "engine/engine.h"
#include "engine/model/gemma4.h"
#include "kernels/backend.h"

namespace lapidary {

// What one step moves and computes, from the model's shape alone. Attention's own operations and
// the KV it reads are left out: they grow with the context and are small at these lengths.
struct StepCost {
  double weight_bytes = 0;  // read once a step; experts: those expected under uniform routing
  double flops = 0;         // 2 per weight and token; the head for `n_logit_rows` only
};
StepCost step_cost(const ModelConfig& config, DType stored, int n_tokens, int n_logit_rows);

struct StepTime {
  double ms = 0;  // median of the timed steps
  int n_steps = 0;
};

class DecoderBench {
 public:
  // Takes pages for itself. `decoder` has reserved options.max_num_batched_tokens.
  DecoderBench(Backend& backend, Gemma4& decoder, const EngineOptions& options, int max_batch,
               int max_length);

  // Steps of one token for each of `batch` sequences, behind a context of `context` tokens,
  // logits and greedy choice included.
  StepTime decode(int batch, int context, int n_steps);
  // A prompt of `length` tokens in the engine's chunks, up to its first token.
  StepTime prefill(int length, int n_repeats);

 private:
  std::unique_ptr<Sequence> random_sequence(int n_tokens);
  void run_step(Scheduler& scheduler);

  Gemma4& decoder_;
  const EngineOptions options_;
  KvCache cache_;
  std::vector<float> logits_;
  int64_t n_sequences_ = 0;
};

}  // namespace lapidary
