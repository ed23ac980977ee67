#include "server/shutdown_signals.h"

#include <pthread.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include <spdlog/spdlog.h>

namespace lapidary {
namespace {

// How the destructor wakes the watcher, once leaving_ is set.
constexpr int kLeave = SIGUSR1;

[[noreturn]] void leave_at_once(int code) {
  std::fflush(nullptr);
  std::_Exit(code);
}

}  // namespace

ShutdownSignals::ShutdownSignals() {
  sigemptyset(&signals_);
  for (const int signal : {SIGTERM, SIGINT, kLeave}) sigaddset(&signals_, signal);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  watcher_ = std::thread([this] { watch(); });
}

ShutdownSignals::~ShutdownSignals() {
  leaving_ = true;
  pthread_kill(watcher_.native_handle(), kLeave);
  watcher_.join();
}

void ShutdownSignals::arm(std::function<void()> shutdown) {
  const std::lock_guard lock(mutex_);
  shutdown_ = std::move(shutdown);
}

std::function<void()> ShutdownSignals::armed() {
  const std::lock_guard lock(mutex_);
  return shutdown_;
}

// kLeave from elsewhere means nothing.
int ShutdownSignals::next_signal() const {
  int signal = 0;
  do {
    sigwait(&signals_, &signal);
  } while (signal == kLeave && !leaving_);
  return signal;
}

void ShutdownSignals::watch() {
  const int first = next_signal();
  if (first == kLeave) return;
  const std::function<void()> shutdown = armed();
  if (!shutdown) leave_at_once(128 + first);
  std::thread running(shutdown);
  if (next_signal() != kLeave) {
    spdlog::warn("Aborted by a second signal.");
    leave_at_once(1);
  }
  running.join();
}

}  // namespace lapidary
