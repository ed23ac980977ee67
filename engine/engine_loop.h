// The engine thread and its door. What crosses the door: an inbox of submitted sequences, the
// TokenStreams, a snapshot of statistics. Everything below "engine thread" is touched by that
// thread alone. The loop neither throws nor catches; running out of pages is preemption, not an
// error.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "engine/batch.h"
#include "engine/cache/kv_cache.h"
#include "engine/engine.h"
#include "engine/media_encoder.h"
#include "engine/model/gemma4.h"
#include "engine/outbox.h"
#include "engine/sample_batch.h"
#include "engine/scheduler.h"

namespace lapidary {

// What the scheduler must know of a model and the engine's options.
SchedulerLimits scheduler_limits(const ModelConfig& config, const EngineOptions& options);

class EngineLoop {
 public:
  EngineLoop(Backend& backend, std::unique_ptr<Gemma4> model, const EngineOptions& options);
  ~EngineLoop();

  Submission submit(Request request);
  void drain(std::chrono::steady_clock::time_point deadline);
  EngineStats stats() const;
  const ModelConfig& config() const { return model_->config(); }
  const EngineOptions& options() const { return options_; }

 private:
  // --- engine thread ---
  void run();
  bool admit();  // false: stop
  void drop_cancelled();
  void step();
  void sample(const Step& step, const Tensor& rows);
  void plan_row(Sequence& s, int position, int64_t row);
  void plan_draw(Sequence& s, int64_t row);
  void plan_score(Sequence& s, int position, int64_t row);
  void start_other_choices(Sequence& parent, int64_t row);
  void accept_score(Sequence& s, Sampled scored);
  void accept_draw(Sequence& s, Sampled drawn);
  void publish(Sequence& s, TokenEvent event);
  void leave(Sequence& s);
  void send();  // what the outbox holds, and that its choices have ended
  void publish_stats();

  Backend& backend_;
  const std::unique_ptr<Gemma4> model_;
  const EngineOptions options_;
  KvCache cache_;
  MediaEncoder encoder_;
  Scheduler scheduler_;
  SampleBatch draws_;  // of the rows whose logits are there
  // Of these rows, what ends without a draw: prompts that are only scored, answers whose rules
  // leave nothing to go on with.
  std::vector<std::pair<Sequence*, FinishReason>> without_draw_;
  std::vector<Sequence*> finished_;  // in this step
  Outbox outbox_;
  int n_ended_ = 0;  // choices whose end is not sent yet

  // --- the door ---
  mutable std::mutex mutex_;
  std::condition_variable wake_;  // something came in, or the engine must stop
  std::condition_variable idle_;  // nothing is left
  std::vector<std::unique_ptr<Sequence>> inbox_;
  int64_t n_submitted_ = 0;
  int n_open_ = 0;  // choices submitted and not ended
  bool draining_ = false, stopping_ = false, cancel_all_ = false;
  EngineStats stats_;     // what stats() gives
  EngineStats counters_;  // engine thread's own, copied to stats_ once a step

  std::thread thread_;  // last: starts when all else is there
};

}  // namespace lapidary
