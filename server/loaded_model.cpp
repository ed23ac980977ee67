#include "server/loaded_model.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
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

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// "51.6 GB, 4.20 GB/s"
std::string speed_text(int64_t bytes, double seconds) {
  char text[64];
  const double gb = static_cast<double>(bytes) / 1e9;
  std::snprintf(text, sizeof(text), "%.2f GB, %.2f GB/s", gb, gb / std::max(seconds, 1e-9));
  return text;
}

// Shown on a terminal, a hundred times; kept for the log in any case.
LoadProgress progress_into(LoadedWeights& read) {
  const bool is_terminal = isatty(STDERR_FILENO) != 0;
  return [&read, is_terminal, start = Clock::now(), last = -1](const LoadState& state) mutable {
    read = {.bytes = state.bytes, .seconds = seconds_since(start)};
    const int percent = state.total > 0 ? static_cast<int>(100 * state.done / state.total) : 100;
    if (!is_terminal || percent == last) return;
    last = percent;
    std::fprintf(stderr, "\rLoading weights %3d %%, %s   %s", percent,
                 speed_text(read.bytes, read.seconds).c_str(), percent == 100 ? "\n" : "");
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
  Backend& backend = *loaded.backend;
  const KvDemand demand = kv_demand(config, loaded.config, loaded.plan.is_cuda);
  const StepLimits limits = step_limits(config, demand);
  try {
    loaded.decoder->reserve(limits);
    backend.reserve_workspace(loaded.plan.steps.workspace);
    if (backend.replays()) dry_run(*loaded.decoder, backend, limits, demand.kv.dtype);
  } catch (const std::bad_alloc&) {
    throw StartupError("The workspaces of steps of " + std::to_string(limits.max_tokens) +
                       " tokens and " + std::to_string(limits.max_seqs) +
                       " sequences do not fit in memory; lower --max-num-batched-tokens or "
                       "--max-num-seqs.");
  }
}

// What is left for the KV cache. `free_at_open`: before the weights came.
MemoryRoom room_left(const Backend& backend, int64_t free_at_open) {
  const int64_t free = backend.free_bytes();
  if (backend.total_bytes() == 0) return free;
  return {backend.total_bytes(), free_at_open - free, free};
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
  const DeviceChoice choice = choose_device(config, loaded.config);
  loaded.device_note = choice.note;
  if (choice.is_cuda) loaded.vision_note = leave_out_vision(loaded.config);
  loaded.backend = open_backend(config, loaded.config);
  loaded.plan = planned_start(config, loaded.config, choice.is_cuda, loaded.backend->n_threads());
  loaded.plan.gpu_total = loaded.backend->total_bytes();
  check_memory(config, loaded.config, *loaded.backend);
  const int64_t free_at_open = loaded.backend->free_bytes();
  const std::shared_ptr<TensorSource> source = open_weights(config, loaded.config, folder);
  Weights weights =
      load_weights(loaded.config, *source, *loaded.backend, progress_into(loaded.read));
  loaded.plan.weights = weights.bytes;
  loaded.decoder = std::make_unique<Gemma4>(loaded.config, std::move(weights), *loaded.backend);
  take_workspaces(config, loaded);
  loaded.options = engine_options(config, loaded.config, room_left(*loaded.backend, free_at_open),
                                  loaded.plan.is_cuda);
  return loaded;
}

std::vector<std::string> start_lines(const ServeConfig& config, const LoadedModel& loaded) {
  std::vector<std::string> lines;
  for (const std::string& note : {loaded.device_note, loaded.vision_note}) {
    if (!note.empty()) lines.push_back(note);
  }
  lines.push_back("Weights loaded: " + speed_text(loaded.read.bytes, loaded.read.seconds));
  for (std::string& line : plan_lines(config, loaded.config, loaded.plan, loaded.options)) {
    lines.push_back(std::move(line));
  }
  return lines;
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
