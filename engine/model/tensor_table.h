// The tensors that a ModelConfig implies, of the decoder and of its vision tower: the one table
// that checkpoints are checked against, that dummy weights are made from, that weights are loaded
// by and that the memory plan counts. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/model_config.h"

namespace lapidary {

// What a tensor is for: decides its random values in dummy weights and its line in the plan.
enum class TensorRole : uint8_t {
  embedding,  // embed_tokens, lm_head
  ple_table,  // embed_tokens_per_layer: gathered where it lies, never packed
  attention,  // q, k, v, o projections
  dense_mlp,
  router,  // router.proj
  experts,
  ple_projection,  // per-layer embeddings' matrices
  norm,            // norm weights, router.scale, per_expert_scale, std_bias, std_scale
  qk_norm,         // q_norm, k_norm
  layer_scalar,
  vision,      // matrices of the vision tower and its projection
  clip_bound,  // of the inputs or outputs of a tower's linear layer
};

struct TensorSpec {
  // Without prefix: "layers.3.self_attn.q_proj.weight", "vision_tower.std_bias".
  std::string name;
  std::vector<int64_t> shape;
  TensorRole role = TensorRole::norm;
  bool optional =
      false;  // may be missing: lm_head; k, v and k_norm of layers that share KV; clip bounds
  bool unused = false;  // accepted but never read: k, v and k_norm of layers that share KV

  int64_t count() const;  // elements
};

// Globals, then layer by layer, then lm_head, then the vision tower; names are unique.
std::vector<TensorSpec> expected_tensors(const ModelConfig& config);

}  // namespace lapidary
