// Locks this process in: from then on it can read and write one descriptor, take memory, compute
// and end. Any other system call kills it at once. Cannot be undone. For a process of one thread.
#pragma once

#include <cstdint>

#include "server/media/sandbox_fault.h"

namespace lapidary {

struct SandboxLimits {
  int64_t memory_bytes = 0;  // of address space, beside what is there already
  int64_t cpu_s = 0;         // of the whole life; a file has a shorter clock of its own
};

// `fd` stays open, every other descriptor is closed. REQUIRES: libraries are loaded and have
// opened what they need. With a fault the process must not read a byte of input.
SandboxFault enter_sandbox(int fd, const SandboxLimits& limits);

}  // namespace lapidary
