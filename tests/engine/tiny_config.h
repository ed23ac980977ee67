// Small ModelConfigs with the features of the sizes, for tests that need no particular one.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "config/model_config.h"
#include "tests/scratch_folder.h"

namespace lapidary {

// "dense" (K = V), "moe" (K = V, 8 experts top 2) or "ple" (per-layer embeddings, shared KV,
// double-wide MLP); dtype as config.json spells it.
inline ModelConfig tiny_config(const std::string& kind, const std::string& dtype = "bfloat16") {
  nlohmann::json c = {
      {"model_type", "gemma4_text"},
      {"dtype", dtype},
      {"vocab_size", 320},
      {"hidden_size", 48},
      {"num_hidden_layers", 4},
      {"layer_types",
       {"sliding_attention", "full_attention", "sliding_attention", "full_attention"}},
      {"num_attention_heads", 4},
      {"num_key_value_heads", 2},
      {"num_global_key_value_heads", 1},
      {"head_dim", 16},
      {"global_head_dim", 32},
      {"intermediate_size", 40},
      {"attention_k_eq_v", kind != "ple"},
      {"sliding_window", 8},
      {"hidden_size_per_layer_input", kind == "ple" ? 16 : 0},
      {"vocab_size_per_layer_input", 320},
      {"num_kv_shared_layers", kind == "ple" ? 2 : 0},
      {"use_double_wide_mlp", kind == "ple"},
      {"enable_moe_block", kind == "moe"},
      {"num_experts", 8},
      {"top_k_experts", 2},
      {"moe_intermediate_size", 24},
      {"max_position_embeddings", 4096},
      {"rms_norm_eps", 1e-6},
      {"final_logit_softcapping", 30.0},
      {"eos_token_id", 1}};
  const ScratchFolder folder;
  folder.write("config.json", c.dump());
  return ModelConfig::load(folder.path());
}

}  // namespace lapidary
