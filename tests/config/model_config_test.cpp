// ModelConfig::load on the five sizes, on both spellings and on files that must be refused.
#include "config/model_config.h"

#include <cmath>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "config/startup_error.h"
#include "tests/catch.h"
#include "tests/scratch_folder.h"
#include "tests/thrown.h"

using namespace lapidary;
using nlohmann::json;

namespace {

std::filesystem::path golden(const std::string& size) {
  return std::filesystem::path(LAPIDARY_SOURCE_DIR) / "tests/golden/configs" / size;
}

json golden_json(const std::string& size) {
  std::ifstream file(golden(size) / "config.json");
  return json::parse(file);
}

ModelConfig load(const json& config, const json& generation = nullptr) {
  const ScratchFolder folder;
  folder.write("config.json", config.dump());
  if (!generation.is_null()) folder.write("generation_config.json", generation.dump());
  return ModelConfig::load(folder.path());
}

// The published file of a size with a change, applied to the whole and to its text part.
ModelConfig changed(const std::string& size, const std::function<void(json&, json&)>& change) {
  json config = golden_json(size);
  change(config, config["text_config"]);
  return load(config);
}

std::string refusal(const std::string& size, const std::function<void(json&, json&)>& change) {
  return thrown_by<StartupError>([&] { changed(size, change); });
}

// The text part alone, as text-only checkpoints are saved.
json text_only(const std::string& size) {
  const json config = golden_json(size);
  json text = config["text_config"];
  text["dtype"] = config["dtype"];
  return text;
}

bool same_shape(const LayerConfig& a, const LayerConfig& b) {
  return a.kind == b.kind && a.n_heads == b.n_heads && a.n_kv_heads == b.n_kv_heads &&
         a.head_dim == b.head_dim && a.window == b.window && a.k_eq_v == b.k_eq_v &&
         a.kv_layer == b.kv_layer && a.ffn == b.ffn;
}

}  // namespace

TEST_CASE("the five published sizes load with their published shapes", "[config]") {
  struct Row {
    const char* size;
    int hidden, n_layers, n_global, n_heads, sliding_kv, global_kv, window, ffn_first, ffn_last;
    bool k_eq_v;
    int ple_dim, n_experts;
  };
  const Row row = GENERATE(Row{"E2B", 1536, 35, 7, 8, 1, 1, 512, 6144, 12288, false, 256, 0},
                           Row{"E4B", 2560, 42, 7, 8, 2, 2, 512, 10240, 10240, false, 256, 0},
                           Row{"12B", 3840, 48, 8, 16, 8, 1, 1024, 15360, 15360, true, 0, 0},
                           Row{"26B-A4B", 2816, 30, 5, 16, 8, 2, 1024, 2112, 2112, true, 0, 128},
                           Row{"31B", 5376, 60, 10, 32, 16, 4, 1024, 21504, 21504, true, 0, 0});
  INFO(row.size);
  const ModelConfig c = ModelConfig::load(golden(row.size));
  REQUIRE(c.n_layers() == row.n_layers);
  CHECK(c.hidden == row.hidden);
  CHECK(c.vocab == 262144);
  CHECK(c.dtype == "bfloat16");
  CHECK(c.rms_eps == 1e-6F);
  CHECK(c.logit_cap == 30.0F);
  CHECK(c.tie_embeddings);
  CHECK(c.ple_dim == row.ple_dim);
  CHECK(c.is_small_variant() == (row.ple_dim > 0));
  CHECK(c.n_experts == row.n_experts);
  CHECK(c.layers.front().ffn == row.ffn_first);
  CHECK(c.layers.back().ffn == row.ffn_last);
  int n_global = 0;
  for (const LayerConfig& layer : c.layers) {
    const bool global = layer.kind == LayerKind::global;
    n_global += global ? 1 : 0;
    CHECK(layer.n_heads == row.n_heads);
    CHECK(layer.head_dim == (global ? 512 : 256));
    CHECK(layer.n_kv_heads == (global ? row.global_kv : row.sliding_kv));
    CHECK(layer.window == (global ? 0 : row.window));
    CHECK(layer.k_eq_v == (global && row.k_eq_v));
  }
  CHECK(n_global == row.n_global);
  CHECK(c.rope_sliding.n_angles(256) == 128);
  CHECK(c.rope_global.n_angles(512) == 64);
}

