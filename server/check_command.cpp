#include "server/check_command.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <system_error>

#include "config/startup_error.h"
#include "engine/model/checkpoint.h"
#include "server/compute_device.h"
#include "server/engine_options.h"
#include "server/hf_cache.h"
#include "server/loaded_model.h"

namespace lapidary {
namespace {

namespace fs = std::filesystem;

std::string model_line(const ModelConfig& c) {
  const auto n_global = std::count_if(c.layers.begin(), c.layers.end(), [](const LayerConfig& l) {
    return l.kind == LayerKind::global;
  });
  std::string text = c.model_type + ", " + c.dtype + ", " + std::to_string(c.n_layers()) +
                     " layers (" + std::to_string(c.n_layers() - n_global) + " sliding, " +
                     std::to_string(n_global) + " global), hidden " + std::to_string(c.hidden) +
                     ", vocabulary " + std::to_string(c.vocab);
  if (c.n_experts > 0) {
    text += ", " + std::to_string(c.n_experts) + " experts of " + std::to_string(c.moe_ffn) +
            ", top " + std::to_string(c.top_k_experts);
  }
  if (c.ple_dim > 0) text += ", per-layer embeddings of " + std::to_string(c.ple_dim);
  if (c.has_vision) text += "; vision tower (not used yet)";
  if (c.has_audio) text += "; audio tower (not used yet)";
  return text;
}

// Opens and checks what there is; says what is not.
std::string weights_line(const fs::path& folder, const ModelConfig& model) {
  if (!Checkpoint::has_weights(folder)) return "not there, so not checked";
  const auto checkpoint = Checkpoint::open(folder, model);
  std::string text = std::to_string(checkpoint->files().size()) + " file(s), " +
                     std::to_string(checkpoint->n_text_tensors()) + " tensors as expected";
  if (checkpoint->n_other_tensors() > 0) {
    text += ", " + std::to_string(checkpoint->n_other_tensors()) + " of towers ignored";
  }
  return text;
}

std::string tokenizer_line(const fs::path& folder, const ModelConfig& model) {
  std::error_code error;
  if (!fs::exists(folder / "tokenizer.json", error)) {
    if (!Checkpoint::has_weights(folder)) return "not there, so not checked";
    throw StartupError(folder.string() + " has no tokenizer.json; download it again.");
  }
  return std::to_string(load_tokenizer(folder, model).vocab_size()) + " entries";
}

// Whether this machine could serve it as it is set.
std::string this_machine(const ServeConfig& config, const ModelConfig& model, int64_t weights,
                         int64_t beside, bool stores_v_once) {
  const std::string memory = "This machine has " + memory_text(beside) + " free beside " +
                             memory_text(weights) + " of weights";
  try {
    const EngineOptions options = engine_options(config, model, beside, stores_v_once);
    return memory + ": it would serve sequences of " + std::to_string(options.max_model_len) +
           " tokens from " + memory_text(kv_budget(config, beside)) + " of KV cache.";
  } catch (const StartupError& error) {
    return memory + ", so it could not serve it. " + error.what();
  }
}

}  // namespace

int run_check(const ServeConfig& config, const Environment& environment) {
  const fs::path folder = resolve_model(config.model, environment);
  const ModelConfig model = load_model_config(config, folder);
  std::printf("Folder     %s\nModel      %s\n", folder.c_str(), model_line(model).c_str());
  std::printf("Weights    %s\n", weights_line(folder, model).c_str());
  std::printf("Tokenizer  %s\n\n", tokenizer_line(folder, model).c_str());

  const DType stored = stored_dtype(config, model);
  const std::unique_ptr<Backend> backend = open_backend(config, model);
  const KvDemand demand = kv_demand(config, model, backend->stores_v_once());
  const int64_t weights = resident_weight_bytes(model, stored);
  const int64_t beside = std::max<int64_t>(0, backend->free_bytes() - weights);
  const int64_t kv_bytes = kv_budget(config, beside);
  std::printf("%s\n", memory_plan_text(model, stored, kv_bytes, demand).c_str());
  std::printf("%s\n", this_machine(config, model, weights, beside, demand.kv.stores_v_once).c_str());
  return 0;
}

}  // namespace lapidary
