#include "server/media/worker/sandbox.h"

#include <cerrno>
#include <csignal>
#include <cstdio>

#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

namespace lapidary {
namespace {

// Sanitizers reserve terabytes of addresses, and report in ways that a filter would kill.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

bool limit(__rlimit_resource_t what, int64_t value) {
  const rlimit both{static_cast<rlim_t>(value), static_cast<rlim_t>(value)};
  return ::setrlimit(what, &both) == 0;
}

int64_t address_space_bytes() {
  long pages = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return -1;
  const bool read = std::fscanf(file, "%ld", &pages) == 1;
  std::fclose(file);
  return read ? pages * ::sysconf(_SC_PAGESIZE) : -1;
}

bool limit_resources(const SandboxLimits& limits) {
  const int64_t in_use = address_space_bytes();
  if (in_use < 0) return false;
  if (!kSanitized && !limit(RLIMIT_AS, in_use + limits.memory_bytes)) return false;
  return limit(RLIMIT_CPU, limits.cpu_s) && limit(RLIMIT_NOFILE, 1) && limit(RLIMIT_FSIZE, 0) &&
         limit(RLIMIT_CORE, 0) && limit(RLIMIT_NPROC, 0) && limit(RLIMIT_MEMLOCK, 0) &&
         limit(RLIMIT_MSGQUEUE, 0);
}

bool close_others(int fd) {
  const auto kept = static_cast<unsigned>(fd);
  return (kept == 0 || ::close_range(0, kept - 1, 0) == 0) && ::close_range(kept + 1, ~0U, 0) == 0;
}

class Filter {
 public:
  // For every thread, should a library have started one, and for every way to call.
  Filter() : context_(seccomp_init(SCMP_ACT_KILL_PROCESS)) {
    ok_ = context_ != nullptr && seccomp_attr_set(context_, SCMP_FLTATR_CTL_TSYNC, 1) == 0 &&
          seccomp_attr_set(context_, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0;
  }
  ~Filter() { seccomp_release(context_); }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  template <typename... Conditions>
  void allow(int call, Conditions... conditions) {
    ok_ = ok_ && seccomp_rule_add(context_, SCMP_ACT_ALLOW, call, sizeof...(conditions),
                                  conditions...) == 0;
  }
  bool install() const { return ok_ && seccomp_load(context_) == 0; }

 private:
  const scmp_filter_ctx context_;
  bool ok_ = false;
};

bool install_filter(int fd) {
  Filter filter;
  const auto is_fd = SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(fd));
  const auto not_code = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
  filter.allow(SCMP_SYS(read), is_fd);
  filter.allow(SCMP_SYS(write), is_fd);
  // Memory without a file behind it, none of it code.
  filter.allow(SCMP_SYS(mmap), not_code, SCMP_A4(SCMP_CMP_MASKED_EQ, 0xFFFFFFFFU, 0xFFFFFFFFU));
  filter.allow(SCMP_SYS(mprotect), not_code);
  filter.allow(SCMP_SYS(munmap));
  filter.allow(SCMP_SYS(mremap));
  filter.allow(SCMP_SYS(brk));
  filter.allow(SCMP_SYS(madvise));
  // Locks of libraries, clocks, the clock of a file, the ways to end.
  filter.allow(SCMP_SYS(futex));
  filter.allow(SCMP_SYS(clock_gettime));
  filter.allow(SCMP_SYS(gettimeofday));
  filter.allow(SCMP_SYS(setitimer), SCMP_A0(SCMP_CMP_EQ, ITIMER_PROF));
  filter.allow(SCMP_SYS(restart_syscall));
  filter.allow(SCMP_SYS(exit));
  filter.allow(SCMP_SYS(exit_group));
  if (kSanitized) {
    filter.allow(SCMP_SYS(sigaltstack));
    filter.allow(SCMP_SYS(gettid));
    filter.allow(SCMP_SYS(getpid));
  }
  return filter.install();
}

}  // namespace

SandboxFault enter_sandbox(int fd, const SandboxLimits& limits) {
  const bool limited = ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 &&
                       ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                       ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && limit_resources(limits) &&
                       close_others(fd);
  if (!limited) return SandboxFault::limits;
  return install_filter(fd) ? SandboxFault::none : SandboxFault::seccomp;
}

}  // namespace lapidary
