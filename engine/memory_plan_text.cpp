#include <algorithm>
#include <cstdio>

#include "engine/memory_plan.h"
#include "engine/model/tensor_table.h"
#include "kernels/backend.h"

namespace lapidary {
namespace {

const char* part_name(TensorRole role) {
  switch (role) {
    case TensorRole::embedding:
      return "embedding and head";
    case TensorRole::ple_table:
      return "per-layer embedding table (stays in the file)";
    case TensorRole::attention:
      return "attention";
    case TensorRole::dense_mlp:
      return "dense MLP";
    case TensorRole::router:
      return "router";
    case TensorRole::experts:
      return "experts";
    case TensorRole::ple_projection:
      return "per-layer projections";
    case TensorRole::vision:
      return "vision tower";
    case TensorRole::norm:
    case TensorRole::qk_norm:
    case TensorRole::layer_scalar:
    case TensorRole::clip_bound:
      return "norms and scales";
  }
  return "?";
}

bool is_vector(TensorRole role) {
  return role == TensorRole::norm || role == TensorRole::qk_norm ||
         role == TensorRole::layer_scalar;
}

int64_t layers_owning(const ModelConfig& config, LayerKind kind) {
  int64_t n = 0;
  for (int l = 0; l < config.n_layers(); ++l) {
    if (config.layers[l].kind == kind && config.layers[l].owns_kv(l)) ++n;
  }
  return n;
}

}  // namespace

std::string memory_text(int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  auto value = static_cast<double>(bytes);
  int unit = 0;
  while (value >= 1024 && unit < 6) {
    value /= 1024;
    ++unit;
  }
  char text[64];
  std::snprintf(text, sizeof(text), unit == 0 ? "%.0f %s" : "%.2f %s", value, kUnits[unit]);
  return text;
}

std::vector<WeightPart> weight_parts(const ModelConfig& config, DType stored) {
  std::vector<WeightPart> parts;
  for (const TensorSpec& spec : expected_tensors(config)) {
    if (spec.optional) continue;
    const char* name = part_name(spec.role);
    auto it = std::find_if(parts.begin(), parts.end(),
                           [&](const WeightPart& p) { return p.name == name; });
    if (it == parts.end()) {
      it = parts.insert(parts.end(), {.name = name, .mapped = spec.role == TensorRole::ple_table});
    }
    const DType dtype = is_vector(spec.role) ? DType::f32 : stored;
    it->params += spec.count();
    it->bytes += spec.count() * static_cast<int64_t>(dtype_bytes(dtype));
  }
  return parts;
}

int64_t resident_weight_bytes(const ModelConfig& config, DType stored) {
  int64_t bytes = 0;
  for (const WeightPart& part : weight_parts(config, stored)) {
    if (!part.mapped) bytes += part.bytes;
  }
  return bytes;
}

namespace {

void print_weights(std::string& out, const ModelConfig& config, DType stored) {
  char line[160];
  std::snprintf(line, sizeof(line), "Weights (%s)%*s %14s %12s\n", dtype_name(stored), 28, "",
                "parameters", "memory");
  out += line;
  int64_t params = 0;
  int64_t resident = 0;
  int64_t whole = 0;
  for (const WeightPart& part : weight_parts(config, stored)) {
    std::snprintf(line, sizeof(line), "  %-45s %14lld %12s\n", part.name.c_str(),
                  static_cast<long long>(part.params), memory_text(part.bytes).c_str());
    out += line;
    params += part.params;
    whole += part.bytes;
    if (!part.mapped) resident += part.bytes;
  }
  std::snprintf(line, sizeof(line), "  %-45s %14lld %12s\n",
                resident < whole ? "in all; memory without the table" : "in all",
                static_cast<long long>(params), memory_text(resident).c_str());
  out += line;
}

void print_groups(std::string& out, const ModelConfig& config, const KvDemand& demand) {
  const KvShape shape = kv_shape(config, demand.kv);
  char line[200];
  std::snprintf(line, sizeof(line), "\nKV cache (%s, pages of %d tokens)\n",
                dtype_name(demand.kv.dtype), kPageSize);
  out += line;
  if (shape.sliding_page_bytes > 0) {
    std::snprintf(
        line, sizeof(line),
        "  sliding  %3lld layers, window %5d: %8lld bytes a token, at most %s a sequence\n",
        static_cast<long long>(layers_owning(config, LayerKind::sliding)), shape.window,
        static_cast<long long>(shape.sliding_page_bytes / kPageSize),
        memory_text(shape.sliding_page_bytes * ((shape.window + kPageSize - 1) / kPageSize))
            .c_str());
    out += line;
  }
  if (shape.global_page_bytes > 0) {
    std::snprintf(line, sizeof(line),
                  "  global   %3lld layers              : %8lld bytes a token\n",
                  static_cast<long long>(layers_owning(config, LayerKind::global)),
                  static_cast<long long>(shape.global_page_bytes / kPageSize));
    out += line;
  }
  const int64_t longest = shape.sequence_bytes(config.max_positions, 1);
  std::snprintf(line, sizeof(line), "  one sequence of %d tokens: %s\n", config.max_positions,
                memory_text(longest).c_str());
  out += line;
}

// What a budget buys under the split that the engine would make.
void print_budget(std::string& out, const ModelConfig& config, int64_t kv_bytes, KvDemand demand) {
  demand.max_model_len = static_cast<int>(std::min<int64_t>(
      demand.max_model_len, longest_sequence(config, kv_bytes, demand.kv, demand.step_tokens)));
  char line[200];
  if (demand.max_model_len == 0) {
    std::snprintf(line, sizeof(line), "  %10s  too little for any sequence\n",
                  memory_text(kv_bytes).c_str());
    out += line;
    return;
  }
  const KvPlan plan = plan_kv(config, kv_bytes, demand);
  const bool has_global = kv_shape(config, demand.kv).global_page_bytes > 0;
  const auto at_once = [&](int64_t n_tokens) {
    return static_cast<long long>(
        sequences_at_once(config, plan, demand, std::min<int64_t>(n_tokens, demand.max_model_len)));
  };
  std::snprintf(
      line, sizeof(line), "  %10s %10d %12lld %8lld %8lld %8lld %9lld %9lld\n",
      memory_text(kv_bytes).c_str(), demand.max_model_len,
      static_cast<long long>((has_global ? plan.global_pages : plan.sliding_pages) * kPageSize),
      at_once(4096), at_once(32768), at_once(demand.max_model_len),
      static_cast<long long>(plan.sliding_pages), static_cast<long long>(plan.global_pages));
  out += line;
}

}  // namespace

std::string memory_plan_text(const ModelConfig& config, DType stored, int64_t kv_bytes,
                             const KvDemand& demand) {
  std::string out;
  print_weights(out, config, stored);
  print_groups(out, config, demand);
  out += "\nWhat a KV budget holds (--kv-cache-memory-bytes), at most " +
         std::to_string(demand.max_num_seqs) + " sequences at once\n" +
         "      budget  a sequence       tokens      sequences at once of     pages    pages\n" +
         "               at most          in all   4K      32K  longest   sliding    global\n";
  std::vector<int64_t> budgets = {int64_t{2} << 30,  int64_t{8} << 30,  int64_t{16} << 30,
                                  int64_t{32} << 30, int64_t{64} << 30, int64_t{128} << 30};
  if (kv_bytes > 0) budgets.push_back(kv_bytes);
  std::sort(budgets.begin(), budgets.end());
  budgets.erase(std::unique(budgets.begin(), budgets.end()), budgets.end());
  for (int64_t bytes : budgets) print_budget(out, config, bytes, demand);
  return out;
}

}  // namespace lapidary
