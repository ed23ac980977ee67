#include "engine/engine_loop.h"

#include <algorithm>
#include <utility>

namespace lapidary {
namespace {

std::unique_ptr<Sequence> first_choice(Request request, std::shared_ptr<TokenStream> stream) {
  auto s = std::make_unique<Sequence>();
  s->stream = std::move(stream);
  s->n_open = std::make_shared<int>(request.n);
  s->tokens = request.tokens;
  s->n_prompt = s->n_tokens();
  s->must_fork = request.n > 1;
  if (request.rules) s->guide.emplace(request.rules);
  if (request.sampling.repetition_penalty != 1.0F) s->counts.add_prompt(s->tokens);
  s->request = std::make_shared<const Request>(std::move(request));
  return s;
}

}  // namespace

SchedulerLimits scheduler_limits(const ModelConfig& config, const EngineOptions& options) {
  SchedulerLimits limits{.max_seqs = options.max_num_seqs,
                         .step_tokens = options.max_num_batched_tokens,
                         .has_global = false,
                         .whole_images = config.vision && config.sees_images_whole,
                         .sliding_pages = options.sliding_pages,
                         .global_pages = options.global_pages};
  for (const LayerConfig& layer : config.layers) {
    if (layer.kind == LayerKind::sliding) limits.window = layer.window;
    if (layer.kind == LayerKind::global) limits.has_global = true;
  }
  return limits;
}

EngineLoop::EngineLoop(Backend& backend, std::unique_ptr<Gemma4> model,
                       const EngineOptions& options)
    : backend_(backend),
      model_(std::move(model)),
      options_(options),
      cache_(backend, model_->config(), options.kv_dtype, options.sliding_pages,
             options.global_pages),
      encoder_(*model_, backend),
      scheduler_(scheduler_limits(model_->config(), options)),
      draws_(model_->config().vocab) {
  const bool whole_images = config().vision && config().sees_images_whole;
  CHECK(!whole_images ||
        options.max_num_batched_tokens >= options.max_num_seqs + options.max_image_tokens);
  publish_stats();
  thread_ = std::thread([this] { run(); });
}

EngineLoop::~EngineLoop() {
  {
    const std::lock_guard lock(mutex_);
    draining_ = stopping_ = cancel_all_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

// --- the door ---

Submission EngineLoop::submit(Request request) {
  const int64_t total = static_cast<int64_t>(request.tokens.size()) + request.max_tokens;
  int longest_image = 0;
  for (const MediaSpan& span : request.media) longest_image = std::max(longest_image, span.count);
  CHECK(longest_image == 0 || (config().vision && longest_image <= options_.max_image_tokens));
  if (total > options_.max_model_len || !scheduler_.fits(total, longest_image)) {
    return Refusal::too_long;
  }
  const int n = request.n;
  const size_t events = request.prompt_logprobs ? request.tokens.size() : 0;
  auto stream = std::make_shared<TokenStream>(n, 4096 + events);
  std::unique_ptr<Sequence> sequence = first_choice(std::move(request), stream);
  {
    const std::lock_guard lock(mutex_);
    if (draining_) return Refusal::draining;
    if (n_open_ + n > options_.max_num_seqs + options_.max_queued_requests) {
      return Refusal::queue_full;
    }
    n_open_ += n;
    sequence->arrival = n_submitted_++;
    inbox_.push_back(std::move(sequence));
  }
  wake_.notify_one();
  return stream;
}

void EngineLoop::drain(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  draining_ = true;
  const auto nothing_left = [this] { return n_open_ == 0; };
  if (idle_.wait_until(lock, deadline, nothing_left)) return;
  cancel_all_ = true;
  wake_.notify_one();
  idle_.wait(lock, nothing_left);
}

EngineStats EngineLoop::stats() const {
  const std::lock_guard lock(mutex_);
  EngineStats stats = stats_;
  stats.waiting += static_cast<int>(inbox_.size());  // submitted during the step that runs now
  return stats;
}

// --- the engine thread ---

void EngineLoop::run() {
  while (admit()) {
    drop_cancelled();
    if (scheduler_.n_running() + scheduler_.n_waiting() > 0) step();
    // Readers are woken behind the launch of the next step, where the device works meanwhile.
    if (!backend_.runs_ahead() || scheduler_.n_running() + scheduler_.n_waiting() == 0) send();
    publish_stats();
  }
}

bool EngineLoop::admit() {
  std::vector<std::unique_ptr<Sequence>> arrived;
  {
    std::unique_lock lock(mutex_);
    const bool is_idle = scheduler_.n_running() + scheduler_.n_waiting() == 0;
    if (is_idle) wake_.wait(lock, [this] { return !inbox_.empty() || stopping_; });
    if (stopping_ && is_idle && inbox_.empty()) return false;
    arrived.swap(inbox_);
  }
  for (auto& s : arrived) scheduler_.add(std::move(s));
  return true;
}

void EngineLoop::drop_cancelled() {
  bool cancel_all = false;
  {
    const std::lock_guard lock(mutex_);
    cancel_all = cancel_all_;
  }
  for (Sequence* s : scheduler_.all()) {
    const bool is_cancelled = cancel_all || s->stream->cancelled() ||
                              (!s->must_fork && s->stream->choice_cancelled(s->choice));
    if (!is_cancelled) continue;
    outbox_.push(s->stream, {.choice = s->choice, .finish = FinishReason::cancelled});
    leave(*s);
  }
}

void EngineLoop::step() {
  const Step step = scheduler_.schedule();
  CHECK(!step.chunks.empty());  // the oldest always finds pages
  Batch batch = Batch::from(step, config().sees_images_whole);
  encoder_.encode(batch.media);
  const Tensor rows = model_->forward(batch, cache_);
  send();
  scheduler_.commit(step);
  ++counters_.steps;
  for (const Chunk& chunk : step.chunks) {
    const Sequence& s = *chunk.sequence;
    counters_.prompt_tokens += std::max(0, std::min(s.n_computed, s.n_prompt) - chunk.start);
  }
  sample(step, rows);
  for (Sequence* s : std::exchange(finished_, {})) leave(*s);
}

// Every wanted row of the step, a block of rows at a time.
void EngineLoop::sample(const Step& step, const Tensor& rows) {
  struct Row {
    Sequence* sequence;
    int position;
  };
  std::vector<Row> wanted;
  for (const Chunk& chunk : step.chunks) {
    for (int i = first_logit_row(chunk); i < chunk.count; ++i) {
      wanted.push_back({chunk.sequence, chunk.start + i});
    }
  }
  const auto n_rows = static_cast<int64_t>(wanted.size());
  const int64_t at_once = model_->max_logit_rows();
  for (int64_t first = 0; first < n_rows; first += at_once) {
    const int64_t n = std::min(at_once, n_rows - first);
    draws_.clear();
    for (int64_t i = 0; i < n; ++i) {
      plan_row(*wanted[first + i].sequence, wanted[first + i].position, i);
    }
    std::vector<Sampled> sampled;
    if (!draws_.empty())
      sampled = backend_.sample(draws_.args(model_->logits(rows.rows(first, n))));
    for (size_t i = 0; i < draws_.size(); ++i) {
      Sequence& s = draws_.sequence(i);
      if (draws_.is_score(i)) {
        accept_score(s, std::move(sampled[i]));
      } else {
        accept_draw(s, std::move(sampled[i]));
      }
    }
    for (const auto& [s, finish] : std::exchange(without_draw_, {})) {
      publish(*s, {.choice = s->choice, .finish = finish});
    }
  }
}

// The logits after `position`: they score the next prompt token, or draw the next token.
void EngineLoop::plan_row(Sequence& s, int position, int64_t row) {
  if (s.request->prompt_logprobs) plan_score(s, position, row);
  if (position + 1 < s.n_tokens()) return;
  if (s.must_fork) start_other_choices(s, row);
  plan_draw(s, row);
}

void EngineLoop::plan_draw(Sequence& s, int64_t row) {
  if (s.request->max_tokens == 0) {
    without_draw_.emplace_back(&s, FinishReason::length);
  } else if (!draws_.add_draw(s, row)) {
    without_draw_.emplace_back(&s, FinishReason::failed);
  }
}

void EngineLoop::plan_score(Sequence& s, int position, int64_t row) {
  if (s.n_prompt_published == 0) {
    outbox_.push(s.stream, {.token = s.tokens[0], .is_prompt = true});
    s.n_prompt_published = 1;
  }
  // Computed once more after a preemption, sent once.
  const int next = position + 1;
  if (next != s.n_prompt_published || next >= s.n_prompt) return;
  s.n_prompt_published = next + 1;
  draws_.add_score(s, row, s.tokens[next]);
}

void EngineLoop::start_other_choices(Sequence& parent, int64_t row) {
  parent.must_fork = false;
  for (int choice = 1; choice < parent.request->n; ++choice) {
    auto child = std::make_unique<Sequence>();
    child->request = parent.request;
    child->stream = parent.stream;
    child->n_open = parent.n_open;
    child->choice = choice;
    child->arrival = parent.arrival;
    child->tokens = parent.tokens;
    child->n_prompt = parent.n_prompt;
    child->n_prompt_published = parent.n_prompt_published;
    child->counts = parent.counts;
    child->guide = parent.guide;
    Sequence& s = *child;
    const ForkCopies copies = scheduler_.fork(parent, std::move(child));
    cache_.copy_page(LayerKind::sliding, copies.sliding);
    cache_.copy_page(LayerKind::global, copies.global);
    plan_draw(s, row);
  }
}

void EngineLoop::accept_score(Sequence& s, Sampled scored) {
  outbox_.push(s.stream, {.token = scored.token,
                          .is_prompt = true,
                          .logprob = scored.logprob,
                          .top = std::move(scored.top)});
}

void EngineLoop::accept_draw(Sequence& s, Sampled drawn) {
  const Request& request = *s.request;
  if (s.guide && !s.guide->accept(drawn.token)) {
    publish(s, {.choice = s.choice, .finish = FinishReason::failed});
    return;
  }
  s.tokens.push_back(drawn.token);
  if (needs_counts(request.sampling)) s.counts.add_output(drawn.token);
  ++counters_.generated_tokens;

  FinishReason finish = FinishReason::none;
  const auto& stops = request.stop_ids;
  const bool is_held = s.guide && s.guide->holds_answer();
  if (!is_held && std::find(stops.begin(), stops.end(), drawn.token) != stops.end()) {
    finish = FinishReason::stop;
  } else if (s.guide && s.guide->is_ended()) {
    finish = FinishReason::stop;
  } else if (s.n_output() >= request.max_tokens) {
    finish = FinishReason::length;
  }
  TokenEvent event{.choice = s.choice, .token = drawn.token, .finish = finish};
  if (request.sampling.n_logprobs >= 0) event.logprob = drawn.logprob;
  event.top = std::move(drawn.top);
  publish(s, std::move(event));
}

// A full ring cancels the stream; drop_cancelled() takes its sequences out before the next step.
void EngineLoop::publish(Sequence& s, TokenEvent event) {
  if (event.finish != FinishReason::none) finished_.push_back(&s);
  outbox_.push(s.stream, std::move(event));
}

void EngineLoop::leave(Sequence& s) {
  // Choices that were never started end with the first.
  const int n_ended = s.must_fork ? s.request->n : 1;
  *s.n_open -= n_ended;
  if (*s.n_open == 0) outbox_.end(s.stream);
  scheduler_.finish(&s);
  n_ended_ += n_ended;
}

void EngineLoop::send() {
  outbox_.send();
  const std::lock_guard lock(mutex_);
  n_open_ -= std::exchange(n_ended_, 0);
  if (n_open_ == 0) idle_.notify_all();
}

void EngineLoop::publish_stats() {
  counters_.running = scheduler_.n_running();
  counters_.waiting = scheduler_.n_waiting();
  const BlockPool& sliding = scheduler_.sliding_pool();
  const BlockPool& global = scheduler_.global_pool();
  counters_.pages_total = sliding.n_pages() + global.n_pages();
  counters_.pages_free = sliding.n_free() + global.n_free();
  counters_.preemptions = scheduler_.n_preemptions();
  const std::lock_guard lock(mutex_);
  stats_ = counters_;
}

}  // namespace lapidary
