#include "server/check_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <system_error>

#include "config/startup_error.h"
#include "engine/model/checkpoint.h"
#include "server/compute_device.h"
#include "server/engine_options.h"
#include "server/hf_cache.h"
#include "server/loaded_model.h"
#include "server/start_plan.h"

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
  if (c.vision) {
    text += "; vision tower of " + std::to_string(c.vision->n_layers) + " layers, hidden " +
            std::to_string(c.vision->hidden);
  }
  if (c.has_audio) text += "; audio tower (not used yet)";
  return text;
}

// Opens and checks what there is; says what is not.
std::string weights_line(const fs::path& folder, const ModelConfig& model) {
  if (!Checkpoint::has_weights(folder)) return "not there, so not checked";
  const auto checkpoint = Checkpoint::open(folder, model);
  std::string text = std::to_string(checkpoint->files().size()) + " file(s), " +
                     std::to_string(checkpoint->n_tensors()) + " tensors as expected";
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

// "64GiB" and "64G": 1024s. "64g": thousands.
int64_t memory_of(const std::string& text) {
  std::string plain = text;
  if (plain.size() > 2 && plain.ends_with("iB")) plain.resize(plain.size() - 2);
  const std::optional<int64_t> bytes = parse_count(plain);
  if (!bytes || *bytes == 0) {
    throw StartupError("--memory " + text + " is no size; write 64GiB or 64G.");
  }
  return *bytes;
}

// The device that is planned for.
struct Device {
  bool is_cuda = false;
  int64_t total = 0, free = 0;
  int n_threads = 0;
  std::string name;
};

Device planned_device(const ServeConfig& config, const ModelConfig& model,
                      const CheckOptions& options) {
  const DeviceChoice choice = choose_device(config, model);
  if (!choice.note.empty()) std::printf("%s\n\n", choice.note.c_str());
  if (!options.memory.empty()) {
    const int64_t bytes = memory_of(options.memory);
    return {
        .is_cuda = choice.is_cuda,
        .total = bytes,
        .free = bytes,
        .n_threads = static_cast<int>(std::max<int64_t>(2, config.threads)),
        .name = std::string(choice.is_cuda ? "A GPU" : "A machine") + " of " + memory_text(bytes)};
  }
  const std::string why = choice.is_cuda ? why_no_cuda() : "";
  if (!why.empty()) {
    throw StartupError("No GPU can be used (" + why +
                       "): say with --memory, such as --memory 64GiB, for which to plan.");
  }
  const std::unique_ptr<Backend> backend = open_backend(config, model);
  return {.is_cuda = choice.is_cuda,
          .total = backend->total_bytes(),
          .free = backend->free_bytes(),
          .n_threads = backend->n_threads(),
          .name = choice.is_cuda ? "This GPU" : "This machine"};
}

MemoryRoom room_of(const Device& device, const StartPlan& plan) {
  const int64_t taken = plan.weights + plan.steps.total();
  const int64_t beside = std::max<int64_t>(0, device.free - taken);
  if (!device.is_cuda) return beside;
  return {device.total, taken, beside};
}

// Whether the device could serve it as it is set, and how.
void print_verdict(const ServeConfig& config, const ModelConfig& model, const Device& device,
                   const StartPlan& plan, const MemoryRoom& room) {
  try {
    const EngineOptions options = engine_options(config, model, room, device.is_cuda);
    std::printf("%s could serve it:\n", device.name.c_str());
    for (const std::string& line : plan_lines(config, model, plan, options)) {
      std::printf("  %s\n", line.c_str());
    }
  } catch (const StartupError& error) {
    std::printf("%s has %s free and could not serve it: weights take %s and workspaces %s. %s\n",
                device.name.c_str(), memory_text(device.free).c_str(),
                memory_text(plan.weights).c_str(), memory_text(plan.steps.total()).c_str(),
                error.what());
  }
}

}  // namespace

void add_check_flags(CLI::App& app, CheckOptions& options) {
  app.add_option("--memory", options.memory,
                 "Plan for a device of this much memory, such as 64GiB, instead of this machine's");
}

int run_check(const ServeConfig& config, const Environment& environment,
              const CheckOptions& options) {
  const fs::path folder = resolve_model(config.model, environment);
  ModelConfig model = load_model_config(config, folder);
  std::printf("Folder     %s\nModel      %s\n", folder.c_str(), model_line(model).c_str());
  std::printf("Weights    %s\n", weights_line(folder, model).c_str());
  std::printf("Tokenizer  %s\n\n", tokenizer_line(folder, model).c_str());

  const Device device = planned_device(config, model, options);
  if (device.is_cuda) {
    const std::string note = leave_out_vision(model);
    if (!note.empty()) std::printf("%s\n\n", note.c_str());
  }
  StartPlan plan = planned_start(config, model, device.is_cuda, device.n_threads);
  if (device.is_cuda) plan.gpu_total = device.total;
  const MemoryRoom room = room_of(device, plan);
  const KvDemand demand = kv_demand(config, model, device.is_cuda);
  std::printf("%s\n",
              memory_plan_text(model, stored_dtype(config, model), kv_budget(config, room), demand)
                  .c_str());
  print_verdict(config, model, device, plan, room);
  return 0;
}

}  // namespace lapidary
