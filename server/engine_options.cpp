#include "server/engine_options.h"

#include <algorithm>
#include <string>
#include <utility>

#include "config/startup_error.h"
#include "server/media/media_decoder.h"

namespace lapidary {
namespace {

// Where --max-num-batched-tokens is auto. A GPU needs thousands of rows before its tensor cores
// wait for nothing; a CPU is busy with hundreds, and shorter steps hold up running streams less.
constexpr int64_t kCpuStepTokens = 512;
constexpr int64_t kGpuStepTokens = 8192;

DType compute_dtype(const ServeConfig& config, const ModelConfig& model) {
  if (config.dtype == "float32") return DType::f32;
  if (config.dtype == "bfloat16") return DType::bf16;
  return model.dtype == "float32" ? DType::f32 : DType::bf16;
}

DType kv_dtype(const ServeConfig& config, const ModelConfig& model) {
  if (config.kv_cache_dtype == "float32") return DType::f32;
  if (config.kv_cache_dtype == "bfloat16") return DType::bf16;
  if (config.kv_cache_dtype == "fp8") return DType::f8e4m3;
  return compute_dtype(config, model);
}

}  // namespace

ModelConfig load_model_config(const ServeConfig& config, const std::filesystem::path& folder) {
  ModelConfig model = ModelConfig::load(folder);
  if (config.max_image_tokens == 0 || !MediaDecoder::is_built()) model.vision.reset();
  if (config.generation_config == "none") {
    // What must never be sampled is a property of the model, not a preference.
    std::vector<int32_t> suppressed = std::move(model.generation.suppress_tokens);
    model.generation = GenerationDefaults{};
    model.generation.suppress_tokens = std::move(suppressed);
  } else if (config.generation_config != "auto") {
    model.apply_generation_config(std::filesystem::path(config.generation_config) /
                                  "generation_config.json");
  }
  return model;
}

BackendOptions backend_options(const ServeConfig& config, const ModelConfig& model) {
  return {.compute = compute_dtype(config, model),
          .n_threads = static_cast<int>(config.threads),
          .isa = config.cpu_isa == "auto" ? "" : config.cpu_isa,
          .cuda_path = config.cuda_path == "hopper" ? CudaPath::hopper : CudaPath::portable};
}

DType stored_dtype(const ServeConfig& config, const ModelConfig& model) {
  return model.dtype == "bfloat16" ? DType::bf16 : compute_dtype(config, model);
}

int64_t kv_budget(const ServeConfig& config, const MemoryRoom& room) {
  // Recorded steps and what the driver keeps for itself come later.
  constexpr int64_t kLeftFree = int64_t{512} << 20;
  if (config.kv_cache_memory_bytes > 0) return config.kv_cache_memory_bytes;
  const auto share = [](int64_t bytes, double of) {
    return static_cast<int64_t>(static_cast<double>(bytes) * of);
  };
  if (room.gpu_total == 0) return share(room.free, config.memory_utilization);
  const int64_t left = share(room.gpu_total, config.gpu_memory_utilization) - room.taken;
  return std::max<int64_t>(0, std::min(left, room.free - kLeftFree));
}

KvDemand kv_demand(const ServeConfig& config, const ModelConfig& model, bool is_cuda) {
  if (config.max_model_len > model.max_positions) {
    throw StartupError("--max-model-len " + std::to_string(config.max_model_len) +
                       " is more than the model's " + std::to_string(model.max_positions) +
                       " positions.");
  }
  // Every running sequence gets a token in each step, and an image that is computed whole must find
  // room beside them.
  const bool whole_images = model.vision && model.sees_images_whole;
  const int64_t least = config.max_num_seqs + (whole_images ? config.max_image_tokens : 0);
  const int64_t step = config.max_num_batched_tokens > 0
                           ? config.max_num_batched_tokens
                           : std::max(is_cuda ? kGpuStepTokens : kCpuStepTokens, least);
  return {.kv = {kv_dtype(config, model), is_cuda},
          .max_model_len = config.max_model_len > 0 ? static_cast<int>(config.max_model_len)
                                                    : model.max_positions,
          .max_num_seqs = static_cast<int>(config.max_num_seqs),
          .step_tokens = static_cast<int>(step)};
}

EngineOptions engine_options(const ServeConfig& config, const ModelConfig& model,
                             const MemoryRoom& room, bool is_cuda) {
  const int64_t budget = kv_budget(config, room);
  KvDemand demand = kv_demand(config, model, is_cuda);
  if (model.vision && model.sees_images_whole &&
      demand.step_tokens < demand.max_num_seqs + config.max_image_tokens) {
    throw StartupError("--max-num-batched-tokens " + std::to_string(demand.step_tokens) +
                       " holds no token of " + std::to_string(demand.max_num_seqs) +
                       " sequences and an image of " + std::to_string(config.max_image_tokens) +
                       " beside them; lower --max-num-seqs or --max-image-tokens.");
  }
  if (config.max_model_len == 0) {
    demand.max_model_len = static_cast<int>(automatic_model_len(model, budget, demand));
  }
  if (demand.max_model_len == 0) {
    throw StartupError("A KV cache of " + memory_text(budget) +
                       " does not hold the shortest sequence; raise --kv-cache-memory-bytes" +
                       (room.gpu_total > 0 ? ", raise --gpu-memory-utilization" : "") +
                       " or lower --max-num-batched-tokens.");
  }
  const KvPlan plan = plan_kv(model, budget, demand);
  return {.max_model_len = demand.max_model_len,
          .max_num_seqs = demand.max_num_seqs,
          .max_num_batched_tokens = demand.step_tokens,
          .max_queued_requests = static_cast<int>(config.max_queued_requests),
          .sliding_pages = static_cast<int>(plan.sliding_pages),
          .global_pages = static_cast<int>(plan.global_pages),
          .kv_dtype = demand.kv.dtype,
          .max_image_tokens = static_cast<int>(config.max_image_tokens)};
}

}  // namespace lapidary
