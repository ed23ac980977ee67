#include "server/http/connection_pool.h"

#include <pthread.h>

#include <system_error>
#include <utility>

namespace lapidary {
namespace {

thread_local bool refusing = false;

}  // namespace

ConnectionPool::ConnectionPool(size_t max_threads)
    : max_threads_(max_threads), refuser_([this] { refuse(); }) {}

ConnectionPool::~ConnectionPool() { shutdown(); }

bool ConnectionPool::is_refusing() { return refusing; }

void ConnectionPool::run(std::function<void()> job) {
  const std::lock_guard lock(mutex_);
  if (jobs_.size() < idle_) {
    jobs_.push_back(std::move(job));
    work_.notify_one();
    return;
  }
  if (threads_.size() < max_threads_ && start_thread()) {
    jobs_.push_back(std::move(job));
    return;
  }
  refusals_.push_back(std::move(job));
  refusal_work_.notify_one();
}

bool ConnectionPool::start_thread() {
  try {
    threads_.emplace_back([this] { serve(); });
    return true;
  } catch (const std::system_error&) {
    return false;  // the system's limit is below ours
  }
}

void ConnectionPool::serve() {
  // So that the system's tools, and tests/bench/load_generator, can tell HTTP work from the
  // engine's.
  pthread_setname_np(pthread_self(), "http");
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    work_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    --idle_;
    if (jobs_.empty()) return;
    const std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    lock.lock();
  }
}

void ConnectionPool::refuse() {
  refusing = true;
  std::unique_lock lock(mutex_);
  for (;;) {
    refusal_work_.wait(lock, [this] { return stopping_ || !refusals_.empty(); });
    if (refusals_.empty()) return;
    const std::function<void()> job = std::move(refusals_.front());
    refusals_.pop_front();
    lock.unlock();
    job();
    lock.lock();
  }
}

void ConnectionPool::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  refusal_work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  if (refuser_.joinable()) refuser_.join();
}

}  // namespace lapidary
