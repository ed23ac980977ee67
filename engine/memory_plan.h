// How much memory a model needs and what a KV budget buys, from its config alone. KV pages hold
// kPageSize positions of every KV-owning layer of a group (sliding or global); pages behind the
// window go back, so a sequence's sliding part is bounded while its global part grows.
// Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/model_config.h"
#include "kernels/tensor.h"

namespace lapidary {

// How a backend keeps K and V.
struct KvForm {
  DType dtype = DType::bf16;
  bool stores_v_once = false;  // Backend::stores_v_once()
};

// Elements that K keeps of a position and head: all, or where K and V come from one projection, V
// is stored once and the backend can do so for this shape, the dims that RoPE turns.
int key_width(const ModelConfig& config, const LayerConfig& layer, const KvForm& form);

// What one sequence costs in KV.
struct KvShape {
  int64_t sliding_page_bytes = 0;  // one page in all KV-owning sliding layers, K and V; 0: none
  int64_t global_page_bytes = 0;
  int window = 0;  // of the sliding layers; 0: there are none

  // Pages that one sequence of n_tokens holds at most while it is computed in steps of at most
  // step_tokens (sliding; the window may begin inside a page), or when it is complete (global).
  int64_t sliding_pages(int64_t n_tokens, int step_tokens) const;
  int64_t global_pages(int64_t n_tokens) const;
  int64_t sequence_bytes(int64_t n_tokens, int step_tokens) const;
};

KvShape kv_shape(const ModelConfig& config, const KvForm& form);

// How the KV budget is split between the two page pools.
struct KvPlan {
  int64_t sliding_pages = 0;
  int64_t global_pages = 0;
  int64_t bytes = 0;  // of both; at most the budget, less where more is of no use
};

// What the split is made for.
struct KvDemand {
  KvForm kv;
  int max_model_len = 0;  // tokens
  int max_num_seqs = 1;
  int step_tokens = 1;  // max_num_batched_tokens
};

// The split that loses least whatever the requests' length: for each length (powers of two up to
// max_model_len) it compares how many such sequences run at once with how many would under the
// best split for that length alone, and maximises the smallest ratio. One sequence of
// max_model_len always fits; StartupError says what to set when the budget cannot hold that.
KvPlan plan_kv(const ModelConfig& config, int64_t kv_bytes, const KvDemand& demand);

// How many sequences of n_tokens each run at once under a plan, at most max_num_seqs.
int64_t sequences_at_once(const ModelConfig& config, const KvPlan& plan, const KvDemand& demand,
                          int64_t n_tokens);

// The longest sequence that a budget holds, at most the model's max_positions; 0: not one page.
int64_t longest_sequence(const ModelConfig& config, int64_t kv_bytes, const KvForm& form,
                         int step_tokens);

// max_model_len where nobody set one: demand.max_model_len if the budget holds that, else what half
// of the budget holds, so that one long sequence does not keep all others out; 0: not one page.
int64_t automatic_model_len(const ModelConfig& config, int64_t kv_bytes, const KvDemand& demand);

// Bytes of weights by part, as the backend stores them.
struct WeightPart {
  std::string name;
  int64_t params = 0;
  int64_t bytes = 0;
  bool mapped = false;  // stays in the file's mapping (per-layer embedding table)
};

// `stored`: the matrices' type in the backend. Vectors are f32.
std::vector<WeightPart> weight_parts(const ModelConfig& config, DType stored);
int64_t resident_weight_bytes(const ModelConfig& config, DType stored);

// "5.20 GiB", "512.00 KiB", "20 B".
std::string memory_text(int64_t bytes);

// The table that `lapidary check` prints: weights by part, KV by layer group, and for some budgets
// (and `kv_bytes`, if not 0) how many tokens and how many longest sequences fit.
std::string memory_plan_text(const ModelConfig& config, DType stored, int64_t kv_bytes,
                             const KvDemand& demand);

}  // namespace lapidary
