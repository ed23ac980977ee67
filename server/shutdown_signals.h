// SIGTERM and SIGINT of a server: before arm() they end the process as ever; after it the first one
// runs the shutdown, on a thread of its own, and a second one aborts. Construct it before any other
// thread is started: those must inherit the blocked signals.
#pragma once

#include <signal.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

namespace lapidary {

class ShutdownSignals {
 public:
  ShutdownSignals();
  ~ShutdownSignals();  // waits for a shutdown that has begun
  ShutdownSignals(const ShutdownSignals&) = delete;
  ShutdownSignals& operator=(const ShutdownSignals&) = delete;

  void arm(std::function<void()> shutdown);

 private:
  void watch();
  int next_signal() const;
  std::function<void()> armed();

  sigset_t signals_;
  std::atomic<bool> leaving_{false};
  std::mutex mutex_;
  std::function<void()> shutdown_;
  std::thread watcher_;
};

}  // namespace lapidary
