#include "engine/model/weights.h"

#include <cmath>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "config/startup_error.h"
#include "engine/model/vision_weights.h"
#include "engine/model/weight_reader.h"

namespace lapidary {
namespace {

// Rows [first, first + rows) of each of the stacked matrices of a [count, all rows, cols] tensor.
HostMatrix slice(const HostTensor& t, int64_t first, int64_t rows) {
  const int64_t stride = t.shape[1] * t.shape[2];
  const auto* begin = static_cast<const std::byte*>(t.data);
  return {.data = begin + first * t.shape[2] * static_cast<int64_t>(dtype_bytes(t.dtype)),
          .dtype = t.dtype,
          .rows = rows,
          .cols = t.shape[2],
          .count = t.shape[0],
          .count_stride = stride};
}

class Loader {
 public:
  Loader(const ModelConfig& config, TensorSource& source, Backend& backend,
         const LoadProgress& progress)
      : c_(config), progress_(progress), reader_(config, source, backend, progress) {}

  Weights load() {
    reader_.begin();
    globals();
    for (int l = 0; l < c_.n_layers(); ++l) w_.layers.push_back(layer(l));
    if (c_.vision) w_.vision = load_vision_weights(*c_.vision, reader_);
    // Until here nobody has waited for the device.
    float last = 0;
    reader_.backend().download(&last, w_.norm.buffer.data(), sizeof(last));
    if (progress_) progress_(reader_.state());
    w_.bytes = reader_.bytes();
    return std::move(w_);
  }

 private:
  Weight pack(const std::vector<std::string>& names, WeightForm form) {
    return reader_.pack(names, form);
  }
  WeightVector vector(const std::string& name, float scale = 1.0F) {
    return reader_.vector(name, scale);
  }

  Buffer map_host(const HostMatrix& m) {
    try {
      return reader_.backend().map_host(m);
    } catch (const std::runtime_error& e) {
      throw StartupError(e.what());
    }
  }

  void globals() {
    const TensorSpec& embed = reader_.spec("embed_tokens.weight");
    const HostTensor table = reader_.get(embed);
    const HostMatrix whole[] = {as_matrix(table)};
    w_.embed_scale = rounded_sqrt(c_.hidden, table.dtype);
    w_.embed = reader_.pack_parts(whole, WeightForm::stacked);
    reader_.done(embed, table);
    if (reader_.has("lm_head.weight")) w_.lm_head = pack({"lm_head.weight"}, WeightForm::stacked);
    w_.norm = vector("norm.weight");
    if (c_.ple_dim == 0) return;
    const TensorSpec& ple = reader_.spec("embed_tokens_per_layer.weight");
    const HostTensor rows = reader_.get(ple);
    w_.ple_table = as_matrix(rows);
    w_.ple_rows = map_host(w_.ple_table);
    w_.ple_table.data = w_.ple_rows.data();
    w_.ple_table_scale = rounded_sqrt(c_.ple_dim, rows.dtype);
    w_.keep_alive = rows.owner;
    reader_.keep(ple);
    w_.ple_model_proj = pack({"per_layer_model_projection.weight"}, WeightForm::stacked);
    w_.ple_proj_norm = vector("per_layer_projection_norm.weight");
  }

  LayerWeights layer(int l) {
    const std::string p = "layers." + std::to_string(l) + ".";
    LayerWeights w;
    attention(p + "self_attn.", l, w);
    w.gate_up = pack({p + "mlp.gate_proj.weight", p + "mlp.up_proj.weight"}, WeightForm::gate_up);
    w.down = pack({p + "mlp.down_proj.weight"}, WeightForm::stacked);
    w.input_norm = vector(p + "input_layernorm.weight");
    w.post_attention_norm = vector(p + "post_attention_layernorm.weight");
    w.pre_ffn_norm = vector(p + "pre_feedforward_layernorm.weight");
    w.post_ffn_norm = vector(p + "post_feedforward_layernorm.weight");
    w.layer_scalar = reader_.scalar(p + "layer_scalar");
    if (c_.n_experts > 0) moe(p, w);
    if (c_.ple_dim > 0) {
      w.ple_gate = pack({p + "per_layer_input_gate.weight"}, WeightForm::stacked);
      w.ple_proj = pack({p + "per_layer_projection.weight"}, WeightForm::stacked);
      w.post_ple_norm = vector(p + "post_per_layer_input_norm.weight");
    }
    return w;
  }

  void attention(const std::string& p, int l, LayerWeights& w) {
    const LayerConfig& layer = c_.layers[l];
    std::vector<std::string> names = {p + "q_proj.weight"};
    w.q_norm = vector(p + "q_norm.weight");
    if (layer.owns_kv(l)) {
      names.push_back(p + "k_proj.weight");
      if (!layer.k_eq_v) names.push_back(p + "v_proj.weight");
      w.k_norm = vector(p + "k_norm.weight");
    }
    w.qkv = pack(names, WeightForm::stacked);
    w.o = pack({p + "o_proj.weight"}, WeightForm::stacked);
  }

  void moe(const std::string& p, LayerWeights& w) {
    w.router = pack({p + "router.proj.weight"}, WeightForm::stacked);
    w.router_scale = vector(p + "router.scale", 1.0F / std::sqrt(static_cast<float>(c_.hidden)));
    w.per_expert_scale = vector(p + "router.per_expert_scale");

    const TensorSpec& gate_up = reader_.spec(p + "experts.gate_up_proj");
    const HostTensor both = reader_.get(gate_up);
    const HostMatrix halves[] = {slice(both, 0, c_.moe_ffn), slice(both, c_.moe_ffn, c_.moe_ffn)};
    w.experts_gate_up = reader_.pack_parts(halves, WeightForm::gate_up);
    reader_.done(gate_up, both);

    const TensorSpec& down = reader_.spec(p + "experts.down_proj");
    const HostTensor all = reader_.get(down);
    const HostMatrix whole[] = {slice(all, 0, c_.hidden)};
    w.experts_down = reader_.pack_parts(whole, WeightForm::stacked);
    reader_.done(down, all);
    if (w.experts_down.dtype != w.experts_gate_up.dtype) {
      throw StartupError("The tensors " + gate_up.name + " and " + down.name +
                         " have different types; experts need one type.");
    }

    w.pre_ffn_norm_2 = vector(p + "pre_feedforward_layernorm_2.weight");
    w.post_ffn_norm_1 = vector(p + "post_feedforward_layernorm_1.weight");
    w.post_ffn_norm_2 = vector(p + "post_feedforward_layernorm_2.weight");
  }

  const ModelConfig& c_;
  const LoadProgress& progress_;
  WeightReader reader_;
  Weights w_;
};

}  // namespace

Weights load_weights(const ModelConfig& config, TensorSource& source, Backend& backend,
                     const LoadProgress& progress) {
  try {
    return Loader(config, source, backend, progress).load();
  } catch (const std::bad_alloc&) {
    throw StartupError(
        "The weights do not fit in memory; `lapidary check` says how much the model needs.");
  }
}

}  // namespace lapidary
