#include "engine/memory_plan.h"

#include <algorithm>
#include <limits>

#include "config/startup_error.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/cuda_limits.h"

namespace lapidary {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t pages_for(int64_t n_tokens) { return ceil_div(n_tokens, kPageSize); }

// The lengths the split is judged by: powers of two up to the longest, and the longest. Shorter
// ones than the first are bounded by max_num_seqs rather than by pages.
std::vector<int64_t> judged_lengths(int max_model_len) {
  std::vector<int64_t> lengths;
  for (int64_t n = 256; n < max_model_len; n *= 2) lengths.push_back(n);
  lengths.push_back(max_model_len);
  return lengths;
}

class Split {
 public:
  Split(const KvShape& shape, const KvDemand& demand, int64_t bytes)
      : shape_(shape), demand_(demand), bytes_(bytes) {}

  // Global pages when this many are sliding; no more than can ever be used.
  int64_t global_for(int64_t sliding) const {
    if (shape_.global_page_bytes == 0) return 0;
    const int64_t most = demand_.max_num_seqs * shape_.global_pages(demand_.max_model_len);
    return std::min(most,
                    (bytes_ - sliding * shape_.sliding_page_bytes) / shape_.global_page_bytes);
  }

  // How many sequences of this length run at once with such pools. Fractions count, or nothing
  // would be gained before the next whole sequence fits.
  double sequences(int64_t length, int64_t sliding, int64_t global) const {
    double n = demand_.max_num_seqs;
    if (shape_.sliding_page_bytes > 0) {
      n = std::min(n, static_cast<double>(sliding - chunk_pages(length)) /
                          static_cast<double>(shape_.sliding_pages(length, 1)));
    }
    if (shape_.global_page_bytes > 0) {
      n = std::min(n,
                   static_cast<double>(global) / static_cast<double>(shape_.global_pages(length)));
    }
    return std::max(0.0, n);
  }

  // With the best split for this length alone.
  double best_sequences(int64_t length) const {
    const int64_t room = bytes_ - chunk_pages(length) * shape_.sliding_page_bytes;
    return std::min<double>(
        demand_.max_num_seqs,
        static_cast<double>(room) / static_cast<double>(shape_.sequence_bytes(length, 1)));
  }

  // The pages that a step's tokens take beside the windows of all sequences.
  int64_t chunk_pages(int64_t length) const {
    return shape_.sliding_pages(length, demand_.step_tokens) - shape_.sliding_pages(length, 1);
  }

  // The smallest share of its best that any length gets.
  double worst_share(int64_t sliding) const {
    double worst = std::numeric_limits<double>::infinity();
    for (int64_t length : judged_lengths(demand_.max_model_len)) {
      worst =
          std::min(worst, sequences(length, sliding, global_for(sliding)) / best_sequences(length));
    }
    return worst;
  }

 private:
  const KvShape shape_;
  const KvDemand demand_;
  const int64_t bytes_;
};

// More sliding pages serve short sequences, fewer leave room for long ones: the worst share first
// rises, then falls, so the best number is found by ternary search.
int64_t best_sliding_pages(const Split& split, int64_t least, int64_t most) {
  while (most - least > 2) {
    const int64_t third = (most - least) / 3;
    const int64_t a = least + third;
    const int64_t b = most - third;
    if (split.worst_share(a) < split.worst_share(b)) {
      least = a;
    } else {
      most = b;
    }
  }
  int64_t best = least;
  for (int64_t n = least + 1; n <= most; ++n) {
    if (split.worst_share(n) > split.worst_share(best)) best = n;
  }
  return best;
}

}  // namespace

int64_t KvShape::sliding_pages(int64_t n_tokens, int step_tokens) const {
  if (sliding_page_bytes == 0) return 0;
  // A chunk's first query sees window - 1 positions before it, which may begin inside a page, and
  // its last one stands step_tokens - 1 further.
  const int64_t held = std::min<int64_t>(n_tokens, int64_t{window} + step_tokens - 1);
  return pages_for(held) + 1;
}

int64_t KvShape::global_pages(int64_t n_tokens) const {
  return global_page_bytes == 0 ? 0 : pages_for(n_tokens);
}

int64_t KvShape::sequence_bytes(int64_t n_tokens, int step_tokens) const {
  return sliding_pages(n_tokens, step_tokens) * sliding_page_bytes +
         global_pages(n_tokens) * global_page_bytes;
}

