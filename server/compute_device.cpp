#include "server/compute_device.h"

#include <stdexcept>

#include "config/startup_error.h"
#include "server/engine_options.h"

namespace lapidary {
namespace {

// --device auto goes where the types that are asked for are known.
bool takes_cuda(const ServeConfig& config, const BackendOptions& options, DType kv) {
  if (config.device != "auto") return config.device == "cuda";
  return options.compute == DType::bf16 && kv != DType::f32 && n_cuda_devices() > 0;
}

void check_types(bool is_cuda, DType compute, DType kv) {
  if (is_cuda && compute == DType::f32) {
    throw StartupError("float32 is computed on the CPU only: use --dtype bfloat16 or --device cpu.");
  }
  if (is_cuda && kv == DType::f32) {
    throw StartupError(
        "--kv-cache-dtype float32 is known on the CPU only: use bfloat16 or fp8, or --device cpu.");
  }
  if (!is_cuda && kv == DType::f8e4m3) {
    throw StartupError("--kv-cache-dtype fp8 is known on --device cuda only: use bfloat16.");
  }
}

}  // namespace

std::unique_ptr<Backend> open_backend(const ServeConfig& config, const ModelConfig& model) {
  const BackendOptions options = backend_options(config, model);
  const DType kv = kv_demand(config, model).kv.dtype;
  const bool is_cuda = takes_cuda(config, options, kv);
  if (is_cuda && (config.threads != 0 || config.cpu_isa != "auto")) {
    throw StartupError("--threads and --cpu-isa are for --device cpu; leave them out.");
  }
  if (!is_cuda && options.cuda_path == CudaPath::hopper) {
    throw StartupError("--cuda-path hopper is for --device cuda on a Hopper GPU; leave it out.");
  }
  check_types(is_cuda, options.compute, kv);
  try {
    return is_cuda ? make_cuda_backend(options) : make_cpu_backend(options);
  } catch (const std::exception& error) {
    throw StartupError(error.what());
  }
}

}  // namespace lapidary
