// The engine: takes Requests, gives TokenStreams. One thread owns scheduler, cache and device and
// sees only integers and tensors; every public method may be called from any thread. The loop is
// admit, schedule, forward, sample, commit, publish (engine/engine_loop.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <variant>

#include "config/model_config.h"
#include "engine/request.h"
#include "engine/token_stream.h"
#include "kernels/backend.h"

namespace lapidary {

class EngineLoop;
class Gemma4;

struct EngineOptions {
  int max_model_len = 0;             // tokens of prompt and answer; <= the model's max_positions
  int max_num_seqs = 256;            // running at once
  int max_num_batched_tokens = 512;  // tokens of one step; >= max_num_seqs
  int max_queued_requests = 256;     // choices waiting, not running; beyond: refused
  int sliding_pages = 0;             // pages of each layer group (engine/memory_plan.h)
  int global_pages = 0;
  DType kv_dtype = DType::bf16;
  int max_image_tokens = 1120;  // soft tokens of the largest image
};

// Why submit() said no. The server turns these into 503s and 400s.
enum class Refusal : uint8_t {
  queue_full,  // try again later
  draining,    // the server is going down
  too_long,    // prompt and answer do not fit max_model_len, or can never fit the KV cache
};

using Submission = std::variant<std::shared_ptr<TokenStream>, Refusal>;

// A snapshot for /ready, metrics and tests, as of the last step.
struct EngineStats {
  int running = 0, waiting = 0;             // sequences
  int64_t pages_total = 0, pages_free = 0;  // both layer groups
  int64_t steps = 0, prompt_tokens = 0, generated_tokens = 0, preemptions = 0;
};

class Engine {
 public:
  // Takes pages and workspaces from the backend, which must outlive the engine, and starts the
  // thread. Throws StartupError when they do not fit.
  Engine(Backend& backend, std::unique_ptr<Gemma4> model, const EngineOptions& options);
  ~Engine();  // cancels what runs and joins the thread
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // REQUIRES: a validated request (ids inside the vocabulary, n >= 1).
  Submission submit(Request request);

  // Refuses new requests from now on; returns when all running ones ended, or cancels them at
  // `deadline`.
  void drain(std::chrono::steady_clock::time_point deadline);

  EngineStats stats() const;
  const ModelConfig& config() const;
  const EngineOptions& options() const;

 private:
  std::unique_ptr<EngineLoop> loop_;
};

}  // namespace lapidary
