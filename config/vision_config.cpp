#include "config/vision_config.h"

namespace lapidary {
namespace {

constexpr int64_t kMaxHidden = 65536;
constexpr int64_t kMaxPositions = 1 << 20;

// The processor's own numbers; images are cut and pooled by them before a tower sees anything.
void expect(const ConfigObject& vision, const char* key, int64_t value) {
  const auto found = vision.integer(key, 1, kMaxHidden);
  if (found && *found != value) {
    vision.refuse(key, "is " + std::to_string(*found) + ", but only " + std::to_string(value) +
                           " is supported");
  }
}

double read_theta(const ConfigObject& vision) {
  const auto rope = vision.object("rope_parameters");
  if (!rope) return 100.0;
  const std::string type = rope->text("rope_type").value_or("default");
  if (type != "default" && type != "axial") {
    rope->refuse("rope_type", "is \"" + printable(type) +
                                  "\", but only \"default\" and \"axial\" "
                                  "are supported for a vision tower");
  }
  return rope->number("rope_theta", 1.0, 1e12).value_or(100.0);
}

}  // namespace

VisionConfig read_vision_config(const ConfigObject& vision) {
  const auto size = [&](const char* key) {
    return static_cast<int>(vision.require(key, vision.integer(key, 1, kMaxHidden)));
  };
  expect(vision, "patch_size", 16);
  expect(vision, "pooling_kernel_size", 3);
  VisionConfig config{.hidden = size("hidden_size"),
                      .n_layers = size("num_hidden_layers"),
                      .n_heads = size("num_attention_heads"),
                      .head_dim = size("head_dim"),
                      .ffn = size("intermediate_size"),
                      .rope_theta = read_theta(vision)};
  const auto n_kv_heads = vision.integer("num_key_value_heads", 1, kMaxHidden);
  if (n_kv_heads.value_or(config.n_heads) != config.n_heads) {
    vision.refuse("num_key_value_heads", "differs from num_attention_heads");
  }
  if (config.head_dim % 4 != 0) {
    vision.refuse("head_dim", "is no multiple of 4, so its halves have no pairs to rotate");
  }
  if (vision.boolean("attention_bias").value_or(false)) {
    vision.refuse("attention_bias", "is true, but biases in attention are not supported");
  }
  const std::string activation = vision.text("hidden_activation").value_or("gelu_pytorch_tanh");
  if (activation != "gelu_pytorch_tanh") {
    vision.refuse("hidden_activation", "is \"" + printable(activation) +
                                           "\", but only \"gelu_pytorch_tanh\" is supported");
  }
  config.n_positions =
      static_cast<int>(vision.integer("position_embedding_size", 1, kMaxPositions).value_or(10240));
  config.rms_eps = static_cast<float>(vision.number("rms_norm_eps", 1e-12, 1.0).value_or(1e-6));
  config.clips = vision.boolean("use_clipped_linears").value_or(false);
  config.standardizes = vision.boolean("standardize").value_or(false);
  return config;
}

}  // namespace lapidary
