// Persistent workers for the verbs. One caller at a time (the engine thread), which takes part.
// Idle workers spin for some microseconds, then sleep on a futex; a worker that sleeps or is
// preempted holds nobody up: the caller takes the chunks it does not fetch.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace lapidary::cpu {

class ThreadPool {
 public:
  // n_threads counts the caller; 0: one a physical core this process may use.
  explicit ThreadPool(int n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int n_threads() const { return static_cast<int>(workers_.size()) + 1; }

  // body(thread, chunk) once for each chunk in [0, n_chunks), in about ascending order; returns
  // when all are done. `thread` is in [0, n_threads()). The body must not throw.
  template <typename Body>
  void run(int64_t n_chunks, const Body& body) {
    if (n_chunks <= 1 || workers_.empty()) {
      for (int64_t i = 0; i < n_chunks; ++i) body(0, i);
      return;
    }
    run_chunks(n_chunks, &body, [](const void* context, int thread, int64_t chunk) {
      (*static_cast<const Body*>(context))(thread, chunk);
    });
  }

  // body(thread, begin, end) over ranges of [0, n). `cost` is about the nanoseconds of one item:
  // work too small to share is done by the caller alone.
  template <typename Body>
  void run_ranges(int64_t n, int64_t cost, const Body& body) {
    constexpr int64_t kWorthSharing = 8000;
    const int64_t most = n * cost / (kWorthSharing / 2);
    int64_t n_chunks = most < 4 * n_threads() ? most : 4 * n_threads();
    if (n_chunks > n) n_chunks = n;
    if (n_chunks < 2) n_chunks = 1;
    run(n_chunks, [&](int thread, int64_t chunk) {
      body(thread, n * chunk / n_chunks, n * (chunk + 1) / n_chunks);
    });
  }

 private:
  using Function = void (*)(const void* context, int thread, int64_t chunk);

  void run_chunks(int64_t n_chunks, const void* context, Function function);
  void work_off(int thread);
  void worker(int thread);

  // What the next free chunk is: (number of the job << 32) | chunk. A chunk at or beyond
  // n_chunks_ means that nothing is left. The three fields of the job are only written while the
  // ticket says so, and a worker that read stale ones loses the race for the ticket.
  std::atomic<uint64_t> ticket_{0};
  std::atomic<uint32_t> n_chunks_{0};
  std::atomic<const void*> context_{nullptr};
  std::atomic<Function> function_{nullptr};
  std::atomic<uint32_t> done_{0};

  std::atomic<uint32_t> job_{0};  // what sleepers wait on; kStop ends them
  std::vector<std::thread> workers_;
};

}  // namespace lapidary::cpu
