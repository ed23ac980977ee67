// The shape of a Gemma 4 model as data: read from a checkpoint's own config.json and
// generation_config.json, validated once, never changed. Nothing in the engine asks for a model's
// name; whatever differs between sizes is a field here. Read by any thread.
// Refuses (StartupError) what this engine does not compute: bidirectional text attention,
// attention biases, activations other than tanh-GELU, unknown RoPE types, donor-less KV sharing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/vision_config.h"

namespace lapidary {

enum class LayerKind : uint8_t { sliding, global };

// Rotary embedding of one kind of layer. Angle i of a head: position * inv_freq[i]; pairs are
// (i, i + head_dim/2). "proportional" rotates only the first partial_rotary_factor of the pairs,
// the exponent's denominator is the whole head_dim.
struct RopeConfig {
  double theta = 10000.0;
  double partial_rotary_factor = 1.0;  // share of the pairs that rotate
  double factor = 1.0;                 // divides the frequencies

  // Pairs that rotate, for heads of this size.
  int n_angles(int head_dim) const;
  // inv_freq[i] = 1 / (factor * theta^(2i/head_dim)), each operation rounded to float as the
  // official implementation does. [n_angles]
  std::vector<float> inv_freq(int head_dim) const;
};

struct LayerConfig {
  LayerKind kind = LayerKind::sliding;
  int n_heads = 0;
  int n_kv_heads = 0;
  int head_dim = 0;
  int window = 0;       // keys a query sees, itself included; 0 on global layers
  bool k_eq_v = false;  // V is the raw K projection; there is no v_proj tensor
  int kv_layer = 0;     // the layer whose K and V this one reads: itself, or its donor
  int ffn = 0;          // width of the dense MLP

  bool owns_kv(int index) const { return kv_layer == index; }
};

struct GenerationDefaults {
  bool do_sample = true;
  float temperature = 1.0F;
  int top_k = 0;  // 0: off
  float top_p = 1.0F;
  float min_p = 0.0F;
  float repetition_penalty = 1.0F;
  std::vector<int32_t> suppress_tokens;
};

struct SpecialIds {
  int32_t bos = 2;
  int32_t pad = 0;
  std::vector<int32_t> eos;           // generation_config's list, config's where that is absent
  std::vector<int32_t> placeholders;  // of image, audio and video soft tokens
  std::vector<int32_t> media;         // placeholders and begin/end marks of image, audio, video
};

struct ModelConfig {
  std::string model_type;  // as the file says: "gemma4", "gemma4_text", ...
  std::string dtype;       // "bfloat16", "float16", "float32": what the file declares
  int hidden = 0;
  int vocab = 0;
  float rms_eps = 1e-6F;
  float logit_cap = 0.0F;  // 0: no cap
  bool tie_embeddings = true;
  int max_positions = 0;

  int n_experts = 0;  // 0: no MoE block
  int top_k_experts = 0;
  int moe_ffn = 0;

  int ple_dim = 0;  // 0: no per-layer embeddings
  int ple_vocab = 0;

  RopeConfig rope_sliding, rope_global;
  std::vector<LayerConfig> layers;
  std::optional<VisionConfig> vision;  // a vision tower
  bool has_audio = false;              // an audio tower in the file; not run by this engine yet
  // Tokens of one image see one another both ways on sliding layers.
  bool sees_images_whole = false;

  SpecialIds ids;
  GenerationDefaults generation;

  int n_layers() const { return static_cast<int>(layers.size()); }
  const RopeConfig& rope(LayerKind kind) const {
    return kind == LayerKind::sliding ? rope_sliding : rope_global;
  }
  // Large sizes prefill an empty thought block when thinking is off; E2B and E4B do not.
  bool is_small_variant() const { return ple_dim > 0; }

  // Reads config.json (required) and generation_config.json (optional) of a checkpoint folder.
  static ModelConfig load(const std::filesystem::path& folder);

  // Takes eos ids, sampling defaults and suppressed ids from another generation_config.json.
  void apply_generation_config(const std::filesystem::path& file);
};

}  // namespace lapidary
