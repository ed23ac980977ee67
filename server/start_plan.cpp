#include "server/start_plan.h"

#include <algorithm>
#include <cstdio>

namespace lapidary {
namespace {

std::string share_text(double share) {
  char text[16];
  std::snprintf(text, sizeof(text), "%g", share);
  return text;
}

std::string workspace_line(const StartPlan& plan) {
  const StepMemory& m = plan.steps;
  std::string text = "Weights " + memory_text(plan.weights) + ", workspaces " +
                     memory_text(m.total()) + " (decoder " + memory_text(m.buffers) +
                     ", of which logits " + memory_text(m.logits) + "; attention " +
                     memory_text(m.attention);
  if (m.experts > 0) text += ", experts " + memory_text(m.experts);
  const std::string vision = m.vision > 0 ? "; vision tower " + memory_text(m.vision) : "";
  if (plan.is_cuda) {
    return text + ", which take turns in " + memory_text(m.workspace) + "; cuBLASLt " +
           memory_text(m.library) + vision + ")";
  }
  return text + vision + ", at most)";
}

std::string pages_line(const ModelConfig& model, const KvDemand& demand, const KvPlan& kv) {
  const KvShape shape = kv_shape(model, demand.kv);
  std::string text =
      "KV cache " + memory_text(kv.bytes) + " in " + dtype_name(demand.kv.dtype) + ":";
  if (shape.sliding_page_bytes > 0) {
    text += " " + std::to_string(kv.sliding_pages) + " sliding pages of " +
            memory_text(shape.sliding_page_bytes) + (shape.global_page_bytes > 0 ? "," : ";");
  }
  if (shape.global_page_bytes > 0) {
    text += " " + std::to_string(kv.global_pages) + " global pages of " +
            memory_text(shape.global_page_bytes) + ";";
  }
  const auto at_once = [&](int64_t n_tokens) {
    return std::to_string(sequences_at_once(model, kv, demand, n_tokens)) + " of " +
           std::to_string(n_tokens);
  };
  text += " sequences at once: ";
  constexpr int64_t kShort = 4096;
  if (demand.max_model_len > kShort) text += at_once(kShort) + " or ";
  return text + at_once(demand.max_model_len) + " tokens";
}

}  // namespace

StepLimits step_limits(const ServeConfig& config, const KvDemand& demand) {
  return {.max_tokens = demand.step_tokens,
          .max_seqs = demand.max_num_seqs,
          .max_keys = demand.max_model_len,
          .max_image_tokens = static_cast<int>(config.max_image_tokens)};
}

StartPlan planned_start(const ServeConfig& config, const ModelConfig& model, bool is_cuda,
                        int n_threads) {
  const StepLimits limits = step_limits(config, kv_demand(config, model, is_cuda));
  return {.is_cuda = is_cuda,
          .weights = resident_weight_bytes(model, stored_dtype(config, model)),
          .steps = is_cuda ? cuda_step_memory(model, limits)
                           : cpu_step_memory(model, limits, n_threads)};
}

std::vector<std::string> plan_lines(const ServeConfig& config, const ModelConfig& model,
                                    const StartPlan& plan, const EngineOptions& options) {
  const KvDemand demand{.kv = {options.kv_dtype, plan.is_cuda},
                        .max_model_len = options.max_model_len,
                        .max_num_seqs = options.max_num_seqs,
                        .step_tokens = options.max_num_batched_tokens};
  const KvShape shape = kv_shape(model, demand.kv);
  const KvPlan kv{.sliding_pages = options.sliding_pages,
                  .global_pages = options.global_pages,
                  .bytes = options.sliding_pages * shape.sliding_page_bytes +
                           options.global_pages * shape.global_page_bytes};
  std::vector<std::string> lines;
  if (plan.gpu_total > 0) {
    const auto may =
        static_cast<int64_t>(static_cast<double>(plan.gpu_total) * config.gpu_memory_utilization);
    lines.push_back("GPU memory " + memory_text(plan.gpu_total) + ", of which " + memory_text(may) +
                    " may be taken (--gpu-memory-utilization " +
                    share_text(config.gpu_memory_utilization) + ")");
  }
  lines.push_back(workspace_line(plan));
  lines.push_back(pages_line(model, demand, kv));
  return lines;
}

}  // namespace lapidary