TEST_CASE("layers that share KV read the last layer of their kind that owns it", "[config]") {
  const ModelConfig e2b = ModelConfig::load(golden("E2B"));
  CHECK(e2b.layers[14].owns_kv(14));
  CHECK(e2b.layers[15].kv_layer == 13);
  CHECK(e2b.layers[34].kv_layer == 14);
  CHECK(e2b.layers[14].ffn == 6144);  // double width begins with the sharing layers
  CHECK(e2b.layers[15].ffn == 12288);
  const ModelConfig e4b = ModelConfig::load(golden("E4B"));
  CHECK(e4b.layers[24].kv_layer == 22);
  CHECK(e4b.layers[41].kv_layer == 23);

  // Not by adjacency: (5 sliding + 1 full) x 2 with five sharing.
  const ModelConfig odd = changed("E4B", [](json&, json& text) {
    text["num_hidden_layers"] = 12;
    text["layer_types"] = nullptr;
    text["num_kv_shared_layers"] = 5;
  });
  CHECK(odd.layers[7].kv_layer == 6);
  CHECK(odd.layers[11].kv_layer == 5);
}

TEST_CASE("both spellings of per-layer heads give the same layers", "[config]") {
  const ModelConfig old_spelling = ModelConfig::load(golden("26B-A4B"));
  const ModelConfig new_spelling = changed("26B-A4B", [](json&, json& text) {
    text.erase("global_head_dim");
    text.erase("num_global_key_value_heads");
    for (const char* key : {"05", "11", "17", "23", "29"}) {
      text["per_layer_config"][key] = {{"head_dim", 512}, {"num_key_value_heads", 2}};
    }
  });
  for (int l = 0; l < 30; ++l) {
    INFO(l);
    CHECK(same_shape(old_spelling.layers[l], new_spelling.layers[l]));
  }
}

TEST_CASE("per_layer_config alone decides where it is present", "[config]") {
  const ModelConfig c = changed("26B-A4B", [](json&, json& text) {
    text["num_hidden_layers"] = 10;
    text["layer_types"] = std::vector<std::string>(8, "sliding_attention");
    text["layer_types"].push_back("full_attention");
    text["layer_types"].push_back("full_attention");
    // "08" is eight: base 10, zero-padded.
    text["per_layer_config"] = {
        {"08", {{"head_dim", 128}}}, {"9", {{"head_dim", 128}}}, {"3", json::object()}};
  });
  CHECK(c.layers[8].head_dim == 128);  // global_head_dim beside it is ignored
  CHECK(c.layers[9].head_dim == 128);
  CHECK(c.layers[8].n_kv_heads == 8);  // as is num_global_key_value_heads
  CHECK(c.layers[3].head_dim == 256);

  const ModelConfig few = changed("E2B", [](json&, json& text) {
    text["num_hidden_layers"] = 10;
    text["layer_types"] = nullptr;
    text["num_kv_shared_layers"] = 0;
    text["per_layer_config"] = {{"5", {{"num_key_value_heads", 2}}}};
  });
  CHECK(few.layers[5].n_kv_heads == 2);  // whatever attention_k_eq_v says
  CHECK(few.layers[5].head_dim == 256);
}

TEST_CASE("the old spelling's defaults are those of the official implementation", "[config]") {
  const ModelConfig c = changed("26B-A4B", [](json&, json& text) {
    text.erase("global_head_dim");
    text["num_global_key_value_heads"] = nullptr;
  });
  CHECK(c.layers[5].head_dim == 512);
  CHECK(c.layers[5].n_kv_heads == 8);
  // The number of global heads counts only with K = V.
  const ModelConfig apart =
      changed("26B-A4B", [](json&, json& text) { text["attention_k_eq_v"] = false; });
  CHECK(apart.layers[5].n_kv_heads == 8);
}

TEST_CASE("older names of the MoE block are understood, and null is absent", "[config]") {
  const ModelConfig c = changed("26B-A4B", [](json&, json& text) {
    text.erase("enable_moe_block");
    text["use_second_mlp_block"] = true;
    text["moe_intermediate_size"] = nullptr;
    text["expert_intermediate_size"] = 704;
  });
  CHECK(c.n_experts == 128);
  CHECK(c.top_k_experts == 8);
  CHECK(c.moe_ffn == 704);
  const ModelConfig dense =
      changed("26B-A4B", [](json&, json& text) { text["enable_moe_block"] = false; });
  CHECK(dense.n_experts == 0);
}

