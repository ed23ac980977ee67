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
    const int width = layer.head_dim + key_width(config, layer, kv.stores_v_once);
    kv_bytes += n_seqs * keys.last * layer.n_kv_heads * width *
                static_cast<double>(dtype_bytes(kv.dtype));
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
  return {.bytes =
              (dense + distinct + head) * static_cast<double>(dtype_bytes(stored)) + kv_bytes,
          .flops = 2.0 * ((dense + active) * n_tokens + head * n_seqs) + attention};
}

DecoderBench::DecoderBench(Backend& backend, Gemma4& decoder, const EngineOptions& options)
    : backend_(backend), decoder_(decoder), options_(options) {}

// Options with pages for n_seqs sequences of n_tokens.
EngineOptions DecoderBench::with_pages(int n_seqs, int n_tokens) const {
  int window = 0;
  for (const LayerConfig& layer : decoder_.config().layers) window = std::max(window, layer.window);
  const int whole = blocks_for(n_tokens) + 1;
  const int behind = blocks_for(window + options_.max_num_batched_tokens) + 2;
  EngineOptions options = options_;
  options.max_num_seqs = n_seqs;
  options.global_pages = n_seqs * (whole + 1);
  options.sliding_pages = n_seqs * (std::min(whole, behind) + 1);
  return options;
}

KvCache DecoderBench::cache(const EngineOptions& options) const {
  return {backend_, decoder_.config(), options.kv_dtype, options.sliding_pages,
          options.global_pages};
}

std::unique_ptr<Sequence> DecoderBench::random_sequence(int n_tokens) {
  auto request = std::make_shared<Request>();
  std::mt19937 random(static_cast<unsigned>(n_sequences_));
  for (int i = 0; i < n_tokens; ++i) {
    request->tokens.push_back(
        static_cast<int32_t>(random() % static_cast<unsigned>(decoder_.config().vocab)));
  }
  auto s = std::make_unique<Sequence>();
  s->tokens = request->tokens;
  s->n_prompt = n_tokens;
  s->request = std::move(request);
  s->arrival = n_sequences_++;
  return s;
}

void DecoderBench::run_step(Scheduler& scheduler, const KvCache& cache) {
  const Step step = scheduler.schedule();
  const Batch batch = Batch::from(step);
  const Tensor rows = decoder_.forward(batch, cache);
  scheduler.commit(step);
  std::vector<Sequence*> of_row;
  for (const Chunk& chunk : step.chunks) {
    if (chunk.reaches_end()) of_row.push_back(chunk.sequence);
  }
  const auto n_rows = static_cast<int64_t>(of_row.size());
  const int64_t at_once = decoder_.max_logit_rows();
  for (int64_t first = 0; first < n_rows; first += at_once) {
    const int64_t n = std::min(at_once, n_rows - first);
    std::vector<SampleDraw> draws;
    for (int64_t i = 0; i < n; ++i) draws.push_back({.row = i, .temperature = 0.0F});
    const std::vector<Sampled> greedy =
        backend_.sample({.logits = decoder_.logits(rows.rows(first, n)), .draws = draws});
    for (int64_t i = 0; i < n; ++i) of_row[first + i]->tokens.push_back(greedy[i].token);
  }
}

StepTime DecoderBench::decode(int batch, int context, int n_steps) {
  const EngineOptions options = with_pages(batch, context + n_steps + 2);
  const KvCache pages = cache(options);
  Scheduler scheduler(scheduler_limits(decoder_.config(), options));
  for (int i = 0; i < batch; ++i) scheduler.add(random_sequence(context));
  const auto all_decode = [&] {
    const auto all = scheduler.all();
    return scheduler.n_waiting() == 0 && std::all_of(all.begin(), all.end(), [](Sequence* s) {
             return s->n_pending() == 1 && s->n_output() > 0;
           });
  };
  while (!all_decode()) run_step(scheduler, pages);
  std::vector<double> ms;
  for (int i = 0; i < n_steps; ++i) {
    const Clock::time_point start = Clock::now();
    run_step(scheduler, pages);
    ms.push_back(ms_since(start));
  }
  return median_of(std::move(ms));
}

StepTime DecoderBench::prefill(int length, int n_repeats) {
  const EngineOptions options = with_pages(1, length + 1);
  const KvCache pages = cache(options);
  std::vector<double> ms;
  for (int i = 0; i < n_repeats; ++i) {
    Scheduler scheduler(scheduler_limits(decoder_.config(), options));
    scheduler.add(random_sequence(length));
    const Sequence* s = scheduler.all()[0];
    const Clock::time_point start = Clock::now();
    while (s->n_output() == 0) run_step(scheduler, pages);
    ms.push_back(ms_since(start));
  }
  return median_of(std::move(ms));
}

}  // namespace lapidary
