#include "engine/model/tensor_table.h"

#include <utility>

namespace lapidary {
namespace {

class Table {
 public:
  explicit Table(const ModelConfig& config) : c_(config) {}

  std::vector<TensorSpec> build() {
    globals();
    for (int l = 0; l < c_.n_layers(); ++l) layer(l);
    // Used when the file has one, whatever it says of ties.
    add("lm_head.weight", {c_.vocab, c_.hidden}, TensorRole::embedding, c_.tie_embeddings);
    if (c_.vision) vision(*c_.vision);
    return std::move(specs_);
  }

 private:
  void add(std::string name, std::vector<int64_t> shape, TensorRole role, bool optional = false,
           bool unused = false) {
    specs_.push_back({std::move(name), std::move(shape), role, optional, unused});
  }

  void globals() {
    add("embed_tokens.weight", {c_.vocab, c_.hidden}, TensorRole::embedding);
    add("norm.weight", {c_.hidden}, TensorRole::norm);
    if (c_.ple_dim == 0) return;
    const int64_t width = int64_t{c_.n_layers()} * c_.ple_dim;
    add("embed_tokens_per_layer.weight", {c_.ple_vocab, width}, TensorRole::ple_table);
    add("per_layer_model_projection.weight", {width, c_.hidden}, TensorRole::ple_projection);
    add("per_layer_projection_norm.weight", {c_.ple_dim}, TensorRole::norm);
  }

  void layer(int l) {
    const std::string p = "layers." + std::to_string(l) + ".";
    const int64_t hidden = c_.hidden;
    const int64_t ffn = c_.layers[l].ffn;
    for (const char* norm : {"input_layernorm", "post_attention_layernorm",
                             "pre_feedforward_layernorm", "post_feedforward_layernorm"}) {
      add(p + norm + ".weight", {hidden}, TensorRole::norm);
    }
    attention(p + "self_attn.", l);
    add(p + "mlp.gate_proj.weight", {ffn, hidden}, TensorRole::dense_mlp);
    add(p + "mlp.up_proj.weight", {ffn, hidden}, TensorRole::dense_mlp);
    add(p + "mlp.down_proj.weight", {hidden, ffn}, TensorRole::dense_mlp);
    add(p + "layer_scalar", {1}, TensorRole::layer_scalar);
    if (c_.n_experts > 0) moe(p);
    if (c_.ple_dim > 0) {
      add(p + "per_layer_input_gate.weight", {c_.ple_dim, hidden}, TensorRole::ple_projection);
      add(p + "per_layer_projection.weight", {hidden, c_.ple_dim}, TensorRole::ple_projection);
      add(p + "post_per_layer_input_norm.weight", {hidden}, TensorRole::norm);
    }
  }

  void attention(const std::string& p, int l) {
    const LayerConfig& layer = c_.layers[l];
    const int64_t q = int64_t{layer.n_heads} * layer.head_dim;
    const int64_t kv = int64_t{layer.n_kv_heads} * layer.head_dim;
    // Some published files carry these of layers that read another's KV; nobody reads them.
    const bool shares = !layer.owns_kv(l);
    add(p + "q_proj.weight", {q, c_.hidden}, TensorRole::attention);
    add(p + "k_proj.weight", {kv, c_.hidden}, TensorRole::attention, shares, shares);
    if (!layer.k_eq_v) {
      add(p + "v_proj.weight", {kv, c_.hidden}, TensorRole::attention, shares, shares);
    }
    add(p + "o_proj.weight", {c_.hidden, q}, TensorRole::attention);
    add(p + "q_norm.weight", {layer.head_dim}, TensorRole::qk_norm);
    add(p + "k_norm.weight", {layer.head_dim}, TensorRole::qk_norm, shares, shares);
  }

  void moe(const std::string& p) {
    const int64_t experts = c_.n_experts;
    const int64_t hidden = c_.hidden;
    add(p + "router.proj.weight", {experts, hidden}, TensorRole::router);
    add(p + "router.scale", {hidden}, TensorRole::norm);
    add(p + "router.per_expert_scale", {experts}, TensorRole::norm);
    add(p + "experts.gate_up_proj", {experts, 2 * int64_t{c_.moe_ffn}, hidden},
        TensorRole::experts);
    add(p + "experts.down_proj", {experts, hidden, c_.moe_ffn}, TensorRole::experts);
    for (const char* norm : {"pre_feedforward_layernorm_2", "post_feedforward_layernorm_1",
                             "post_feedforward_layernorm_2"}) {
      add(p + norm + ".weight", {hidden}, TensorRole::norm);
    }
  }

  void vision(const VisionConfig& v) {
    const std::string p = "vision_tower.";
    const int64_t patch = 3 * 16 * 16;
    add(p + "patch_embedder.input_proj.weight", {v.hidden, patch}, TensorRole::vision);
    add(p + "patch_embedder.position_embedding_table", {2, v.n_positions, v.hidden},
        TensorRole::vision);
    for (int l = 0; l < v.n_layers; ++l) {
      vision_layer(p + "encoder.layers." + std::to_string(l) + ".", v);
    }
    if (v.standardizes) {
      add(p + "std_bias", {v.hidden}, TensorRole::norm);
      add(p + "std_scale", {v.hidden}, TensorRole::norm);
    }
    add("embed_vision.embedding_projection.weight", {c_.hidden, v.hidden}, TensorRole::vision);
  }

  void vision_layer(const std::string& p, const VisionConfig& v) {
    const int64_t heads = int64_t{v.n_heads} * v.head_dim;
    for (const char* norm : {"input_layernorm", "post_attention_layernorm",
                             "pre_feedforward_layernorm", "post_feedforward_layernorm"}) {
      add(p + norm + ".weight", {v.hidden}, TensorRole::norm);
    }
    for (const char* name : {"q_proj", "k_proj", "v_proj"}) {
      tower_linear(p + "self_attn." + name, heads, v.hidden, v.clips);
    }
    tower_linear(p + "self_attn.o_proj", v.hidden, heads, v.clips);
    add(p + "self_attn.q_norm.weight", {v.head_dim}, TensorRole::qk_norm);
    add(p + "self_attn.k_norm.weight", {v.head_dim}, TensorRole::qk_norm);
    tower_linear(p + "mlp.gate_proj", v.ffn, v.hidden, v.clips);
    tower_linear(p + "mlp.up_proj", v.ffn, v.hidden, v.clips);
    tower_linear(p + "mlp.down_proj", v.hidden, v.ffn, v.clips);
  }

  void tower_linear(const std::string& p, int64_t rows, int64_t cols, bool clips) {
    add(p + ".linear.weight", {rows, cols}, TensorRole::vision);
    if (!clips) return;
    for (const char* bound : {"input_min", "input_max", "output_min", "output_max"}) {
      add(p + "." + bound, {}, TensorRole::clip_bound, true);
    }
  }

  const ModelConfig& c_;
  std::vector<TensorSpec> specs_;
};

}  // namespace

int64_t TensorSpec::count() const {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}

std::vector<TensorSpec> expected_tensors(const ModelConfig& config) {
  return Table(config).build();
}

}  // namespace lapidary