TEST_CASE("absent layer types are five sliding to one global, and the last is global", "[config]") {
  const ModelConfig c = changed("26B-A4B", [](json&, json& text) {
    text.erase("layer_types");
    text["num_hidden_layers"] = 8;
  });
  CHECK(c.layers[4].kind == LayerKind::sliding);
  CHECK(c.layers[5].kind == LayerKind::global);
  CHECK(c.layers[6].kind == LayerKind::sliding);
  CHECK(c.layers[7].kind == LayerKind::global);
  const ModelConfig forced =
      changed("26B-A4B", [](json&, json& text) { text["layer_types"][29] = "sliding_attention"; });
  CHECK(forced.layers[29].kind == LayerKind::global);
}

TEST_CASE("RoPE comes from the file; only where it is silent do defaults hold", "[config]") {
  const ModelConfig absent =
      changed("31B", [](json&, json& text) { text.erase("rope_parameters"); });
  CHECK(absent.rope_sliding.theta == 10000.0);
  CHECK(absent.rope_global.theta == 1e6);
  CHECK(absent.rope_global.n_angles(512) == 64);
  const ModelConfig whole = changed("31B", [](json&, json& text) {
    json& full = text["rope_parameters"]["full_attention"];
    full.erase("partial_rotary_factor");
    full["factor"] = 8.0;
    full["rope_theta"] = 5e5;
  });
  CHECK(whole.rope_global.n_angles(512) == 256);  // absent in the entry: all pairs rotate
  const std::vector<float> freq = whole.rope_global.inv_freq(512);
  CHECK(freq.size() == 256);
  CHECK(freq[0] == Approx(1.0 / 8.0));
  CHECK(freq[128] == Approx(1.0 / 8.0 / std::sqrt(5e5)));
}

TEST_CASE("the last rotating frequency has the whole head as its denominator", "[config]") {
  const ModelConfig c = ModelConfig::load(golden("26B-A4B"));
  const std::vector<float> global = c.rope_global.inv_freq(512);
  REQUIRE(global.size() == 64);
  CHECK(global[63] == Approx(0.0333762).epsilon(1e-5));
  const std::vector<float> sliding = c.rope_sliding.inv_freq(256);
  REQUIRE(sliding.size() == 128);
  CHECK(sliding[0] == 1.0F);
  CHECK(sliding[64] == Approx(0.01));
}

TEST_CASE("a text-only folder loads like the text part of a whole one", "[config]") {
  for (const char* size : {"26B-A4B", "12B", "E2B"}) {
    const ModelConfig whole = ModelConfig::load(golden(size));
    const ModelConfig text = load(text_only(size));
    REQUIRE(text.n_layers() == whole.n_layers());
    for (int l = 0; l < text.n_layers(); ++l) CHECK(same_shape(text.layers[l], whole.layers[l]));
    CHECK_FALSE(text.vision.has_value());
    CHECK(text.ids.eos == std::vector<int32_t>{1});
    CHECK(text.ids.media.empty());
  }
}

TEST_CASE("towers may be null or missing", "[config]") {
  const ModelConfig c = changed("E4B", [](json& file, json&) {
    file["vision_config"] = nullptr;
    file.erase("audio_config");
  });
  CHECK_FALSE(c.vision.has_value());
  CHECK_FALSE(c.has_audio);
  CHECK(ModelConfig::load(golden("E4B")).has_audio);
  CHECK_FALSE(ModelConfig::load(golden("12B")).vision.has_value());
}

TEST_CASE("the two shapes of vision towers", "[config]") {
  const VisionConfig large = *ModelConfig::load(golden("26B-A4B")).vision;
  CHECK(large.n_layers == 27);
  CHECK(large.hidden == 1152);
  CHECK(large.n_heads == 16);
  CHECK(large.head_dim == 72);
  CHECK(large.ffn == 4304);
  CHECK(large.n_positions == 10240);
  CHECK(large.rope_theta == 100.0);
  CHECK(large.standardizes);
  CHECK_FALSE(large.clips);
  const VisionConfig small = *ModelConfig::load(golden("E2B")).vision;
  CHECK(small.n_layers == 16);
  CHECK(small.head_dim == 64);
  CHECK(small.clips);
  CHECK_FALSE(small.standardizes);
  CHECK(ModelConfig::load(golden("26B-A4B")).sees_images_whole);
  CHECK_FALSE(ModelConfig::load(golden("E2B")).sees_images_whole);
}

