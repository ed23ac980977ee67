#include "kernels/cpu/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <fstream>
#include <set>
#include <string>
#include <utility>

#include "kernels/check.h"

namespace lapidary::cpu {
namespace {

constexpr uint64_t kClosed = 0xffffffffU;
constexpr uint32_t kStop = 0xffffffffU;

// How long a worker looks for the next job before it sleeps: longer than the serial pieces
// between two verbs of a step, short against a step.
constexpr auto kSpin = std::chrono::microseconds(40);

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

std::string read_word(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

// Processors' worth of time that a control group grants, rounded up; 0: no limit known.
int quota() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::string limit;
  double period = 0;
  if (!(file >> limit >> period) || limit == "max" || period <= 0) return 0;
  char* end = nullptr;
  const double granted = std::strtod(limit.c_str(), &end);
  return *end == '\0' ? static_cast<int>(std::ceil(granted / period)) : 0;
}

int physical_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int n = static_cast<int>(std::thread::hardware_concurrency());
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    std::set<std::pair<std::string, std::string>> cores;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &set)) continue;
      const std::string at = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
      const std::string core = read_word(at + "core_id");
      cores.emplace(read_word(at + "physical_package_id"),
                    core.empty() ? std::to_string(cpu) : core);
    }
    n = static_cast<int>(cores.size());
  }
  if (const int granted = quota(); granted > 0) n = std::min(n, granted);
  return std::max(n, 1);
}

}  // namespace

ThreadPool::ThreadPool(int n_threads) {
  if (n_threads == 0) n_threads = physical_cores();
  CHECK(n_threads > 0);
  ticket_ = kClosed;
  for (int i = 1; i < n_threads; ++i) workers_.emplace_back([this, i] { worker(i); });
}

ThreadPool::~ThreadPool() {
  job_.store(kStop, std::memory_order_release);
  job_.notify_all();
  for (std::thread& thread : workers_) thread.join();
}

void ThreadPool::run_chunks(int64_t n_chunks, const void* context, Function function) {
  CHECK(n_chunks < static_cast<int64_t>(kClosed) - 1024);
  // The job number skips kStop, so that a long-lived server never stops its workers by counting.
  const uint32_t job = (job_.load(std::memory_order_relaxed) + 1) % kStop;
  const uint64_t number = static_cast<uint64_t>(job) << 32;
  ticket_.store(number | kClosed, std::memory_order_release);
  n_chunks_.store(static_cast<uint32_t>(n_chunks), std::memory_order_release);
  context_.store(context, std::memory_order_release);
  function_.store(function, std::memory_order_release);
  done_.store(0, std::memory_order_release);
  ticket_.store(number, std::memory_order_release);
  job_.store(job, std::memory_order_release);
  job_.notify_all();
  work_off(0);
  int tries = 0;
  while (done_.load(std::memory_order_acquire) != static_cast<uint32_t>(n_chunks)) {
    pause();
    if (++tries > 2000) std::this_thread::yield();  // the other one was preempted
  }
}

void ThreadPool::work_off(int thread) {
  uint64_t ticket = ticket_.load(std::memory_order_acquire);
  while (true) {
    const uint32_t n_chunks = n_chunks_.load(std::memory_order_acquire);
    const void* context = context_.load(std::memory_order_acquire);
    const Function function = function_.load(std::memory_order_acquire);
    const auto chunk = static_cast<uint32_t>(ticket);
    if (chunk >= n_chunks) return;
    // Success proves that the job of this ticket is still open, so the fields above are its own.
    if (!ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel)) continue;
    function(context, thread, chunk);
    done_.fetch_add(1, std::memory_order_acq_rel);
    ticket = ticket_.load(std::memory_order_acquire);
  }
}

void ThreadPool::worker(int thread) {
  uint32_t seen = 0;
  while (true) {
    uint32_t job = job_.load(std::memory_order_acquire);
    const auto until = std::chrono::steady_clock::now() + kSpin;
    while (job == seen && std::chrono::steady_clock::now() < until) {
      for (int i = 0; i < 16 && job == seen; ++i) {
        pause();
        job = job_.load(std::memory_order_acquire);
      }
    }
    if (job == seen) {
      job_.wait(seen, std::memory_order_acquire);
      continue;
    }
    if (job == kStop) return;
    seen = job;
    work_off(thread);
  }
}

}  // namespace lapidary::cpu
