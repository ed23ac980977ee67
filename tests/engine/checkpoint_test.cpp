// Checkpoint folders: which are accepted, and what is said of those that are not.
#include "engine/model/checkpoint.h"

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "config/startup_error.h"
#include "tests/catch.h"
#include "tests/engine/safetensors_text.h"
#include "tests/engine/tiny_config.h"
#include "tests/scratch_folder.h"
#include "tests/thrown.h"

using namespace lapidary;
using nlohmann::json;

namespace {

using Tensors = std::map<std::string, FileTensor>;

// All required tensors of the config, zero, bf16, as a whole checkpoint names them.
Tensors zeros(const ModelConfig& config, const std::string& prefix = "model.language_model.") {
  Tensors tensors;
  for (const TensorSpec& spec : expected_tensors(config)) {
    if (spec.optional) continue;
    const std::string name = spec.name == "lm_head.weight" ? spec.name : prefix + spec.name;
    tensors[name] = {"BF16", spec.shape, std::string(static_cast<size_t>(2 * spec.count()), '\0')};
  }
  return tensors;
}

FileTensor zero(std::vector<int64_t> shape) {
  int64_t n = 2;
  for (int64_t d : shape) n *= d;
  return {"BF16", std::move(shape), std::string(static_cast<size_t>(n), '\0')};
}

std::string refusal(const ModelConfig& config, const Tensors& tensors) {
  const ScratchFolder folder;
  folder.write("model.safetensors", safetensors_text(tensors));
  return thrown_by<StartupError>([&] { Checkpoint::open(folder.path(), config); });
}

// Two shards and their index, with a change to what the index says.
std::string sharded_refusal(const std::function<void(json&)>& change) {
  const ModelConfig config = tiny_config("dense");
  const ScratchFolder folder;
  Tensors parts[2];
  json index;
  for (const auto& [name, tensor] : zeros(config)) {
    const int part = name.find("mlp") == std::string::npos ? 0 : 1;
    parts[part][name] = tensor;
    index["weight_map"][name] = part == 0 ? "a.safetensors" : "b.safetensors";
  }
  folder.write("a.safetensors", safetensors_text(parts[0]));
  folder.write("b.safetensors", safetensors_text(parts[1]));
  change(index);
  folder.write("model.safetensors.index.json", index.dump());
  return thrown_by<StartupError>([&] { Checkpoint::open(folder.path(), config); });
}

ModelConfig published(const char* size) {
  return ModelConfig::load(std::filesystem::path(LAPIDARY_SOURCE_DIR) / "tests/golden/configs" /
                           size);
}

ModelConfig text_part(ModelConfig config) {
  config.vision.reset();
  return config;
}

}  // namespace

TEST_CASE("the number of text tensors is that of the published files", "[engine]") {
  const auto count = [](const char* size, bool with_redundant) {
    int n = 0;
    for (const TensorSpec& spec : expected_tensors(text_part(published(size)))) {
      if (!spec.optional || (with_redundant && spec.unused)) ++n;
    }
    return n;
  };
  CHECK(count("26B-A4B", false) == 657);
  CHECK(count("31B", false) == 832);
  CHECK(count("12B", false) == 666);
  CHECK(count("E2B", false) == 540);
  CHECK(count("E2B", true) == 600);
  CHECK(count("E4B", false) == 665);
  CHECK(count("E4B", true) == 719);
}

TEST_CASE("the number of tensors of a vision tower is that of its layers", "[engine]") {
  const auto count = [](const char* size, bool is_optional) {
    const ModelConfig whole = published(size);
    const auto of = [&](const ModelConfig& config) {
      const std::vector<TensorSpec> specs = expected_tensors(config);
      return std::count_if(specs.begin(), specs.end(),
                           [&](const TensorSpec& spec) { return spec.optional == is_optional; });
    };
    return of(whole) - of(text_part(whole));
  };
  // 7 matrices and 6 norms a layer; the embeddings, two vectors of the large one, the projection.
  CHECK(count("26B-A4B", false) == 27 * 13 + 2 + 2 + 1);
  CHECK(count("26B-A4B", true) == 0);
  CHECK(count("E2B", false) == 16 * 13 + 2 + 1);
  CHECK(count("E2B", true) == 16 * 7 * 4);
}

TEST_CASE("checkpoints that the official implementation wrote open", "[engine]") {
  const auto root = std::filesystem::path(LAPIDARY_SOURCE_DIR) / "tests/golden/checkpoints";
  std::set<std::string> seen;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (!std::filesystem::exists(entry.path() / "config.json")) continue;
    INFO(entry.path());
    const ModelConfig config = ModelConfig::load(entry.path());
    const auto checkpoint = Checkpoint::open(entry.path(), config);
    for (const TensorSpec& spec : expected_tensors(config)) {
      if (spec.optional && !checkpoint->has(spec.name)) continue;
      const HostTensor tensor = checkpoint->get(spec);
      CHECK(tensor.shape == spec.shape);
      checkpoint->done_with(spec);
    }
    seen.insert(entry.path().filename());
  }
  for (const char* name : {"moe", "e2b", "e4b", "dense31b", "unified12b", "moe_text"}) {
    INFO(name);
    CHECK(seen.count(name) == 1);
  }
}

TEST_CASE("both prefixes name the same tensors", "[engine]") {
  const ModelConfig config = tiny_config("moe");
  CHECK(refusal(config, zeros(config, "model.language_model.")).empty());
  CHECK(refusal(config, zeros(config, "model.")).empty());
  Tensors both = zeros(config);
  both["model.norm.weight"] = both["model.language_model.norm.weight"];
  CHECK(contains(refusal(config, both), "norm.weight is the same as"));
}

