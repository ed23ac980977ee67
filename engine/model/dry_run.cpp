#include "engine/model/dry_run.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/cache/kv_cache.h"

namespace lapidary {
namespace {

// Sequences of `n_keys` positions that compute their last `n_tokens` and write no KV; all of their
// pages are page 0.
Batch last_tokens(const ModelConfig& config, int n_seqs, int n_tokens, int n_keys) {
  Batch batch;
  batch.max_keys = n_keys;
  batch.query_start.push_back(0);
  for (GroupPages* group : {&batch.sliding, &batch.global}) group->block_start.push_back(0);
  const auto has = [&](LayerKind kind) {
    for (const LayerConfig& layer : config.layers) {
      if (layer.kind == kind) return true;
    }
    return false;
  };
  const int n_blocks = (n_keys + kPageSize - 1) / kPageSize;
  for (int s = 0; s < n_seqs; ++s) {
    for (int t = n_keys - n_tokens; t < n_keys; ++t) {
      batch.tokens.push_back(0);
      batch.positions.push_back(t);
    }
    batch.query_start.push_back(batch.n_tokens());
    batch.logit_rows.push_back(batch.n_tokens() - 1);
    for (const auto& [group, kind] : {std::pair(&batch.sliding, LayerKind::sliding),
                                      std::pair(&batch.global, LayerKind::global)}) {
      if (has(kind)) {
        group->slots.resize(batch.tokens.size(), -1);
        group->block_table.resize(group->block_table.size() + n_blocks, 0);
      }
      group->block_start.push_back(static_cast<int32_t>(group->block_table.size()));
    }
  }
  return batch;
}

// With all that a draw can ask for but long lists.
void sample(Gemma4& decoder, Backend& backend, const Tensor& rows) {
  const TokenBias biases[] = {{0, 0.0F}};
  std::vector<SampleDraw> draws;
  for (int64_t row = 0; row < rows.dim(0); ++row) {
    for (int top_k : {64, 0}) {
      draws.push_back({.row = row,
                       .top_k = top_k,
                       .n_logprobs = SampleArgs::kMaxLogprobs,
                       .bias = {.begin = 0, .size = 1}});
    }
  }
  backend.sample({.logits = decoder.logits(rows), .draws = draws, .biases = biases});
}

}  // namespace

void dry_run(Gemma4& decoder, Backend& backend, const StepLimits& limits, DType kv_dtype) {
  const KvCache cache(backend, decoder.config(), kv_dtype, 1, 1);
  const int prompt = std::min(limits.max_tokens, limits.max_keys);
  decoder.forward(last_tokens(decoder.config(), 1, prompt, prompt), cache);
  const Tensor rows =
      decoder.forward(last_tokens(decoder.config(), limits.max_seqs, 1, limits.max_keys), cache);
  sample(decoder, backend, rows.first(std::min<int64_t>(rows.dim(0), decoder.max_logit_rows())));
}

}  // namespace lapidary
