#include "engine/model/vision_weights.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <string>

#include "config/startup_error.h"
#include "engine/model/weight_reader.h"

namespace lapidary {
namespace {

constexpr int kLanes = 16;  // of the widest verbs; a head takes whole ones

// A matrix that was put together anew, in the type of the file.
struct OwnMatrix {
  std::vector<std::byte> bytes;
  DType dtype = DType::bf16;
  int64_t rows = 0, cols = 0;

  OwnMatrix(DType type, int64_t n_rows, int64_t n_cols)
      : bytes(static_cast<size_t>(n_rows * n_cols) * dtype_bytes(type)),
        dtype(type),
        rows(n_rows),
        cols(n_cols) {}

  std::byte* at(int64_t row, int64_t col) {
    return bytes.data() + static_cast<size_t>(row * cols + col) * dtype_bytes(dtype);
  }
  HostMatrix host() const {
    return {.data = bytes.data(), .dtype = dtype, .rows = rows, .cols = cols};
  }
};

class Loader {
 public:
  Loader(const VisionConfig& config, WeightReader& reader)
      : c_(config), heads_(config.head_dim), reader_(reader) {}

  VisionWeights load() {
    const std::string p = "vision_tower.";
    VisionWeights w;
    w.patches = reader_.pack({p + "patch_embedder.input_proj.weight"}, WeightForm::stacked);
    w.positions = positions(p + "patch_embedder.position_embedding_table");
    for (int l = 0; l < c_.n_layers; ++l) {
      w.layers.push_back(layer(p + "encoder.layers." + std::to_string(l) + "."));
    }
    if (c_.standardizes) {
      w.shift = reader_.vector(p + "std_bias");
      w.factor = reader_.vector(p + "std_scale");
    }
    w.projection_norm = reader_.upload(std::vector<float>(static_cast<size_t>(c_.hidden), 1.0F));
    w.projection = reader_.pack({"embed_vision.embedding_projection.weight"}, WeightForm::stacked);
    return w;
  }

 private:
  // [2, n_positions, hidden] as one matrix.
  Weight positions(const std::string& name) {
    const TensorSpec& spec = reader_.spec(name);
    const HostTensor table = reader_.get(spec);
    const HostMatrix whole[] = {{.data = table.data,
                                 .dtype = table.dtype,
                                 .rows = 2 * int64_t{c_.n_positions},
                                 .cols = c_.hidden}};
    Weight weight = reader_.pack_parts(whole, WeightForm::stacked);
    reader_.done(spec, table);
    return weight;
  }

  VisionLayerWeights layer(const std::string& p) {
    VisionLayerWeights w;
    attention(p + "self_attn.", w);
    mlp(p + "mlp.", w);
    w.input_norm = reader_.vector(p + "input_layernorm.weight");
    w.post_attention_norm = reader_.vector(p + "post_attention_layernorm.weight");
    w.pre_ffn_norm = reader_.vector(p + "pre_feedforward_layernorm.weight");
    w.post_ffn_norm = reader_.vector(p + "post_feedforward_layernorm.weight");
    return w;
  }

  void attention(const std::string& p, VisionLayerWeights& w) {
    const auto turned = [&](int dim) { return heads_.place(dim); };
    const auto straight = [](int dim) { return dim; };
    const OwnMatrix q = head_rows(p + "q_proj", turned);
    const OwnMatrix k = head_rows(p + "k_proj", turned);
    const OwnMatrix v = head_rows(p + "v_proj", straight);
    if (c_.clips) {
      w.q = {pack(q), bounds(p + "q_proj")};
      w.k = {pack(k), bounds(p + "k_proj")};
      w.v = {pack(v), bounds(p + "v_proj")};
    } else {
      const HostMatrix parts[] = {q.host(), k.host(), v.host()};
      w.qkv = reader_.pack_parts(parts, WeightForm::stacked);
    }
    w.o = {pack(head_columns(p + "o_proj")), bounds(p + "o_proj", heads_.value_factor())};
    w.q_norm = head_norm(p + "q_norm.weight");
    w.k_norm = head_norm(p + "k_norm.weight");
  }

  void mlp(const std::string& p, VisionLayerWeights& w) {
    const auto weight = [&](const std::string& name) { return p + name + ".linear.weight"; };
    if (c_.clips) {
      for (auto [to, name] : {std::pair{&w.gate, "gate_proj"}, {&w.up, "up_proj"}}) {
        *to = {reader_.pack({weight(name)}, WeightForm::stacked), bounds(p + name)};
      }
    } else {
      w.gate_up = reader_.pack({weight("gate_proj"), weight("up_proj")}, WeightForm::gate_up);
    }
    w.down = {reader_.pack({weight("down_proj")}, WeightForm::stacked), bounds(p + "down_proj")};
  }

