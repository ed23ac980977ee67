#include "server/decoder_bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <vector>

#include "engine/engine_loop.h"

namespace lapidary {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

StepTime median_of(std::vector<double> ms) {
  std::sort(ms.begin(), ms.end());
  return {.ms = ms[ms.size() / 2], .n_steps = static_cast<int>(ms.size())};
}

// Keys that the tokens of a step see, summed, and those that the last one sees.
struct Visible {
  double sum = 0, last = 0;
};
Visible visible_keys(const LayerConfig& layer, const StepShape& step) {
  Visible v;
  for (int t = 0; t < step.n_tokens; ++t) {
    v.last = step.context + t + 1;
    if (layer.window > 0) v.last = std::min<double>(v.last, layer.window);
    v.sum += v.last;
  }
  return v;
}

}  // namespace

StepCost step_cost(const ModelConfig& config, DType stored, const KvForm& kv,
                   const StepShape& step) {
  const double hidden = config.hidden, n_seqs = step.n_seqs;
  const double n_tokens = n_seqs * step.n_tokens;
  double dense = 0, active = 0, distinct = 0;  // parameters: each token's, and those read
  double kv_bytes = 0, attention = 0;
  for (int l = 0; l < config.n_layers(); ++l) {
    const LayerConfig& layer = config.layers[l];
    const int kv_parts = layer.owns_kv(l) ? (layer.k_eq_v ? 1 : 2) : 0;
    const double heads = 2.0 * layer.n_heads + kv_parts * layer.n_kv_heads;
    dense += heads * layer.head_dim * hidden + 3.0 * layer.ffn * hidden;
    dense += 2.0 * config.ple_dim * hidden;
    const Visible keys = visible_keys(layer, step);
    const int width = layer.head_dim + key_width(config, layer, kv);
    kv_bytes +=
        n_seqs * keys.last * layer.n_kv_heads * width * static_cast<double>(dtype_bytes(kv.dtype));
    attention += n_seqs * keys.sum * 4.0 * layer.n_heads * layer.head_dim;
    if (config.n_experts == 0) continue;
    const double expert = 3.0 * config.moe_ffn * hidden;
    const double share = static_cast<double>(config.top_k_experts) / config.n_experts;
    dense += config.n_experts * hidden;  // the router
    active += config.top_k_experts * expert;
    distinct += config.n_experts * (1.0 - std::pow(1.0 - share, n_tokens)) * expert;
  }
  dense += static_cast<double>(config.n_layers()) * config.ple_dim * hidden;
  const double head = static_cast<double>(config.vocab) * hidden;
  return {.bytes = (dense + distinct + head) * static_cast<double>(dtype_bytes(stored)) + kv_bytes,
          .flops = 2.0 * ((dense + active) * n_tokens + head * n_seqs) + attention};
}

DecoderBench::DecoderBench(Backend& backend, Gemma4& decoder, const EngineOptions& options)
    : backend_(backend), decoder_(decoder), options_(options) {}

// Sequences with pages of their own, computed as the caller says.
class DecoderBench::Run {
 public:
  // Pages for n_seqs sequences of n_tokens, of which one computes a whole step at a time.
  Run(DecoderBench& bench, int n_seqs, int n_tokens)
      : bench_(bench),
        limits_(scheduler_limits(bench.decoder_.config(), bench.options_)),
        sliding_(n_seqs * std::min(blocks_for(n_tokens), blocks_for(limits_.window) + 2) +
                 blocks_for(bench.options_.max_num_batched_tokens)),
        global_(n_seqs * blocks_for(n_tokens)),
        cache_(bench.backend_, bench.decoder_.config(), bench.options_.kv_dtype, sliding_.n_pages(),
               global_.n_pages()) {}

  Sequence& add(int n_tokens) {
    const int vocab = bench_.decoder_.config().vocab;
    std::mt19937 random(static_cast<unsigned>(sequences_.size()));
    auto s = std::make_unique<Sequence>();
    for (int i = 0; i < n_tokens; ++i) {
      s->tokens.push_back(static_cast<int32_t>(random() % static_cast<unsigned>(vocab)));
    }
    s->n_prompt = n_tokens;
    s->request = std::make_shared<Request>();
    sequences_.push_back(std::move(s));
    return *sequences_.back();
  }

  // The prompt in the engine's chunks, up to its first token.
  void prefill(Sequence& s) {
    while (s.n_output() == 0) {
      step({{&s, s.n_computed, std::min(s.n_pending(), bench_.options_.max_num_batched_tokens)}});
    }
  }

  void decode_all() {
    std::vector<Chunk> chunks;
    for (const auto& s : sequences_) chunks.push_back({s.get(), s->n_computed, 1});
    step(std::move(chunks));
  }

 private:
  void step(std::vector<Chunk> chunks) {
    Step step{.chunks = std::move(chunks), .n_tokens = 0};
    std::vector<Sequence*> of_row;
    for (const Chunk& chunk : step.chunks) {
      Sequence& s = *chunk.sequence;
      if (limits_.window > 0) s.sliding.grow(sliding_, chunk.start + chunk.count);
      if (limits_.has_global) s.global.grow(global_, chunk.start + chunk.count);
      if (chunk.reaches_end()) of_row.push_back(&s);
    }
    const Tensor rows =
        bench_.decoder_.forward(Batch::from(step, /*sees_images_whole=*/false), cache_);
    for (const Chunk& chunk : step.chunks) {
      Sequence& s = *chunk.sequence;
      s.n_computed += chunk.count;
      if (limits_.window == 0) continue;
      s.sliding.evict_before(sliding_, std::max(0, s.n_computed - limits_.window + 1));
    }
    draw(rows, of_row);
  }

  void draw(const Tensor& rows, const std::vector<Sequence*>& of_row) {
    const auto n_rows = static_cast<int64_t>(of_row.size());
    const int64_t at_once = bench_.decoder_.max_logit_rows();
    for (int64_t first = 0; first < n_rows; first += at_once) {
      const int64_t n = std::min(at_once, n_rows - first);
      std::vector<SampleDraw> draws;
      for (int64_t i = 0; i < n; ++i) draws.push_back({.row = i, .temperature = 0.0F});
      const std::vector<Sampled> greedy = bench_.backend_.sample(
          {.logits = bench_.decoder_.logits(rows.rows(first, n)), .draws = draws});
      for (int64_t i = 0; i < n; ++i) of_row[first + i]->tokens.push_back(greedy[i].token);
    }
  }

  DecoderBench& bench_;
  const SchedulerLimits limits_;
  BlockPool sliding_, global_;
  KvCache cache_;
  std::vector<std::unique_ptr<Sequence>> sequences_;
};

StepTime DecoderBench::decode(int batch, int context, int n_steps) {
  Run run(*this, batch, context + n_steps + 1);
  for (int i = 0; i < batch; ++i) run.prefill(run.add(context));
  run.decode_all();  // a step of this shape is recorded in its second run
  run.decode_all();
  std::vector<double> ms;
  for (int i = 2; i < n_steps; ++i) {
    const Clock::time_point start = Clock::now();
    run.decode_all();
    ms.push_back(ms_since(start));
  }
  return median_of(std::move(ms));
}

StepTime DecoderBench::prefill(int length, int n_repeats) {
  std::vector<double> ms;
  for (int i = 0; i < n_repeats; ++i) {
    Run run(*this, 1, length);
    Sequence& s = run.add(length);
    const Clock::time_point start = Clock::now();
    run.prefill(s);
    ms.push_back(ms_since(start));
  }
  return median_of(std::move(ms));
}

}  // namespace lapidary
