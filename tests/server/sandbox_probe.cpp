// Enters the worker's sandbox and then does what it is told: media_decoder_test looks at how that
// ends. Exit code 3: the sandbox could not be entered, 0: the deed was done.
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string_view>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "server/media/worker/sandbox.h"

namespace {

// False: refused, but alive.
bool do_it(std::string_view deed) {
  char byte = 0;
  if (deed == "nothing") return true;
  if (deed == "read") return ::read(0, &byte, 1) == 1;
  if (deed == "open") return ::open("/etc/passwd", O_RDONLY) >= 0;
  if (deed == "openat") return ::syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY) >= 0;
  if (deed == "socket") return ::socket(AF_INET, SOCK_STREAM, 0) >= 0;
  if (deed == "fork") return ::fork() >= 0;
  if (deed == "exec") return ::execl("/bin/true", "true", nullptr) == 0;
  if (deed == "ptrace") return ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0;
  if (deed == "kill") return ::syscall(SYS_kill, ::getppid(), 0) == 0;
  if (deed == "limits") {
    const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
    return ::setrlimit(RLIMIT_AS, &none) == 0;
  }
  if (deed == "write_elsewhere") return ::write(2, "x", 1) == 1;
  if (deed == "code") {
    return ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                  -1, 0) != MAP_FAILED;
  }
  if (deed == "memory") {
    auto* block = static_cast<uint8_t*>(std::malloc(size_t{512} << 20));
    return block != nullptr;
  }
  if (deed == "time") {
    const itimerval timer{{}, {0, 50'000}};
    ::setitimer(ITIMER_PROF, &timer, nullptr);
    volatile bool ended = false;  // so that the loop is one
    while (!ended) {
    }
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view deed = argc > 1 ? argv[1] : "";
  const auto fault = lapidary::enter_sandbox(0, {.memory_bytes = 256 << 20, .cpu_s = 60});
  if (fault != lapidary::SandboxFault::none) ::_exit(3);
  ::_exit(do_it(deed) ? 0 : 1);
}