  Weight pack(const OwnMatrix& matrix) {
    const HostMatrix whole[] = {matrix.host()};
    return reader_.pack_parts(whole, WeightForm::stacked);
  }

  // Row d of each head to row place(d) of a padded one.
  OwnMatrix head_rows(const std::string& p, const std::function<int(int)>& place) {
    const TensorSpec& spec = reader_.spec(p + ".linear.weight");
    const HostTensor t = reader_.get(spec);
    OwnMatrix out(t.dtype, int64_t{c_.n_heads} * heads_.padded, c_.hidden);
    const size_t row_bytes = static_cast<size_t>(c_.hidden) * dtype_bytes(t.dtype);
    for (int head = 0; head < c_.n_heads; ++head) {
      for (int d = 0; d < heads_.dims; ++d) {
        const auto* from = static_cast<const std::byte*>(t.data) +
                           static_cast<size_t>(head * heads_.dims + d) * row_bytes;
        std::memcpy(out.at(int64_t{head} * heads_.padded + place(d), 0), from, row_bytes);
      }
    }
    reader_.done(spec, t);
    return out;
  }

  // Columns of a matrix whose inputs are heads' values.
  OwnMatrix head_columns(const std::string& p) {
    const TensorSpec& spec = reader_.spec(p + ".linear.weight");
    const HostTensor t = reader_.get(spec);
    const int64_t cols = int64_t{c_.n_heads} * heads_.dims;
    OwnMatrix out(t.dtype, c_.hidden, int64_t{c_.n_heads} * heads_.padded);
    const size_t head_bytes = static_cast<size_t>(heads_.dims) * dtype_bytes(t.dtype);
    for (int64_t row = 0; row < c_.hidden; ++row) {
      for (int head = 0; head < c_.n_heads; ++head) {
        const auto* from = static_cast<const std::byte*>(t.data) +
                           static_cast<size_t>(row * cols) * dtype_bytes(t.dtype) +
                           static_cast<size_t>(head) * head_bytes;
        std::memcpy(out.at(row, int64_t{head} * heads_.padded), from, head_bytes);
      }
    }
    reader_.done(spec, t);
    return out;
  }

  WeightVector head_norm(const std::string& name) {
    const std::vector<float> values = reader_.finite_values(name);
    std::vector<float> out(static_cast<size_t>(heads_.padded), 0.0F);
    for (int d = 0; d < heads_.dims; ++d) {
      out[static_cast<size_t>(heads_.place(d))] = static_cast<float>(
          static_cast<double>(values[static_cast<size_t>(d)]) / heads_.value_factor());
    }
    return reader_.upload(out);
  }

  // A bound that the file does not have is none.
  ClipBounds bounds(const std::string& p, double factor = 1.0) {
    ClipBounds b;
    if (!c_.clips) return b;
    const auto read = [&](const char* name, float& to) {
      if (!reader_.has(p + "." + name)) return;
      const TensorSpec& spec = reader_.spec(p + "." + name);
      const HostTensor t = reader_.get(spec);
      to = static_cast<float>(static_cast<double>(host_element(t, 0)) * factor);
      reader_.done(spec, t);
    };
    read("input_min", b.in_low);
    read("input_max", b.in_high);
    read("output_min", b.out_low);
    read("output_max", b.out_high);
    if (!(b.in_low <= b.in_high && b.out_low <= b.out_high)) {
      throw StartupError("The bounds of " + p +
                         " contradict each other or are not numbers; the "
                         "file is damaged, download it again.");
    }
    return b;
  }

  const VisionConfig& c_;
  const HeadLayout heads_;
  WeightReader& reader_;
};

}  // namespace

HeadLayout::HeadLayout(int head_dim)
    : dims(head_dim), padded((head_dim + kLanes - 1) / kLanes * kLanes) {}

int HeadLayout::place(int dim) const {
  const int half = dims / 2;
  const int quarter = dims / 4;
  const int axis = dim / half;
  const int in_half = dim % half;
  const bool is_second = in_half >= quarter;
  return (is_second ? padded / 2 : 0) + axis * quarter + in_half % quarter;
}

double HeadLayout::value_factor() const {
  return std::sqrt(static_cast<double>(padded) / static_cast<double>(dims));
}

VisionWeights load_vision_weights(const VisionConfig& config, WeightReader& reader) {
  return Loader(config, reader).load();
}

}  // namespace lapidary
