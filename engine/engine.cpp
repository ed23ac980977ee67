#include "engine/engine.h"

#include <new>
#include <string>
#include <utility>

#include "config/startup_error.h"
#include "engine/engine_loop.h"

namespace lapidary {

Engine::Engine(Backend& backend, std::unique_ptr<Gemma4> model, const EngineOptions& options) try
    : loop_(std::make_unique<EngineLoop>(backend, std::move(model), options)) {
} catch (const std::bad_alloc&) {
  throw StartupError("The workspaces of steps of " +
                     std::to_string(options.max_num_batched_tokens) +
                     " tokens do not fit in memory; lower --max-num-batched-tokens.");
}
Engine::~Engine() = default;

Submission Engine::submit(Request request) { return loop_->submit(std::move(request)); }
void Engine::drain(std::chrono::steady_clock::time_point deadline) { loop_->drain(deadline); }
EngineStats Engine::stats() const { return loop_->stats(); }
const ModelConfig& Engine::config() const { return loop_->config(); }
const EngineOptions& Engine::options() const { return loop_->options(); }

}  // namespace lapidary
