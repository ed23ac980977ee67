// A model's weights in the backend's memory: matrices packed in its layout, vectors as f32.
// Read from a TensorSource once at start; read-only afterwards. The per-layer embedding table (GBs
// that are only gathered from) stays where the source has it, kept alive from here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "config/model_config.h"
#include "engine/model/tensor_source.h"
#include "engine/model/vision_weights.h"
#include "engine/model/weight_vector.h"
#include "kernels/backend.h"

namespace lapidary {

struct LayerWeights {
  // stacked: q, k, v; k_eq_v: q, k; layers that share another's KV: q alone
  Weight qkv;
  Weight o;        // [hidden, n_heads * head_dim]
  Weight gate_up;  // gate_up form, [2 * ffn, hidden]
  Weight down;     // [hidden, ffn]
  WeightVector input_norm, post_attention_norm, pre_ffn_norm, post_ffn_norm;  // [hidden]
  WeightVector q_norm, k_norm;  // [head_dim]; k_norm empty where KV is shared
  float layer_scalar = 1.0F;

  // MoE block; empty without
  Weight router;                  // [n_experts, hidden]
  WeightVector router_scale;      // [hidden]: router.scale * hidden^-0.5, in float32
  WeightVector per_expert_scale;  // [n_experts]
  Weight experts_gate_up;         // gate_up form, n_experts x [2 * moe_ffn, hidden]
  Weight experts_down;            // n_experts x [hidden, moe_ffn]
  WeightVector pre_ffn_norm_2, post_ffn_norm_1, post_ffn_norm_2;  // [hidden]

  // Per-layer embeddings; empty without
  Weight ple_gate;             // [ple_dim, hidden]
  Weight ple_proj;             // [hidden, ple_dim]
  WeightVector post_ple_norm;  // [hidden]
};

struct Weights {
  Weight embed;       // [vocab, hidden]
  Weight lm_head;     // [vocab, hidden]; empty: tied to embed
  WeightVector norm;  // [hidden], final
  // sqrt(hidden) and sqrt(ple_dim), rounded to the type that the table has in the file, as the
  // model was trained.
  float embed_scale = 1.0F;
  float ple_table_scale = 1.0F;

  // Per-layer embeddings; empty without
  HostMatrix ple_table;        // [ple_vocab, n_layers * ple_dim], data in ple_rows
  Weight ple_model_proj;       // [n_layers * ple_dim, hidden]
  WeightVector ple_proj_norm;  // [ple_dim]

  std::vector<LayerWeights> layers;
  VisionWeights vision;                    // empty without a vision tower
  int64_t bytes = 0;                       // of the backend's memory, all buffers above
  std::shared_ptr<const void> keep_alive;  // what ple_rows maps
  Buffer ple_rows;                         // the source's memory, where the backend reads it

  const Weight& head() const { return lm_head ? lm_head : embed; }
};

// How far it is: elements of the source, and the bytes that were read of it.
struct LoadState {
  int64_t done = 0, total = 0;
  int64_t bytes = 0;
};
using LoadProgress = std::function<void(const LoadState&)>;

// Throws StartupError when the backend's memory does not hold them, or when a layer_scalar or
// norm weight is not finite.
Weights load_weights(const ModelConfig& config, TensorSource& source, Backend& backend,
                     const LoadProgress& progress = {});

}  // namespace lapidary
