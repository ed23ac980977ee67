#include "server/compute_device.h"

#include <stdexcept>

#include "config/startup_error.h"
#include "engine/model/cuda_support.h"
#include "server/engine_options.h"

namespace lapidary {
namespace {

bool is_set(const ServeConfig& config, const char* name) {
  const auto origin = config.origins.find(name);
  return origin != config.origins.end() && origin->second != "default";
}

// Of the shares of memory only the chosen device's is read. Where --device names it, the other is
// refused; auto may have meant another machine, so there it is said. Empty: nothing to say.
std::string unread_share(const ServeConfig& config, bool is_cuda) {
  const std::string unread = is_cuda ? "memory-utilization" : "gpu-memory-utilization";
  const std::string read = is_cuda ? "gpu-memory-utilization" : "memory-utilization";
  if (!is_set(config, unread.c_str())) return "";
  return "--" + unread + " counts for nothing on " + (is_cuda ? "a GPU" : "the CPU") +
         ", which --" + read + " is for.";
}

// --device auto goes where what is asked for is known. Empty: to a GPU.
std::string why_not_cuda(const ModelConfig& model, DType compute, DType kv) {
  if (compute == DType::f32) return "float32 is computed there only";
  if (kv == DType::f32) return "--kv-cache-dtype float32 is known there only";
  const std::string shape = why_not_on_cuda(model);
  return shape.empty() ? why_no_cuda() : "of config.json, " + shape;
}

void check_cuda(const ServeConfig& config, const ModelConfig& model, DType compute, DType kv) {
  if (config.threads != 0 || config.cpu_isa != "auto") {
    throw StartupError("--threads and --cpu-isa are for --device cpu; leave them out.");
  }
  if (compute == DType::f32) {
    throw StartupError(
        "float32 is computed on the CPU only: use --dtype bfloat16 or --device cpu.");
  }
  if (kv == DType::f32) {
    throw StartupError(
        "--kv-cache-dtype float32 is known on the CPU only: use bfloat16 or fp8, or --device cpu.");
  }
  if (config.device == "cuda" && is_set(config, "memory-utilization")) {
    throw StartupError(
        "--memory-utilization is for --device cpu; on a GPU set --gpu-memory-utilization, the "
        "share of all its memory.");
  }
  const std::string shape = why_not_on_cuda(model);
  if (shape.empty()) return;
  throw StartupError("--device cuda does not compute this model: " + shape +
                     " (config.json); use --device cpu.");
}

void check_cpu(const ServeConfig& config, DType kv) {
  if (config.cuda_path == "hopper") {
    throw StartupError("--cuda-path hopper is for --device cuda on a Hopper GPU; leave it out.");
  }
  if (kv == DType::f8e4m3) {
    throw StartupError("--kv-cache-dtype fp8 is known on --device cuda only: use bfloat16.");
  }
  if (config.device == "cpu" && is_set(config, "gpu-memory-utilization")) {
    throw StartupError(
        "--gpu-memory-utilization is for a GPU; on the CPU set --memory-utilization, the share of "
        "the memory left beside the weights.");
  }
}

}  // namespace

DeviceChoice choose_device(const ServeConfig& config, const ModelConfig& model) {
  const DType compute = backend_options(config, model).compute;
  const DType kv = kv_demand(config, model).kv.dtype;
  DeviceChoice choice{.is_cuda = config.device == "cuda"};
  if (config.device == "auto") {
    const std::string why = why_not_cuda(model, compute, kv);
    choice.is_cuda = why.empty();
    if (!why.empty()) choice.note = "Computing on the CPU, as --device auto found: " + why + ".";
    const std::string unread = unread_share(config, choice.is_cuda);
    if (!unread.empty()) choice.note += (choice.note.empty() ? "" : " ") + unread;
  }
  if (choice.is_cuda) {
    check_cuda(config, model, compute, kv);
  } else {
    check_cpu(config, kv);
  }
  return choice;
}

std::unique_ptr<Backend> open_backend(const ServeConfig& config, const ModelConfig& model) {
  const BackendOptions options = backend_options(config, model);
  const bool is_cuda = choose_device(config, model).is_cuda;
  try {
    return is_cuda ? make_cuda_backend(options) : make_cpu_backend(options);
  } catch (const std::exception& error) {
    throw StartupError(error.what());
  }
}

std::string leave_out_vision(ModelConfig& model) {
  if (!model.vision) return "";
  model.vision.reset();
  return "Images are refused: vision towers are computed on the CPU only so far.";
}

}  // namespace lapidary
