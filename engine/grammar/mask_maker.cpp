#include "engine/grammar/mask_maker.h"

#include <ctime>

namespace lapidary {
namespace {

// Of one grammar. Only speed depends on how far it comes.
constexpr double kMaxSeconds = 0.25;

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

MaskMaker::MaskMaker() : thread_([this] { run(); }) {}

MaskMaker::~MaskMaker() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void MaskMaker::add(const std::shared_ptr<const Grammar>& grammar) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() == kMaxWaiting) waiting_.pop_front();
    waiting_.push_back(grammar);
  }
  changed_.notify_all();
}

void MaskMaker::wait_until_idle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return waiting_.empty() && !is_working_; });
}

void MaskMaker::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return !waiting_.empty() || is_stopping_; });
    if (is_stopping_) return;
    std::shared_ptr<const Grammar> grammar = waiting_.front().lock();
    waiting_.pop_front();
    if (grammar == nullptr) {
      changed_.notify_all();
      continue;
    }
    is_working_ = true;
    lock.unlock();
    const double end = thread_seconds() + kMaxSeconds;
    grammar->make_masks([&] {
      const std::lock_guard stop_lock(mutex_);
      return !is_stopping_ && grammar.use_count() > 1 && thread_seconds() < end;
    });
    grammar.reset();
    lock.lock();
    is_working_ = false;
    changed_.notify_all();
  }
}

}  // namespace lapidary
