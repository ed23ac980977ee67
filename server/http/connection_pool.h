// The threads that serve connections: one each, started when needed, kept afterwards, never more
// than the limit. A job beyond the limit does not wait for one of them: it runs on one extra thread
// with is_refusing() true, to tell the client so and hang up. No job is ever dropped, since a job
// owns its socket; so a refusal must never wait. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace lapidary {

class ConnectionPool {
 public:
  explicit ConnectionPool(size_t max_threads);
  ~ConnectionPool();  // as shutdown()
  ConnectionPool(const ConnectionPool&) = delete;
  ConnectionPool& operator=(const ConnectionPool&) = delete;

  void run(std::function<void()> job);
  // Returns when all jobs have ended. Idempotent.
  void shutdown();

  // On the thread of a job: this job is one too many.
  static bool is_refusing();

 private:
  bool start_thread();
  void serve();
  void refuse();

  const size_t max_threads_;
  std::mutex mutex_;
  std::condition_variable work_, refusal_work_;
  std::deque<std::function<void()>> jobs_, refusals_;
  size_t idle_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
  std::thread refuser_;
};

}  // namespace lapidary