TEST_CASE("vision towers of other shapes are refused by name", "[config]") {
  const auto refusal_of = [](const std::function<void(json&)>& change) {
    return refusal("26B-A4B", [&](json& file, json&) { change(file["vision_config"]); });
  };
  CHECK(contains(refusal_of([](json& v) { v["patch_size"] = 14; }), "patch_size"));
  CHECK(contains(refusal_of([](json& v) { v["pooling_kernel_size"] = 2; }), "pooling_kernel_size"));
  CHECK(contains(refusal_of([](json& v) { v["num_key_value_heads"] = 4; }), "num_key_value_heads"));
  CHECK(contains(refusal_of([](json& v) { v["head_dim"] = 70; }), "head_dim"));
  CHECK(contains(refusal_of([](json& v) { v["attention_bias"] = true; }), "attention_bias"));
  CHECK(
      contains(refusal_of([](json& v) { v["hidden_activation"] = "gelu"; }), "hidden_activation"));
  CHECK(contains(refusal_of([](json& v) { v["rope_parameters"]["rope_type"] = "yarn"; }),
                 "rope_type"));
  CHECK(contains(refusal_of([](json& v) { v.erase("hidden_size"); }), "hidden_size"));
}

TEST_CASE("stop ids are generation_config's, else the top level's, else the text part's",
          "[config]") {
  json file = golden_json("26B-A4B");
  CHECK(load(file, {{"eos_token_id", {1, 106, 50}}}).ids.eos == std::vector<int32_t>{1, 106, 50});
  CHECK(load(file, {{"_from_model_config", true}}).ids.eos == std::vector<int32_t>{1, 106});
  CHECK(load(file).ids.eos == std::vector<int32_t>{1, 106});
  file.erase("eos_token_id");
  CHECK(load(file).ids.eos == std::vector<int32_t>{1});
  file["text_config"].erase("eos_token_id");
  CHECK(contains(thrown_by<StartupError>([&] { load(file); }), "eos_token_id"));
  CHECK(load(file, {{"eos_token_id", 1}}).ids.eos == std::vector<int32_t>{1});
}

TEST_CASE("sampling defaults come from generation_config, each optional", "[config]") {
  const json file = golden_json("26B-A4B");
  const GenerationDefaults g = load(file, {{"temperature", 0.7},
                                           {"top_k", 64},
                                           {"top_p", 0.95},
                                           {"do_sample", true},
                                           {"suppress_tokens", {258883, 258882, 999999}}})
                                   .generation;
  CHECK(g.temperature == 0.7F);
  CHECK(g.top_k == 64);
  CHECK(g.top_p == 0.95F);
  CHECK(g.suppress_tokens == std::vector<int32_t>{258883, 258882});  // 999999 is no token
  const GenerationDefaults none = load(file, json::object()).generation;
  CHECK(none.temperature == 1.0F);
  CHECK(none.top_k == 0);
  CHECK(none.top_p == 1.0F);
  CHECK(none.suppress_tokens.empty());
}

TEST_CASE("media ids come from the file, without repeats", "[config]") {
  json file = golden_json("26B-A4B");
  file["eoa_token_id"] = 258883;  // beside eoa_token_index
  CHECK(load(file).ids.media ==
        std::vector<int32_t>{255999, 256000, 258880, 258881, 258882, 258883, 258884});
  file["image_token_id"] = 77;
  CHECK(load(file).ids.media.front() == 77);
}

TEST_CASE("what this engine does not compute is refused by name", "[config]") {
  const auto text_field = [](const char* key, json value) {
    return refusal("26B-A4B", [&](json&, json& text) { text[key] = value; });
  };
  CHECK(contains(text_field("attention_bias", true), "attention_bias"));
  CHECK(contains(text_field("use_bidirectional_attention", "all"), "bidirectional"));
  CHECK(contains(text_field("hidden_activation", "silu"), "silu"));
  CHECK(contains(text_field("rope_scaling", {{"type", "yarn"}}), "rope_scaling"));
  const auto file_field = [](const char* key, json value) {
    return refusal("26B-A4B", [&](json& file, json&) { file[key] = value; });
  };
  CHECK(contains(file_field("model_type", "gemma3"), "only Gemma 4"));
  CHECK(contains(file_field("model_type", "gemma4_assistant"), "drafter"));
  CHECK(contains(file_field("dtype", "float8"), "float8"));
  CHECK(contains(file_field("quantization_config", {{"quant_method", "x"}}), "quantized"));
  CHECK(contains(refusal("26B-A4B",
                         [](json&, json& text) {
                           text["rope_parameters"]["full_attention"]["rope_type"] = "yarn";
                         }),
                 "yarn"));
  CHECK(contains(refusal("E2B", [](json&, json& t) { t["num_kv_shared_layers"] = 32; }),
                 "num_kv_shared_layers"));  // no global layer is left to take KV from
  CHECK(contains(refusal("E2B", [](json&, json& t) { t["vocab_size_per_layer_input"] = 1000; }),
                 "vocab_size_per_layer_input"));
  CHECK(contains(refusal("26B-A4B",
                         [](json&, json& text) {
                           text["per_layer_config"] = {{"3", {{"head_dim", 128}}}};
                         }),
                 "differs between layers of one kind"));
  // Absent, it would mean 256 to the official implementation: never guessed.
  CHECK(contains(refusal("26B-A4B", [](json&, json& t) { t.erase("hidden_size_per_layer_input"); }),
                 "hidden_size_per_layer_input"));
  CHECK(changed("26B-A4B", [](json&, json& t) {
          t["hidden_size_per_layer_input"] = nullptr;
        }).ple_dim == 0);
}

