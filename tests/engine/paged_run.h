// Drives the decoder over paged KV without an engine: the test says which sequence computes how
// many tokens in each step, and gets the logits of every position.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "engine/cache/kv_cache.h"
#include "engine/engine_loop.h"
#include "engine/media_encoder.h"
#include "tests/engine/golden_model.h"

namespace lapidary {

class PagedRun {
 public:
  static constexpr int kPages = 96;  // of each group: the sequences below never run out

  explicit PagedRun(const GoldenModel& golden, DType kv = DType::f32)
      : backend_(*golden.backend),
        decoder_(*golden.decoder),
        cache_(*golden.backend, decoder_.config(), kv, kPages, kPages),
        encoder_(decoder_, *golden.backend),
        limits_(scheduler_limits(decoder_.config(), {})),
        sliding_(kPages),
        global_(kPages) {}

  // Index of the new sequence.
  int add(const std::vector<int32_t>& tokens, const std::vector<MediaSpan>& media = {}) {
    auto s = std::make_unique<Sequence>();
    s->request = std::make_shared<Request>(
        Request{.tokens = tokens, .prompt_logprobs = true, .media = media});
    s->tokens = tokens;
    s->n_prompt = s->n_tokens();
    sequences_.push_back(std::move(s));
    logits_.emplace_back();
    return static_cast<int>(sequences_.size()) - 1;
  }

  int n_pending(int i) const { return sequences_[i]->n_pending(); }
  const std::vector<float>& logits(int i) const { return logits_[i]; }

  // One forward pass: the next tokens of some sequences, (index, how many).
  void step(const std::vector<std::pair<int, int>>& parts) {
    Step step;
    for (const auto& [i, count] : parts) {
      Sequence& s = *sequences_[i];
      if (limits_.window > 0) s.sliding.grow(sliding_, s.n_computed + count);
      if (limits_.has_global) s.global.grow(global_, s.n_computed + count);
      step.chunks.push_back({&s, s.n_computed, count});
      step.n_tokens += count;
    }
    Batch batch = Batch::from(step, decoder_.config().sees_images_whole);
    encoder_.encode(batch.media);
    const Tensor rows = decoder_.forward(batch, cache_);
    const int64_t vocab = decoder_.config().vocab;
    std::vector<float> logits(static_cast<size_t>(rows.dim(0) * vocab));
    const size_t bytes = logits.size() * sizeof(float);
    if (logits_memory_.bytes() < bytes) logits_memory_ = backend_.allocate(bytes);
    decoder_.logits(rows, Tensor(logits_memory_.data(), DType::f32, {rows.dim(0), vocab}));
    backend_.download(logits.data(), logits_memory_.data(), bytes);
    const float* next = logits.data();
    for (const auto& [i, count] : parts) {
      logits_[i].insert(logits_[i].end(), next, next + count * vocab);
      next += count * vocab;
      advance(*sequences_[i], count);
    }
  }

  // All pending tokens, alone, in chunks of this size.
  void finish(int i, int chunk) {
    while (n_pending(i) > 0) step({{i, std::min(chunk, n_pending(i))}});
  }

 private:
  void advance(Sequence& s, int count) {
    s.n_computed += count;
    if (limits_.window == 0) return;
    s.sliding.evict_before(sliding_, std::max(0, s.n_computed - limits_.window + 1));
  }

  Backend& backend_;
  Gemma4& decoder_;
  KvCache cache_;
  MediaEncoder encoder_;
  const SchedulerLimits limits_;
  BlockPool sliding_, global_;
  std::vector<std::unique_ptr<Sequence>> sequences_;
  Buffer logits_memory_;
  std::vector<std::vector<float>> logits_;  // of each sequence: [n_computed, vocab]
};

}  // namespace lapidary
