#include "config/layer_table.h"

#include <charconv>
#include <optional>
#include <string>

namespace lapidary {
namespace {

constexpr int64_t kMaxLayers = 512;
constexpr int64_t kMaxHeads = 1024;
constexpr int64_t kMaxHeadDim = 1024;
constexpr int kHeadDimUnit = 16;  // backends cut heads into vectors of this many values
constexpr int64_t kMaxFfn = 1 << 18;
constexpr int64_t kMaxWindow = 1 << 20;
// What a full-attention layer has when the file neither says so nor lists its layers.
constexpr int kGlobalHeadDim = 512;

int64_t required_integer(const ConfigObject& o, const char* key, int64_t min, int64_t max) {
  return o.require(key, o.integer(key, min, max));
}

std::vector<LayerKind> read_kinds(const ConfigObject& text, int n_layers) {
  std::vector<LayerKind> kinds;
  if (const nlohmann::json* list = text.find("layer_types")) {
    if (!list->is_array() || static_cast<int64_t>(list->size()) != n_layers) {
      text.refuse("layer_types",
                  "must list num_hidden_layers (" + std::to_string(n_layers) + ") layers");
    }
    for (const nlohmann::json& item : *list) {
      if (item == "sliding_attention") {
        kinds.push_back(LayerKind::sliding);
      } else if (item == "full_attention") {
        kinds.push_back(LayerKind::global);
      } else {
        text.refuse("layer_types",
                    "may hold only \"sliding_attention\" and \"full_attention\", not " +
                        printable(item.is_string() ? item.get<std::string>() : item.type_name()));
      }
    }
  } else {
    for (int l = 0; l < n_layers; ++l) {
      kinds.push_back(l % 6 == 5 ? LayerKind::global : LayerKind::sliding);
    }
  }
  kinds.back() = LayerKind::global;  // as the official implementation forces it
  return kinds;
}

// Head shapes as files up to transformers 5.2x spell them: one value for each kind of layer.
void set_heads_by_kind(const ConfigObject& text, std::vector<LayerConfig>& layers) {
  const auto head_dim =
      static_cast<int>(required_integer(text, "head_dim", kHeadDimUnit, kMaxHeadDim));
  const auto n_kv = static_cast<int>(required_integer(text, "num_key_value_heads", 1, kMaxHeads));
  const auto global_head_dim = static_cast<int>(
      text.integer("global_head_dim", kHeadDimUnit, kMaxHeadDim).value_or(kGlobalHeadDim));
  const auto global_n_kv =
      static_cast<int>(text.integer("num_global_key_value_heads", 1, kMaxHeads).value_or(n_kv));
  for (LayerConfig& layer : layers) {
    const bool global = layer.kind == LayerKind::global;
    layer.head_dim = global ? global_head_dim : head_dim;
    // The separate number counts only where K and V are one projection.
    layer.n_kv_heads = layer.k_eq_v ? global_n_kv : n_kv;
  }
}

// Keys are layer numbers in decimal, zero-padded: "05", "11".
int layer_index(const ConfigObject& per_layer, const std::string& key, int n_layers) {
  int index = -1;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), index, 10);
  if (error != std::errc() || end != key.data() + key.size() || key.front() == '-' ||
      index >= n_layers) {
    per_layer.refuse(key, "is no layer number below " + std::to_string(n_layers));
  }
  return index;
}

// Head shapes as newer files spell them: an object that lists what differs from the global values.
void set_heads_by_layer(const ConfigObject& text, const ConfigObject& per_layer,
                        std::vector<LayerConfig>& layers) {
  const auto head_dim =
      static_cast<int>(required_integer(text, "head_dim", kHeadDimUnit, kMaxHeadDim));
  const auto n_kv = static_cast<int>(required_integer(text, "num_key_value_heads", 1, kMaxHeads));
  for (LayerConfig& layer : layers) {
    layer.head_dim = head_dim;
    layer.n_kv_heads = n_kv;
  }
  std::vector<bool> seen(layers.size());
  for (const auto& [key, value] : per_layer.value().items()) {
    const int index = layer_index(per_layer, key, static_cast<int>(layers.size()));
    if (seen[index]) per_layer.refuse(key, "names a layer a second time");
    seen[index] = true;
    const ConfigObject entry(value, per_layer.where() + ": " + printable(key));
    for (const auto& item : entry.value().items()) {
      if (item.key() != "head_dim" && item.key() != "num_key_value_heads") {
        entry.refuse(item.key(), "is not known to differ between layers of Gemma 4");
      }
    }
    layers[index].head_dim =
        static_cast<int>(entry.integer("head_dim", kHeadDimUnit, kMaxHeadDim).value_or(head_dim));
    layers[index].n_kv_heads =
        static_cast<int>(entry.integer("num_key_value_heads", 1, kMaxHeads).value_or(n_kv));
  }
}

