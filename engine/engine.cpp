#include "engine/engine.h"

#include <utility>

#include "engine/engine_loop.h"

namespace lapidary {

Engine::Engine(Backend& backend, std::unique_ptr<Gemma4> model, const EngineOptions& options)
    : loop_(std::make_unique<EngineLoop>(backend, std::move(model), options)) {}
Engine::~Engine() = default;

Submission Engine::submit(Request request) { return loop_->submit(std::move(request)); }
void Engine::drain(std::chrono::steady_clock::time_point deadline) { loop_->drain(deadline); }
EngineStats Engine::stats() const { return loop_->stats(); }
const ModelConfig& Engine::config() const { return loop_->config(); }
const EngineOptions& Engine::options() const { return loop_->options(); }

}  // namespace lapidary
