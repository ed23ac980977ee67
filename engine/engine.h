// The engine: takes Requests, gives TokenStreams. One thread owns scheduler, cache and device and
// sees only integers and tensors; submit() may be called from any thread. The loop is
// admit, schedule, forward, sample, commit, publish.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <variant>
#include <vector>

#include "config/model_config.h"
#include "engine/request.h"
#include "engine/token_stream.h"
#include "kernels/backend.h"

namespace lapidary {

class Gemma4;

struct EngineOptions {
  int max_model_len = 0;            // tokens of prompt and answer; <= the model's max_positions
  int max_num_seqs = 256;           // running at once
  int max_num_batched_tokens = 512; // tokens of one step
  int64_t kv_cache_bytes = 0;       // both layer groups together
  int max_queued_requests = 256;    // waiting, not running; beyond: refused
  DType kv_dtype = DType::bf16;
};

// Why submit() said no. The server turns these into 503s and 400s.
enum class Refusal : uint8_t {
  queue_full,    // try again later
  draining,      // the server is going down
  too_long,      // prompt + 1 does not fit max_model_len, or can never fit the KV cache
};

using Submission = std::variant<std::shared_ptr<TokenStream>, Refusal>;

// A snapshot for /ready, metrics and tests; never takes the scheduler's time.
struct EngineStats {
  int running = 0, waiting = 0;
  int64_t pages_total = 0, pages_free = 0;  // both layer groups
  int64_t steps = 0, prompt_tokens = 0, generated_tokens = 0, preemptions = 0;
};

class Engine {
 public:
  // Takes pages and workspaces from the backend now. Throws StartupError when they do not fit.
  Engine(Backend& backend, std::unique_ptr<Gemma4> model, const EngineOptions& options);
  ~Engine();  // cancels what runs and joins the thread
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  Submission submit(Request request);

  // No new requests; returns when all running ones ended or `deadline` passed (then they are
  // cancelled). Any thread, once.
  void drain(std::chrono::steady_clock::time_point deadline);

  EngineStats stats() const;
  const ModelConfig& config() const;
  const EngineOptions& options() const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace lapidary
