// The thread pool: every chunk once, for any number of threads, also after sleeping.
#include "kernels/cpu/thread_pool.h"

#include <atomic>
#include <chrono>

#include "tests/catch.h"

namespace lapidary::cpu {

TEST_CASE("the pool runs every chunk exactly once", "[kernels]") {
  for (int n_threads : {1, 2, 3, 8}) {
    ThreadPool pool(n_threads);
    REQUIRE(pool.n_threads() == n_threads);
    for (int64_t n : {0, 1, 2, 7, 1000}) {
      std::vector<int> times(n);  // plain: two threads on one chunk would race
      std::atomic<int> strangers{0};
      pool.run(n, [&](int thread, int64_t i) {
        if (thread < 0 || thread >= n_threads) ++strangers;
        ++times[i];
      });
      REQUIRE(strangers == 0);
      for (int t : times) REQUIRE(t == 1);
    }
  }
}

TEST_CASE("results of one job are seen by the next, many short jobs in a row", "[kernels]") {
  ThreadPool pool(4);
  // Each element comes from another chunk of the job before.
  std::vector<int64_t> a(64);
  std::vector<int64_t> b(64);
  for (int round = 0; round < 5000; ++round) {
    pool.run(64, [&](int, int64_t i) { b[i] = a[(i * 7 + 1) % 64] + 1; });
    pool.run(64, [&](int, int64_t i) { a[i] = b[(i * 5 + 3) % 64]; });
  }
  for (int64_t x : a) REQUIRE(x == 5000);
}

TEST_CASE("workers that fell asleep take part again", "[kernels]") {
  ThreadPool pool(3);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    std::vector<int> times(200);
    pool.run(200, [&](int, int64_t i) { ++times[i]; });
    for (int t : times) REQUIRE(t == 1);
  }
}

TEST_CASE("ranges cover all items in order, whatever they cost", "[kernels]") {
  ThreadPool pool(3);
  for (int64_t cost : {0, 1, 1000, 100000}) {
    for (int64_t n : {0, 1, 5, 1234}) {
      std::vector<int> times(n);
      pool.run_ranges(n, cost, [&](int, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++times[i];
      });
      for (int t : times) REQUIRE(t == 1);
    }
  }
}

}  // namespace lapidary::cpu
