#include "engine/model/cuda_support.h"

#include <cstdint>

#include "kernels/cuda_limits.h"

namespace lapidary {
namespace {

std::string head_dims() {
  std::string text;
  for (const int d : cuda::kHeadDims) text += (text.empty() ? "" : ", ") + std::to_string(d);
  return text;
}

std::string why_not(const LayerConfig& layer) {
  const bool is_global = layer.kind == LayerKind::global;
  if (!cuda::computes_head_dim(layer.head_dim)) {
    return std::string(is_global ? "global_head_dim is " : "head_dim is ") +
           std::to_string(layer.head_dim) + ", not one of " + head_dims();
  }
  if (layer.n_heads / layer.n_kv_heads > cuda::kMaxGroup) {
    return "num_attention_heads is " + std::to_string(layer.n_heads) + ", more than " +
           std::to_string(cuda::kMaxGroup) + " for each of " + std::to_string(layer.n_kv_heads) +
           (is_global ? " key heads of full-attention layers" : " num_key_value_heads");
  }
  return "";
}

struct Field {
  const char* name;
  int64_t value, most;
  bool is_columns = false;  // a matrix has as many
};

std::string why_not(const Field& field) {
  const std::string is = std::string(field.name) + " is " + std::to_string(field.value);
  if (field.value > field.most) return is + ", more than " + std::to_string(field.most);
  if (field.is_columns && field.value % cuda::kColumnUnit != 0) {
    return is + ", not a multiple of " + std::to_string(cuda::kColumnUnit);
  }
  return "";
}

}  // namespace

std::string why_not_on_cuda(const ModelConfig& config) {
  for (const LayerConfig& layer : config.layers) {
    std::string why = why_not(layer);
    if (!why.empty()) return why;
  }
  const int64_t any = INT32_MAX;
  for (const Field& field : {Field{"hidden_size", config.hidden, cuda::kMaxHidden, true},
                             Field{"vocab_size", config.vocab, cuda::kMaxVocab},
                             Field{"intermediate_size", config.layers[0].ffn, any, true},
                             Field{"num_experts", config.n_experts, cuda::kMaxExperts},
                             Field{"top_k_experts", config.top_k_experts, cuda::kMaxChosen},
                             Field{"moe_intermediate_size", config.moe_ffn, any, true},
                             Field{"hidden_size_per_layer_input", config.ple_dim, any, true}}) {
    std::string why = why_not(field);
    if (!why.empty()) return why;
  }
  return "";
}

}  // namespace lapidary