TEST_CASE("tensors of towers are left alone, whatever they are", "[engine]") {
  const ModelConfig config = tiny_config("dense");
  const ScratchFolder folder;
  Tensors tensors = zeros(config);
  for (const char* name : {"model.vision_tower.a", "model.embed_vision.b", "model.audio_tower.c",
                           "model.embed_audio.d", "model.vision_embedder.e"}) {
    tensors[name] = {"I64", {1}, std::string(8, '\0')};
  }
  folder.write("model.safetensors", safetensors_text(tensors));
  const auto checkpoint = Checkpoint::open(folder.path(), config);
  CHECK(checkpoint->n_other_tensors() == 5);
  CHECK(checkpoint->n_tensors() == static_cast<int64_t>(tensors.size()) - 5);
}

TEST_CASE("a missing, wrong or unexpected tensor is named with its file", "[engine]") {
  const ModelConfig config = tiny_config("moe");
  const std::string p = "model.language_model.layers.1.";
  for (const auto& [name, tensor] : zeros(config)) {
    Tensors without = zeros(config);
    without.erase(name);
    const std::string message = refusal(config, without);
    INFO(name);
    CHECK(contains(message, "model.safetensors lacks tensor"));
    CHECK(contains(message, name.substr(std::string("model.language_model.").size())));
  }
  Tensors wrong = zeros(config);
  wrong[p + "mlp.up_proj.weight"] = zero({3, 5});
  CHECK(contains(refusal(config, wrong),
                 "model.safetensors: tensor " + p + "mlp.up_proj.weight has shape [3, 5]"));
  wrong = zeros(config);
  wrong[p + "layer_scalar"] = {"I16", {1}, std::string(2, '\0')};
  CHECK(contains(refusal(config, wrong), p + "layer_scalar is of type I16"));
  wrong = zeros(config);
  wrong[p + "self_attn.q_proj.weight_scale"] = zero({1});
  CHECK(contains(refusal(config, wrong), "q_proj.weight_scale is not part of the model"));
  wrong = zeros(config);
  wrong["model.language_model.layers.99.layer_scalar"] = zero({1});
  CHECK(contains(refusal(config, wrong), "layers.99.layer_scalar is not part"));
}

TEST_CASE("layers that share KV may bring tensors that nobody reads", "[engine]") {
  const ModelConfig config = tiny_config("ple");
  REQUIRE(refusal(config, zeros(config)).empty());
  Tensors redundant = zeros(config);
  for (const TensorSpec& spec : expected_tensors(config)) {
    if (spec.unused) redundant["model.language_model." + spec.name] = zero(spec.shape);
  }
  CHECK(redundant.size() > zeros(config).size());
  CHECK(refusal(config, redundant).empty());
}

TEST_CASE("a separate head is used when present and demanded when not tied", "[engine]") {
  ModelConfig config = tiny_config("dense");
  Tensors tensors = zeros(config);
  tensors["lm_head.weight"] = zero({config.vocab, config.hidden});
  CHECK(refusal(config, tensors).empty());
  tensors["lm_head.weight"] = zero({config.vocab + 1, config.hidden});
  CHECK(contains(refusal(config, tensors), "lm_head.weight has shape"));
  tensors.erase("lm_head.weight");
  config.tie_embeddings = false;
  CHECK(contains(refusal(config, tensors), "tie_word_embeddings"));
}

TEST_CASE("an index must agree with its shards and stay inside the folder", "[engine]") {
  CHECK(sharded_refusal([](json&) {}).empty());
  const std::string norm = "model.language_model.norm.weight";
  CHECK(contains(sharded_refusal([&](json& i) { i["weight_map"].erase(norm); }),
                 "a.safetensors holds tensor " + norm));
  CHECK(contains(sharded_refusal([&](json& i) { i["weight_map"][norm] = "b.safetensors"; }),
                 "does not say so"));
  CHECK(contains(sharded_refusal([&](json& i) { i["weight_map"]["x"] = "b.safetensors"; }),
                 "b.safetensors lacks tensor x"));
  CHECK(contains(sharded_refusal([&](json& i) { i["weight_map"]["x"] = "c.safetensors"; }),
                 "c.safetensors cannot be opened"));
  for (const char* path :
       {"../a.safetensors", "/tmp/a.safetensors", "sub/a.safetensors", "..\\a.safetensors",
        ".safetensors", "a.bin", "", "..", "a.safetensors\0x.safetensors"}) {
    INFO(path);
    CHECK(contains(sharded_refusal([&](json& i) { i["weight_map"][norm] = path; }),
                   path == std::string("a.safetensors") ? "" : "inside the folder"));
  }
  CHECK(contains(sharded_refusal([&](json& i) { i["weight_map"][norm] = 3; }), "name a file"));
  CHECK(contains(sharded_refusal([](json& i) { i = {{"weight_map", json::object()}}; }), "empty"));
  CHECK(contains(sharded_refusal([](json& i) { i = json::object(); }), "weight_map"));
  CHECK(contains(sharded_refusal([](json& i) { i = json::array(); }), "index.json"));
}

TEST_CASE("a folder without weights says so", "[engine]") {
  const ScratchFolder folder;
  CHECK_FALSE(Checkpoint::has_weights(folder.path()));
  CHECK(contains(
      thrown_by<StartupError>([&] { Checkpoint::open(folder.path(), tiny_config("dense")); }),
      "holds no weights"));
}
