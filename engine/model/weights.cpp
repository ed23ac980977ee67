#include "engine/model/weights.h"

#include <cmath>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "config/startup_error.h"
#include "kernels/check.h"

namespace lapidary {
namespace {

HostMatrix matrix(const HostTensor& t) {
  return {.data = t.data, .dtype = t.dtype, .rows = t.shape[0], .cols = t.shape[1]};
}

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
      : c_(config), source_(source), backend_(backend), progress_(progress) {
    for (TensorSpec& spec : expected_tensors(config)) {
      const bool is_read = !spec.unused && source.has(spec.name);
      if (is_read) state_.total += spec.count();
      const auto [place, is_new] = specs_.emplace(spec.name, std::move(spec));
      if (is_read && place->second.role != TensorRole::ple_table) order_.push_back(&place->second);
    }
  }

  Weights load() {
    source_.will_read(order_);
    globals();
    for (int l = 0; l < c_.n_layers(); ++l) w_.layers.push_back(layer(l));
    // Until here nobody has waited for the device.
    float last = 0;
    backend_.download(&last, w_.norm.buffer.data(), sizeof(last));
    if (progress_) progress_(state_);
    return std::move(w_);
  }

 private:
  const TensorSpec& spec(const std::string& name) const {
    const auto it = specs_.find(name);
    CHECK(it != specs_.end());
    return it->second;
  }

  void done(const TensorSpec& s, const HostTensor& t) {
    source_.done_with(s);
    state_.bytes += t.bytes;
    report(s);
  }

  void report(const TensorSpec& s) {
    state_.done += s.count();
    if (progress_) progress_(state_);
  }

  // Parts of one weight, each a [rows, cols] tensor.
  Weight pack(const std::vector<std::string>& names, WeightForm form) {
    std::vector<HostTensor> tensors;
    std::vector<HostMatrix> parts;
    for (const std::string& name : names) {
      tensors.push_back(source_.get(spec(name)));
      parts.push_back(matrix(tensors.back()));
    }
    Weight weight = pack_parts(parts, form);
    for (size_t i = 0; i < names.size(); ++i) done(spec(names[i]), tensors[i]);
    return weight;
  }

  Weight pack_parts(std::span<const HostMatrix> parts, WeightForm form) {
    Weight weight = backend_.pack(parts, form);
    w_.bytes += static_cast<int64_t>(weight.buffer.bytes());
    return weight;
  }

  Buffer map_host(const HostMatrix& m) {
    try {
      return backend_.map_host(m);
    } catch (const std::runtime_error& e) {
      throw StartupError(e.what());
    }
  }

  WeightVector vector(const std::string& name, float scale = 1.0F) {
    const TensorSpec& s = spec(name);
    const HostTensor t = source_.get(s);
    std::vector<float> values(static_cast<size_t>(s.count()));
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = host_element(t, static_cast<int64_t>(i)) * scale;
      if (!std::isfinite(values[i])) {
        throw StartupError("Tensor " + name + " holds a value that is not finite (element " +
                           std::to_string(i) + "); the file is damaged, download it again.");
      }
    }
    WeightVector v;
    v.size = s.count();
    v.buffer = backend_.allocate(values.size() * sizeof(float));
    backend_.upload(v.buffer.data(), values.data(), values.size() * sizeof(float));
    w_.bytes += static_cast<int64_t>(v.buffer.bytes());
    done(s, t);
    return v;
  }

  float scalar(const std::string& name) {
    const HostTensor t = source_.get(spec(name));
    const float value = host_element(t, 0);
    if (!std::isfinite(value)) {
      throw StartupError("Tensor " + name +
                         " is not finite; the file is damaged, download it again.");
    }
    done(spec(name), t);
    return value;
  }

  void globals() {
    const TensorSpec& embed = spec("embed_tokens.weight");
    const HostTensor table = source_.get(embed);
    const HostMatrix whole[] = {matrix(table)};
    w_.embed_scale = rounded_sqrt(c_.hidden, table.dtype);
    w_.embed = pack_parts(whole, WeightForm::stacked);
    done(embed, table);
    if (source_.has("lm_head.weight")) w_.lm_head = pack({"lm_head.weight"}, WeightForm::stacked);
    w_.norm = vector("norm.weight");
    if (c_.ple_dim == 0) return;
    const TensorSpec& ple = spec("embed_tokens_per_layer.weight");
    const HostTensor rows = source_.get(ple);
    w_.ple_table = matrix(rows);
    w_.ple_rows = map_host(w_.ple_table);
    w_.ple_table.data = w_.ple_rows.data();
    w_.ple_table_scale = rounded_sqrt(c_.ple_dim, rows.dtype);
    w_.keep_alive = rows.owner;
    source_.keep_for_gather(ple);
    report(ple);
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
    w.layer_scalar = scalar(p + "layer_scalar");
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

    const TensorSpec& gate_up = spec(p + "experts.gate_up_proj");
    const HostTensor both = source_.get(gate_up);
    const HostMatrix halves[] = {slice(both, 0, c_.moe_ffn), slice(both, c_.moe_ffn, c_.moe_ffn)};
    w.experts_gate_up = pack_parts(halves, WeightForm::gate_up);
    done(gate_up, both);

    const TensorSpec& down = spec(p + "experts.down_proj");
    const HostTensor all = source_.get(down);
    const HostMatrix whole[] = {slice(all, 0, c_.hidden)};
    w.experts_down = pack_parts(whole, WeightForm::stacked);
    done(down, all);
    if (w.experts_down.dtype != w.experts_gate_up.dtype) {
      throw StartupError("The tensors " + gate_up.name + " and " + down.name +
                         " have different types; experts need one type.");
    }

    w.pre_ffn_norm_2 = vector(p + "pre_feedforward_layernorm_2.weight");
    w.post_ffn_norm_1 = vector(p + "post_feedforward_layernorm_1.weight");
    w.post_ffn_norm_2 = vector(p + "post_feedforward_layernorm_2.weight");
  }

  const ModelConfig& c_;
  TensorSource& source_;
  Backend& backend_;
  const LoadProgress& progress_;
  std::map<std::string, TensorSpec> specs_;
  std::vector<const TensorSpec*> order_;  // of those that are read, about as they come
  LoadState state_;
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
