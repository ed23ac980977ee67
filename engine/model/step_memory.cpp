#include "engine/model/step_memory.h"

#include <algorithm>

#include "engine/batch.h"
#include "engine/media/image_size.h"
#include "engine/model/vision_buffers.h"
#include "kernels/cuda_memory.h"
#include "kernels/sample.h"

namespace lapidary {
namespace {

int64_t cuda_attention(const ModelConfig& config, const StepLimits& limits) {
  int64_t bytes = 0;
  const int max_keys = padded_decode_keys(limits.max_keys);  // as recorded steps are called
  for (const LayerConfig& layer : config.layers) {
    const int slots = cuda::attention_slots(max_keys, layer.window, layer.n_kv_heads);
    bytes = std::max(bytes,
                     cuda::attention_bytes(limits.max_seqs, slots, layer.n_heads, layer.head_dim));
  }
  return bytes;
}

// Two draws a row, each with a mask and as many edits as a short answer's penalties need. Longer
// lists take more when they come.
int64_t cuda_sampling(const ModelConfig& config, const StepLimits& limits) {
  constexpr int64_t kListBytes = 16 << 10;
  const int64_t n_draws = int64_t{2} * limits.logit_rows();
  return cuda::sample_bytes(n_draws, config.vocab, SampleArgs::kMaxLogprobs,
                            n_draws * (config.vocab / 8 + kListBytes));
}

int64_t cuda_matrices(const ModelConfig& config, const StepLimits& limits) {
  int64_t bytes = config.ple_dim > 0 ? cuda::rounded_bytes(limits.max_tokens, config.hidden) : 0;
  for (const LayerConfig& layer : config.layers) {
    bytes = std::max(bytes, cuda::geglu_bytes(limits.max_tokens, layer.ffn));
  }
  return bytes;
}

// On the CPU a long context's keys are shared out between threads in segments of 1024, whose
// results are kept in float32, up to 256 MiB.
int64_t cpu_attention(const ModelConfig& config, const StepLimits& limits, int n_threads) {
  constexpr int64_t kSegment = 1024;
  constexpr int64_t kMost = int64_t{256} << 20;
  if (n_threads == 1) return 0;
  int64_t most = 0;
  for (const LayerConfig& layer : config.layers) {
    const int64_t keys =
        layer.window > 0 ? std::min(layer.window, limits.max_keys) : limits.max_keys;
    const int64_t segments = keys / kSegment + 1;
    most = std::max(most, int64_t{limits.max_tokens} * layer.n_heads * segments *
                              (2 + layer.head_dim) * static_cast<int64_t>(sizeof(float)));
  }
  return std::min(most, kMost);
}

int64_t vision(const ModelConfig& config, const StepLimits& limits, DType act, DType compute) {
  if (!config.vision) return 0;
  return vision_buffers(*config.vision, config.hidden, limits.max_image_tokens * kPatchesPerToken,
                        act, compute)
      .total();
}

}  // namespace

StepMemory cuda_step_memory(const ModelConfig& config, const StepLimits& limits) {
  const StepBuffers buffers = step_buffers(config, limits, DType::bf16);
  StepMemory m{.buffers = buffers.total(), .logits = buffers.logits};
  m.attention = cuda_attention(config, limits);
  int64_t route = 0;
  if (config.n_experts > 0) {
    m.experts = cuda::experts_bytes(limits.max_tokens, config.top_k_experts, config.hidden,
                                    config.moe_ffn, config.n_experts);
    route = cuda::route_bytes(limits.max_tokens, config.hidden, config.n_experts);
  }
  m.workspace = std::max({m.attention, m.experts, route, cuda_matrices(config, limits),
                          cuda_sampling(config, limits)});
  m.library = cuda::kLibraryBytes;
  m.vision = vision(config, limits, DType::bf16, DType::bf16);
  return m;
}

StepMemory cpu_step_memory(const ModelConfig& config, const StepLimits& limits, int n_threads) {
  const StepBuffers buffers = step_buffers(config, limits, DType::f32);
  StepMemory m{.buffers = buffers.total(), .logits = buffers.logits};
  m.attention = cpu_attention(config, limits, n_threads);
  const int64_t pairs = int64_t{limits.max_tokens} * config.top_k_experts;
  m.experts = pairs * (config.moe_ffn + config.hidden) * static_cast<int64_t>(sizeof(float));
  m.workspace = m.attention + m.experts;
  m.vision = vision(config, limits, DType::f32, DType::f32);
  return m;
}

}  // namespace lapidary