// Layers from first_shared on read the K and V of the last layer of their kind before it.
void set_donors(const ConfigObject& text, std::vector<LayerConfig>& layers, int first_shared) {
  std::optional<int> donor[2];
  for (int l = 0; l < static_cast<int>(layers.size()); ++l) {
    auto& last = donor[layers[l].kind == LayerKind::global ? 1 : 0];
    if (l < first_shared) last = l;
    if (!last) {
      text.refuse("num_kv_shared_layers",
                  "leaves layer " + std::to_string(l) +
                      " without a layer of its kind to take keys and values from");
    }
    layers[l].kv_layer = *last;
    const LayerConfig& from = layers[*last];
    if (from.head_dim != layers[l].head_dim || from.n_kv_heads != layers[l].n_kv_heads) {
      text.refuse("num_kv_shared_layers",
                  "makes layer " + std::to_string(l) +
                      " share keys and values of another shape with layer " +
                      std::to_string(*last));
    }
  }
}

// One rotary table serves all layers of a kind, so they must agree on the size of a head.
void check_heads(const ConfigObject& text, const std::vector<LayerConfig>& layers) {
  std::optional<int> head_dim[2];
  for (size_t l = 0; l < layers.size(); ++l) {
    const LayerConfig& layer = layers[l];
    const std::string which = " (layer " + std::to_string(l) + ")";
    if (layer.head_dim % kHeadDimUnit != 0) {
      text.refuse("head_dim", "must be a multiple of " + std::to_string(kHeadDimUnit) + which);
    }
    auto& of_kind = head_dim[layer.kind == LayerKind::global ? 1 : 0];
    if (of_kind.value_or(layer.head_dim) != layer.head_dim) {
      text.refuse("head_dim", "differs between layers of one kind" + which);
    }
    of_kind = layer.head_dim;
    if (layer.n_heads % layer.n_kv_heads != 0) {
      text.refuse("num_attention_heads", "must be a multiple of num_key_value_heads, " +
                                             std::to_string(layer.n_kv_heads) + which);
    }
  }
}

}  // namespace

std::vector<LayerConfig> read_layers(const ConfigObject& text) {
  const auto n_layers =
      static_cast<int>(required_integer(text, "num_hidden_layers", 1, kMaxLayers));
  const auto n_heads =
      static_cast<int>(required_integer(text, "num_attention_heads", 1, kMaxHeads));
  const auto ffn = static_cast<int>(required_integer(text, "intermediate_size", 1, kMaxFfn));
  const auto shared =
      static_cast<int>(text.integer("num_kv_shared_layers", 0, n_layers - 1).value_or(0));
  const bool k_eq_v = text.boolean("attention_k_eq_v").value_or(false);
  const bool double_wide = text.boolean("use_double_wide_mlp").value_or(false);
  const int first_shared = n_layers - shared;

  const std::vector<LayerKind> kinds = read_kinds(text, n_layers);
  std::vector<LayerConfig> layers(n_layers);
  for (int l = 0; l < n_layers; ++l) {
    layers[l].kind = kinds[l];
    layers[l].n_heads = n_heads;
    layers[l].k_eq_v = k_eq_v && kinds[l] == LayerKind::global;
    layers[l].ffn = double_wide && l >= first_shared ? 2 * ffn : ffn;
    if (kinds[l] == LayerKind::sliding) {
      layers[l].window = static_cast<int>(required_integer(text, "sliding_window", 1, kMaxWindow));
    }
  }
  if (const auto per_layer = text.object("per_layer_config")) {
    set_heads_by_layer(text, *per_layer, layers);
  } else {
    set_heads_by_kind(text, layers);
  }
  check_heads(text, layers);
  set_donors(text, layers, first_shared);
  return layers;
}

}  // namespace lapidary
