#include "config/model_config.h"

#include <algorithm>
#include <cmath>
#include <system_error>

#include "config/checked_json.h"
#include "config/layer_table.h"
#include "config/startup_error.h"

namespace lapidary {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxHidden = 65536;
constexpr int64_t kMaxVocab = 1 << 22;
constexpr int64_t kMaxPositions = 1 << 24;
constexpr int64_t kMaxExperts = 4096;
constexpr int64_t kMaxTopK = 64;
constexpr int64_t kMaxPleDim = 4096;

// The text part: a "text_config" inside a multimodal file, or the whole of a text-only one.
ConfigObject text_part(const ConfigObject& file) {
  const std::string type = file.require("model_type", file.text("model_type"));
  if (type == "gemma4_text" || type == "gemma4_unified_text") return file;
  if (type == "gemma4" || type == "gemma4_unified") {
    return file.require("text_config", file.object("text_config"));
  }
  if (type == "gemma4_assistant" || type == "gemma4_unified_assistant") {
    file.refuse("model_type", "says that this is a drafter (\"" + type +
                                  "\"), which cannot answer by itself; give its target model");
  }
  file.refuse("model_type", "is \"" + printable(type) + "\", but only Gemma 4 models are served");
}

// What other Gemma 4 files may ask for and this engine does not compute.
void refuse_unsupported(const ConfigObject& file, const ConfigObject& text) {
  for (const ConfigObject* o : {&file, &text}) {
    if (o->find("quantization_config") != nullptr) {
      o->refuse("quantization_config",
                "asks for quantized weights, which are not supported; use the unquantized model");
    }
  }
  if (text.boolean("attention_bias").value_or(false)) {
    text.refuse("attention_bias", "is true, but biases in attention are not supported");
  }
  const std::string activation = text.text("hidden_activation").value_or("gelu_pytorch_tanh");
  if (activation != "gelu_pytorch_tanh") {
    text.refuse("hidden_activation", "is \"" + printable(activation) +
                                         "\", but only \"gelu_pytorch_tanh\" is supported");
  }
  if (const nlohmann::json* v = text.find("use_bidirectional_attention")) {
    // "vision" concerns image tokens only; a false some writers put for null.
    if (*v != "vision" && *v != false) {
      text.refuse("use_bidirectional_attention",
                  "asks for bidirectional text attention, which is another kind of model; only "
                  "null and \"vision\" are supported");
    }
  }
  if (text.find("rope_scaling") != nullptr) {
    text.refuse("rope_scaling", "is not supported; Gemma 4 files use `rope_parameters`");
  }
}

RopeConfig read_rope(const ConfigObject& entry, LayerKind kind) {
  RopeConfig rope;
  const std::string type = entry.require("rope_type", entry.text("rope_type"));
  rope.theta = entry.require("rope_theta", entry.number("rope_theta", 1.0, 1e12));
  if (type == "proportional") {
    rope.partial_rotary_factor = entry.number("partial_rotary_factor", 0.0, 1.0).value_or(1.0);
    rope.factor = entry.number("factor", 1e-6, 1e6).value_or(1.0);
  } else if (type == "default") {
    for (const char* key : {"partial_rotary_factor", "factor"}) {
      if (entry.number(key, 0.0, 1e6).value_or(1.0) != 1.0) {
        entry.refuse(key, "has no meaning for the \"default\" rope_type");
      }
    }
  } else {
    entry.refuse("rope_type", "is \"" + printable(type) +
                                  "\", but only \"default\" and \"proportional\" are "
                                  "supported for " +
                                  (kind == LayerKind::sliding ? "sliding" : "full") + " layers");
  }
  return rope;
}

void read_ropes(const ConfigObject& text, ModelConfig& config) {
  const auto parameters = text.object("rope_parameters");
  if (!parameters) {
    config.rope_sliding = {.theta = 10000.0};
    config.rope_global = {.theta = 1000000.0, .partial_rotary_factor = 0.25};
    return;
  }
  const auto read = [&](const char* key, LayerKind kind) {
    const bool occurs = std::any_of(config.layers.begin(), config.layers.end(),
                                    [&](const LayerConfig& l) { return l.kind == kind; });
    const auto entry = parameters->object(key);
    if (!entry && !occurs) return RopeConfig();
    return read_rope(parameters->require(key, entry), kind);
  };
  config.rope_sliding = read("sliding_attention", LayerKind::sliding);
  config.rope_global = read("full_attention", LayerKind::global);
  for (const LayerConfig& layer : config.layers) {
    if (config.rope(layer.kind).n_angles(layer.head_dim) == 0) {
      parameters->refuse("partial_rotary_factor", "is so small that nothing would rotate");
    }
  }
}

// The value under the first of the two names that has one.
std::optional<int64_t> aliased(const ConfigObject& o, const char* name, const char* old_name,
                               int64_t min, int64_t max) {
  const auto value = o.integer(name, min, max);
  return value ? value : o.integer(old_name, min, max);
}

void read_moe(const ConfigObject& text, ModelConfig& config) {
  const auto enabled = text.boolean("enable_moe_block");
  if (!enabled.value_or(text.boolean("use_second_mlp_block").value_or(false))) return;
  config.n_experts =
      static_cast<int>(text.require("num_experts", text.integer("num_experts", 1, kMaxExperts)));
  config.top_k_experts = static_cast<int>(text.require(
      "top_k_experts",
      text.integer("top_k_experts", 1, std::min<int64_t>(kMaxTopK, config.n_experts))));
  config.moe_ffn = static_cast<int>(text.require(
      "moe_intermediate_size",
      aliased(text, "moe_intermediate_size", "expert_intermediate_size", 1, kMaxHidden)));
}

void read_per_layer_embeddings(const ConfigObject& text, ModelConfig& config) {
  const char* key = "hidden_size_per_layer_input";
  // Null and 0 mean none; an absent key means 256 to the official implementation and is never what
  // a published file has.
  if (!text.mentions(key)) text.refuse(key, "is missing; models without it say 0 or null");
  config.ple_dim = static_cast<int>(text.integer(key, 0, kMaxPleDim).value_or(0));
  if (config.ple_dim == 0) return;
  const char* vocab = "vocab_size_per_layer_input";
  config.ple_vocab = static_cast<int>(text.require(vocab, text.integer(vocab, 1, kMaxVocab)));
  if (config.ple_vocab < config.vocab) {
    text.refuse(vocab, "is " + std::to_string(config.ple_vocab) + ", less than vocab_size (" +
                           std::to_string(config.vocab) + "), so some tokens would have no row");
  }
}

std::string read_dtype(const ConfigObject& file, const ConfigObject& text) {
  for (const ConfigObject* o : {&file, &text}) {
    for (const char* key : {"dtype", "torch_dtype"}) {
      const auto type = o->text(key);
      if (!type) continue;
      if (*type != "bfloat16" && *type != "float16" && *type != "float32") {
        o->refuse(key, "is \"" + printable(*type) +
                           "\", but only bfloat16, float16 and float32 are supported");
      }
      return *type;
    }
  }
  file.refuse("dtype", "is missing; add the type of the weights, for example \"bfloat16\"");
}

std::vector<int32_t> narrowed(const std::vector<int64_t>& ids) { return {ids.begin(), ids.end()}; }

// Ids beyond the vocabulary (a small model with the official defaults) can be neither given nor
// produced, so they are left out.
std::vector<int32_t> read_ids_of(const ConfigObject& file, int vocab,
                                 std::initializer_list<const char*> keys) {
  std::vector<int32_t> ids;
  for (const char* key : keys) {
    const auto id = file.integer(key, 0, kMaxVocab);
    if (id && *id < vocab) ids.push_back(static_cast<int32_t>(*id));
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

void read_ids(const ConfigObject& file, const ConfigObject& text, ModelConfig& config) {
  const int64_t last = config.vocab - 1;
  const auto one = [&](const char* key, int32_t fallback) {
    auto id = text.integer(key, 0, last);
    if (!id) id = file.integer(key, 0, last);
    return static_cast<int32_t>(id.value_or(std::min<int64_t>(fallback, last)));
  };
  config.ids.bos = one("bos_token_id", 2);
  config.ids.pad = one("pad_token_id", 0);
  auto eos = file.integers("eos_token_id", 0, last);
  if (!eos) eos = text.integers("eos_token_id", 0, last);
  if (eos) config.ids.eos = narrowed(*eos);
  config.ids.placeholders =
      read_ids_of(file, config.vocab, {"image_token_id", "audio_token_id", "video_token_id"});
  config.ids.media =
      read_ids_of(file, config.vocab,
                  {"boi_token_id", "boa_token_id", "image_token_id", "audio_token_id",
                   "eoi_token_id", "eoa_token_id", "eoa_token_index", "video_token_id"});
}

void read_sizes(const ConfigObject& file, const ConfigObject& text, ModelConfig& config) {
  const auto size = [&](const char* key, int64_t max) {
    return static_cast<int>(text.require(key, text.integer(key, 1, max)));
  };
  config.hidden = size("hidden_size", kMaxHidden);
  config.vocab = size("vocab_size", kMaxVocab);
  config.max_positions = size("max_position_embeddings", kMaxPositions);
  config.rms_eps =
      static_cast<float>(text.require("rms_norm_eps", text.number("rms_norm_eps", 1e-12, 1.0)));
  config.logit_cap =
      static_cast<float>(text.number("final_logit_softcapping", 0.0, 1e6).value_or(0.0));
  // Of a multimodal file the top level counts, whatever its text part says.
  config.tie_embeddings = file.boolean("tie_word_embeddings").value_or(true);
}

}  // namespace

int RopeConfig::n_angles(int head_dim) const {
  return static_cast<int>(partial_rotary_factor * head_dim / 2);
}

std::vector<float> RopeConfig::inv_freq(int head_dim) const {
  std::vector<float> freq(n_angles(head_dim));
  const auto base = static_cast<double>(static_cast<float>(theta));
  for (size_t i = 0; i < freq.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
    const auto power = static_cast<float>(std::pow(base, static_cast<double>(exponent)));
    freq[i] = 1.0F / power;
    if (factor != 1.0) freq[i] /= static_cast<float>(factor);
  }
  return freq;
}

void ModelConfig::apply_generation_config(const fs::path& path) {
  const ConfigObject file(read_checked_json(path, JsonLimits{}), path.string());
  const int64_t last = vocab - 1;
  if (const auto eos = file.integers("eos_token_id", 0, last)) ids.eos = narrowed(*eos);
  GenerationDefaults g;
  g.do_sample = file.boolean("do_sample").value_or(g.do_sample);
  g.temperature =
      static_cast<float>(file.number("temperature", 0.0, 100.0).value_or(g.temperature));
  g.top_k = static_cast<int>(file.integer("top_k", 0, kMaxVocab).value_or(g.top_k));
  g.top_p = static_cast<float>(file.number("top_p", 0.0, 1.0).value_or(g.top_p));
  g.min_p = static_cast<float>(file.number("min_p", 0.0, 1.0).value_or(g.min_p));
  g.repetition_penalty = static_cast<float>(
      file.number("repetition_penalty", 1e-3, 1e3).value_or(g.repetition_penalty));
  if (const auto suppressed = file.integers("suppress_tokens", 0, kMaxVocab)) {
    for (int64_t id : *suppressed) {
      if (id <= last) g.suppress_tokens.push_back(static_cast<int32_t>(id));
    }
  }
  generation = std::move(g);
}

ModelConfig ModelConfig::load(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    throw StartupError(folder.string() + " is not a folder with a model's files.");
  }
  const fs::path path = folder / "config.json";
  const ConfigObject file(read_checked_json(path, JsonLimits{}), path.string());
  const ConfigObject text = text_part(file);
  refuse_unsupported(file, text);

  ModelConfig config;
  config.model_type = *file.text("model_type");
  config.dtype = read_dtype(file, text);
  read_sizes(file, text, config);
  config.layers = read_layers(text);
  read_ropes(text, config);
  read_moe(text, config);
  read_per_layer_embeddings(text, config);
  // The encoder-free files (gemma4_unified) have another kind of vision, not computed yet.
  if (const auto vision = file.object("vision_config"); vision && config.model_type == "gemma4") {
    config.vision = read_vision_config(*vision);
  }
  const nlohmann::json* both_ways = text.find("use_bidirectional_attention");
  config.sees_images_whole = both_ways != nullptr && *both_ways == "vision";
  config.has_audio = file.object("audio_config").has_value();
  read_ids(file, text, config);

  const fs::path generation = folder / "generation_config.json";
  if (fs::exists(generation, error)) config.apply_generation_config(generation);
  if (config.ids.eos.empty()) {
    file.refuse("eos_token_id", "is missing, here and in generation_config.json");
  }
  return config;
}

}  // namespace lapidary
