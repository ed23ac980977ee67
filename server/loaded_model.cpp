#include "server/loaded_model.h"

#include <unistd.h>

#include <cstdio>
#include <new>
#include <string>
#include <utility>

#include "config/startup_error.h"
#include "engine/memory_plan.h"
#include "engine/model/checkpoint.h"
#include "engine/model/dry_run.h"
#include "engine/model/dummy_weights.h"
#include "server/compute_device.h"
#include "server/engine_options.h"
#include "server/hf_cache.h"

namespace lapidary {
namespace {

LoadProgress progress_on_terminal() {
  if (isatty(STDERR_FILENO) == 0) return {};
  return [last = -1](int64_t done, int64_t total) mutable {
    const int percent = total > 0 ? static_cast<int>(100 * done / total) : 100;
    if (percent == last) return;
    last = percent;
    std::fprintf(stderr, "\rLoading weights %3d %%%s", percent, percent == 100 ? "\n" : "");
  };
}

std::shared_ptr<TensorSource> open_weights(const ServeConfig& config, const ModelConfig& model,
                                           const std::filesystem::path& folder) {
  if (config.load_format == "dummy") {
    return std::make_shared<DummyWeights>(model, 0, static_cast<int>(config.threads));
  }
  return Checkpoint::open(folder, model);
}

std::string gib(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f GiB", static_cast<double>(bytes) / (1LL << 30));
  return text;
}

// Memory is granted page by page as it is touched, so too much of it does not fail when it is
// asked for: the process would be killed later, without a word.
void check_memory(const ServeConfig& config, const ModelConfig& model, const Backend& backend) {
  const int64_t weights = resident_weight_bytes(model, stored_dtype(config, model));
  const int64_t wanted = weights + config.kv_cache_memory_bytes;
  const int64_t available = backend.free_bytes();
  if (wanted <= available) return;
  const std::string cache = config.kv_cache_memory_bytes == 0
                                ? ""
                                : " and " + gib(config.kv_cache_memory_bytes) + " for the KV cache";
  throw StartupError(config.model + " needs " + gib(weights) + " for its weights" + cache +
                     ", but only " + gib(available) +
                     " of memory are free; `lapidary check` shows the plan.");
}

// Before the KV cache, which gets a share of what is left.
void take_workspaces(const ServeConfig& config, LoadedModel& loaded) {
  const KvDemand demand = kv_demand(config, loaded.config, loaded.backend->stores_v_once());
  const StepLimits limits{.max_tokens = demand.step_tokens,
                          .max_seqs = demand.max_num_seqs,
                          .max_keys = demand.max_model_len};
  try {
    loaded.decoder->reserve(limits);
    if (loaded.backend->replays()) {
      dry_run(*loaded.decoder, *loaded.backend, limits, demand.kv.dtype);
    }
  } catch (const std::bad_alloc&) {
    throw StartupError("The workspaces of steps of " + std::to_string(limits.max_tokens) +
                       " tokens do not fit in memory; lower --max-num-batched-tokens.");
  }
}

}  // namespace

std::filesystem::path model_folder(const ServeConfig& config, const Environment& environment) {
  if (config.model.empty()) {
    throw StartupError(
        "No model is named: give a checkpoint folder or an id such as "
        "google/gemma-4-26B-A4B-it.");
  }
  return resolve_model(config.model, environment);
}

LoadedModel load_model(const ServeConfig& config, const std::filesystem::path& folder) {
  LoadedModel loaded;
  loaded.config = load_model_config(config, folder);
  loaded.backend = open_backend(config, loaded.config);
  check_memory(config, loaded.config, *loaded.backend);
  const std::shared_ptr<TensorSource> source = open_weights(config, loaded.config, folder);
  Weights weights = load_weights(loaded.config, *source, *loaded.backend, progress_on_terminal());
  loaded.decoder = std::make_unique<Gemma4>(loaded.config, std::move(weights), *loaded.backend);
  take_workspaces(config, loaded);
  loaded.options = engine_options(config, loaded.config, loaded.backend->free_bytes(),
                                  loaded.backend->stores_v_once());
  return loaded;
}

Tokenizer load_tokenizer(const std::filesystem::path& folder, const ModelConfig& config) {
  const std::filesystem::path file = folder / "tokenizer.json";
  Tokenizer tokenizer = Tokenizer::from_file(file);
  if (tokenizer.vocab_size() > config.vocab) {
    throw StartupError(file.string() + " has " + std::to_string(tokenizer.vocab_size()) +
                       " entries, but the model's vocabulary has only " +
                       std::to_string(config.vocab) + ".");
  }
  return tokenizer;
}

}  // namespace lapidary