int key_width(const ModelConfig& config, const LayerConfig& layer, const KvForm& form) {
  if (!layer.k_eq_v || !form.stores_v_once) return layer.head_dim;
  const int turned = 2 * config.rope(layer.kind).n_angles(layer.head_dim);
  return cuda::stores_v_once(layer.head_dim, turned, form.dtype) ? turned : layer.head_dim;
}

KvShape kv_shape(const ModelConfig& config, const KvForm& form) {
  KvShape shape;
  for (int l = 0; l < config.n_layers(); ++l) {
    const LayerConfig& layer = config.layers[l];
    if (!layer.owns_kv(l)) continue;
    const int width = layer.head_dim + key_width(config, layer, form);
    const int64_t bytes = int64_t{kPageSize} * layer.n_kv_heads * width *
                          static_cast<int64_t>(dtype_bytes(form.dtype));
    if (layer.kind == LayerKind::sliding) {
      shape.sliding_page_bytes += bytes;
      shape.window = layer.window;
    } else {
      shape.global_page_bytes += bytes;
    }
  }
  return shape;
}

KvPlan plan_kv(const ModelConfig& config, int64_t kv_bytes, const KvDemand& demand) {
  CHECK(demand.max_model_len >= 1 && demand.max_num_seqs >= 1 && demand.step_tokens >= 1);
  const KvShape shape = kv_shape(config, demand.kv);
  const int64_t needed = shape.sequence_bytes(demand.max_model_len, demand.step_tokens);
  if (kv_bytes < needed) {
    throw StartupError(
        "One sequence of " + std::to_string(demand.max_model_len) + " tokens needs " +
        memory_text(needed) + " of KV cache, but there are " +
        memory_text(std::max<int64_t>(0, kv_bytes)) +
        "; raise --kv-cache-memory-bytes or lower --max-model-len" +
        (demand.step_tokens > demand.max_model_len ? "." : " or --max-num-batched-tokens."));
  }
  const Split split(shape, demand, kv_bytes);
  KvPlan plan;
  if (shape.sliding_page_bytes > 0) {
    // One longest sequence must fit whichever way the rest is split.
    const int64_t least = shape.sliding_pages(demand.max_model_len, demand.step_tokens);
    const int64_t room =
        (kv_bytes - shape.global_pages(demand.max_model_len) * shape.global_page_bytes) /
        shape.sliding_page_bytes;
    const int64_t useful = demand.max_num_seqs * shape.sliding_pages(demand.max_model_len, 1) +
                           split.chunk_pages(demand.max_model_len);
    plan.sliding_pages = best_sliding_pages(split, least, std::clamp(useful, least, room));
  }
  plan.global_pages = split.global_for(plan.sliding_pages);
  // Page numbers are 32 bits; so many pages are beyond any machine, so this only guards the types.
  constexpr int64_t kMostPages = std::numeric_limits<int32_t>::max() / kPageSize;
  plan.sliding_pages = std::min(plan.sliding_pages, kMostPages);
  plan.global_pages = std::min(plan.global_pages, kMostPages);
  plan.bytes =
      plan.sliding_pages * shape.sliding_page_bytes + plan.global_pages * shape.global_page_bytes;
  return plan;
}

int64_t sequences_at_once(const ModelConfig& config, const KvPlan& plan, const KvDemand& demand,
                          int64_t n_tokens) {
  const Split split(kv_shape(config, demand.kv), demand, plan.bytes);
  return static_cast<int64_t>(split.sequences(n_tokens, plan.sliding_pages, plan.global_pages));
}

int64_t longest_sequence(const ModelConfig& config, int64_t kv_bytes, const KvForm& form,
                         int step_tokens) {
  const KvShape shape = kv_shape(config, form);
  int64_t fits = 0;
  int64_t too_long = int64_t{config.max_positions} + 1;
  while (too_long - fits > 1) {
    const int64_t middle = fits + (too_long - fits) / 2;
    (shape.sequence_bytes(middle, step_tokens) <= kv_bytes ? fits : too_long) = middle;
  }
  return fits;
}

int64_t automatic_model_len(const ModelConfig& config, int64_t kv_bytes, const KvDemand& demand) {
  const auto longest = [&](int64_t bytes) {
    return std::min<int64_t>(demand.max_model_len,
                             longest_sequence(config, bytes, demand.kv, demand.step_tokens));
  };
  const int64_t whole = longest(kv_bytes);
  if (whole == demand.max_model_len) return whole;
  const int64_t half = longest(kv_bytes / 2);
  return half > 0 ? half : whole;
}

}  // namespace lapidary
