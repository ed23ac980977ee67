#include "engine/model/step_buffers.h"

#include <algorithm>

#include "kernels/backend.h"

namespace lapidary {
namespace {

// Widths of the widest layer.
struct Widths {
  int64_t projected = 0, query = 0, ffn = 0;
  int64_t angles_sliding = 0, angles_global = 0;
};

Widths widths_of(const ModelConfig& config) {
  Widths w;
  for (int l = 0; l < config.n_layers(); ++l) {
    const LayerConfig& layer = config.layers[l];
    const int kv_parts = layer.owns_kv(l) ? (layer.k_eq_v ? 1 : 2) : 0;
    const int64_t heads = layer.n_heads + int64_t{kv_parts} * layer.n_kv_heads;
    w.projected = std::max(w.projected, heads * layer.head_dim);
    w.query = std::max(w.query, int64_t{layer.n_heads} * layer.head_dim);
    w.ffn = std::max(w.ffn, int64_t{layer.ffn});
    int64_t& angles = layer.kind == LayerKind::sliding ? w.angles_sliding : w.angles_global;
    angles = config.rope(layer.kind).n_angles(layer.head_dim);
  }
  return w;
}

}  // namespace

int StepLimits::logit_rows() const { return std::clamp(max_seqs, 64, 256); }

StepBuffers step_buffers(const ModelConfig& config, const StepLimits& limits, DType act) {
  const auto rows = [&](int64_t width, DType dtype) {
    return limits.max_tokens * std::max<int64_t>(width, 1) *
           static_cast<int64_t>(dtype_bytes(dtype));
  };
  const auto ints = [](int64_t n) { return n * static_cast<int64_t>(sizeof(int32_t)); };
  const Widths w = widths_of(config);
  const int64_t hidden = config.hidden;
  const int64_t ple = int64_t{config.n_layers()} * config.ple_dim;
  const int64_t blocks = (int64_t{limits.max_keys} + kPageSize - 1) / kPageSize;
  return {
      .hidden = rows(hidden, DType::f32),
      .logit_rows = rows(hidden, DType::f32),
      .normed = rows(hidden, act),
      .normed_2 = rows(config.n_experts > 0 ? hidden : 0, act),
      .projected = rows(w.projected, act),
      .query = rows(w.query, act),
      .attended = rows(w.query, act),
      .ffn = rows(w.ffn, act),
      .block_out = rows(hidden, act),
      .sparse_out = rows(hidden, act),
      .experts = rows(config.top_k_experts, DType::i32),
      .expert_weights = rows(config.top_k_experts, DType::f32),
      .ple = rows(ple, act),
      .ple_projected = rows(ple, act),
      .ple_gate = rows(config.ple_dim, act),
      .rope_sliding = rows(2 * w.angles_sliding, DType::f32),
      .rope_global = rows(2 * w.angles_global, DType::f32),
      .ids = ints(int64_t{7} * limits.max_tokens + int64_t{3} * (limits.max_seqs + 1)),
      .block_table = ints(limits.max_seqs * blocks),
      .logits = int64_t{limits.logit_rows()} * config.vocab * static_cast<int64_t>(sizeof(float))};
}

int64_t StepBuffers::total() const {
  return hidden + logit_rows + normed + normed_2 + projected + query + attended + ffn + block_out +
         sparse_out + experts + expert_weights + ple + ple_projected + ple_gate + rope_sliding +
         rope_global + ids + 2 * block_table + logits;
}

}  // namespace lapidary
