// What a submitted request gives back: a bounded ring of TokenEvents from the engine thread to one
// HTTP thread. The engine never waits for the reader: a full ring cancels the request, and the
// reader gets what was generated until then. Also the way to say "stop" (cancel, stop strings).
// Producer side: engine thread only. Consumer side: one thread. Both may run at once.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <vector>

#include "engine/request.h"

namespace lapidary {

class TokenStream {
 public:
  explicit TokenStream(int n_choices, size_t capacity = 4096)
      : capacity_(capacity), choice_cancelled_(n_choices, false) {}

  // --- consumer ---
  // All events that are there, waiting up to `wait` for the first. Empty: nothing came in time
  // (keep-alive is due) or, if done(), the stream has ended and is drained.
  std::vector<TokenEvent> take(std::chrono::milliseconds wait);
  bool done() const;  // ended and drained

  // Ends every choice, or one; the engine frees its pages within one step. Idempotent.
  void cancel();
  void cancel_choice(int choice);

  // Prompt tokens that were served from cache.
  int cached_tokens() const { return cached_tokens_.load(std::memory_order_relaxed); }

  // --- producer (engine thread) ---
  // False: the ring is (or was) full and the request is now cancelled. From then on only the last
  // event of each choice is taken, as a cancellation: what the reader gets has no gap.
  bool push(TokenEvent event);
  void end();  // no more events
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
  bool choice_cancelled(int choice) const;
  void set_cached_tokens(int n) { cached_tokens_.store(n, std::memory_order_relaxed); }

 private:
  const size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<TokenEvent> events_;
  bool ended_ = false;
  bool overflowed_ = false;
  std::vector<bool> choice_cancelled_;
  std::atomic<bool> cancelled_{false};
  std::atomic<int> cached_tokens_{0};
};

}  // namespace lapidary