TEST_CASE("numbers out of range are refused, never used", "[config]") {
  struct Row {
    const char* key;
    json value;
  };
  const Row row = GENERATE(
      Row{"hidden_size", 0}, Row{"hidden_size", -1}, Row{"hidden_size", 65537},
      Row{"hidden_size", 18446744073709551615ULL}, Row{"hidden_size", 2816.5},
      Row{"hidden_size", "2816"}, Row{"hidden_size", nullptr}, Row{"num_hidden_layers", 0},
      Row{"num_hidden_layers", 100000}, Row{"num_attention_heads", 0},
      Row{"num_attention_heads", 12}, Row{"num_key_value_heads", 0}, Row{"num_key_value_heads", 3},
      Row{"head_dim", 0}, Row{"head_dim", 248}, Row{"head_dim", 100000},
      Row{"intermediate_size", 0}, Row{"intermediate_size", 1 << 30}, Row{"sliding_window", 0},
      Row{"sliding_window", nullptr}, Row{"vocab_size", (1 << 22) + 1}, Row{"vocab_size", 0},
      Row{"num_experts", 4097}, Row{"num_experts", 0}, Row{"top_k_experts", 129},
      Row{"top_k_experts", 0}, Row{"moe_intermediate_size", 0}, Row{"rms_norm_eps", 0},
      Row{"rms_norm_eps", -1}, Row{"max_position_embeddings", 0}, Row{"num_kv_shared_layers", 30},
      Row{"num_kv_shared_layers", -1}, Row{"final_logit_softcapping", -30},
      Row{"eos_token_id", 262144}, Row{"pad_token_id", -1}, Row{"layer_types", json::array()},
      Row{"layer_types", "sliding_attention"}, Row{"rope_parameters", json::array()},
      Row{"per_layer_config", {{"30", json::object()}}},
      Row{"per_layer_config", {{"5", json::object()}, {"05", json::object()}}},
      Row{"per_layer_config", {{"-1", json::object()}}}, Row{"per_layer_config", {{"x", 1}}},
      Row{"per_layer_config", {{"5", {{"sliding_window", 3}}}}});
  INFO(row.key << " = " << row.value.dump());
  const std::string message = refusal("26B-A4B", [&](json& file, json& text) {
    text[row.key] = row.value;
    if (std::string(row.key) == "eos_token_id") file.erase("eos_token_id");
  });
  CHECK(contains(message, "config.json"));
  CHECK(contains(message, row.key));
}

TEST_CASE("a file that is no config is refused with its name", "[config]") {
  const auto message = [](const std::string& text) {
    const ScratchFolder folder;
    folder.write("config.json", text);
    return thrown_by<StartupError>([&] { ModelConfig::load(folder.path()); });
  };
  CHECK(contains(message(""), "config.json"));
  CHECK(contains(message("[1]"), "config.json"));
  CHECK(contains(message("{\"model_type\": 1}"), "model_type"));
  CHECK(contains(message("{\"model_type\":\"gemma4\",\"model_type\":\"gemma4\"}"), "config.json"));
  CHECK(contains(message("{\"model_type\": \"gemma4\"}"), "text_config"));
  CHECK(contains(message(std::string(100000, '[')), "config.json"));
  CHECK(contains(message("{\"model_type\": \"\\u001b[31m\"}"), "\\u001b"));  // escapes stay escaped

  const ScratchFolder empty;
  CHECK(contains(thrown_by<StartupError>([&] { ModelConfig::load(empty.path()); }),
                 "config.json does not exist"));
  CHECK(contains(thrown_by<StartupError>([&] { ModelConfig::load(empty.path() / "no"); }),
                 "is not a folder"));
}
