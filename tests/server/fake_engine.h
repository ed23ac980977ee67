// An engine that says what a test scripted: it answers submit() with a stream that a thread of its
// own fills. Lets the whole API run without a model.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/request.h"
#include "engine/token_stream.h"

namespace lapidary {

class FakeEngine {
 public:
  // Events in the order in which they are pushed; the stream ends behind them.
  using Script = std::function<std::vector<TokenEvent>(const Request&)>;

  FakeEngine() = default;
  ~FakeEngine() {
    for (std::thread& thread : threads_) thread.join();
  }

  void set_script(Script script) { script_ = std::move(script); }
  // Waits so long before each event; a cancelled stream ends early.
  void set_pause(std::chrono::milliseconds pause) { pause_ = pause; }
  void refuse_with(std::optional<Refusal> refusal) { refusal_ = refusal; }

  Submission submit(Request request) {
    const std::lock_guard lock(mutex_);
    if (refusal_) return *refusal_;
    requests_.push_back(request);
    auto stream = std::make_shared<TokenStream>(request.n, 100'000);
    ++running_;  // here, not on the thread: a test may look before it runs
    threads_.emplace_back([this, stream, events = script_(request)] { fill(*stream, events); });
    return stream;
  }

  Request last_request() {
    const std::lock_guard lock(mutex_);
    return requests_.back();
  }
  size_t n_requests() {
    const std::lock_guard lock(mutex_);
    return requests_.size();
  }
  int running() const { return running_; }
  int n_cancelled() const { return n_cancelled_; }

 private:
  void fill(TokenStream& stream, const std::vector<TokenEvent>& events) {
    for (const TokenEvent& event : events) {
      const auto until = std::chrono::steady_clock::now() + pause_;
      while (!stream.cancelled() && std::chrono::steady_clock::now() < until) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      if (stream.cancelled()) {
        ++n_cancelled_;
        break;
      }
      stream.push(event);
    }
    stream.end();
    --running_;
  }

  std::mutex mutex_;
  Script script_ = [](const Request&) { return std::vector<TokenEvent>(); };
  std::chrono::milliseconds pause_{0};
  std::optional<Refusal> refusal_;
  std::vector<Request> requests_;
  std::vector<std::thread> threads_;
  std::atomic<int> running_{0}, n_cancelled_{0};
};

}  // namespace lapidary
