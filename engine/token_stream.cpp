#include "engine/token_stream.h"

#include <iterator>
#include <utility>

#include "kernels/check.h"

namespace lapidary {

std::vector<TokenEvent> TokenStream::take(std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  ready_.wait_for(lock, wait, [this] { return !events_.empty() || ended_; });
  std::vector<TokenEvent> taken(std::make_move_iterator(events_.begin()),
                                std::make_move_iterator(events_.end()));
  events_.clear();
  return taken;
}

bool TokenStream::done() const {
  const std::lock_guard lock(mutex_);
  return ended_ && events_.empty();
}

void TokenStream::cancel() { cancelled_.store(true, std::memory_order_relaxed); }

void TokenStream::cancel_choice(int choice) {
  const std::lock_guard lock(mutex_);
  CHECK(choice >= 0 && static_cast<size_t>(choice) < choice_cancelled_.size());
  choice_cancelled_[choice] = true;
}

bool TokenStream::push(TokenEvent event) {
  bool is_whole = true;
  {
    const std::lock_guard lock(mutex_);
    CHECK(!ended_);
    const bool is_last = event.finish != FinishReason::none;
    // The last event of a choice always finds room: at most one more per choice, and without it
    // the reader would not learn how the choice ended.
    if (events_.size() >= capacity_ && !is_last) {
      overflowed_ = true;
      cancel();
    }
    is_whole = !overflowed_;
    // Behind a gap nothing is worth reading but the end, and that end is a cancellation.
    if (overflowed_ && is_last) {
      event = {.choice = event.choice, .finish = FinishReason::cancelled};
    }
    if (is_whole || is_last) events_.push_back(std::move(event));
  }
  ready_.notify_one();
  return is_whole;
}

void TokenStream::end() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  ready_.notify_one();
}

bool TokenStream::choice_cancelled(int choice) const {
  const std::lock_guard lock(mutex_);
  CHECK(choice >= 0 && static_cast<size_t>(choice) < choice_cancelled_.size());
  return choice_cancelled_[choice];
}

}  // namespace lapidary
