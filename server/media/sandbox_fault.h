// What can keep a worker from locking itself in: said to the server in its hello.
#pragma once

#include <cstdint>

namespace lapidary {

enum class SandboxFault : uint32_t {
  none,
  limits,   // resource limits, or the prctl calls beside them
  seccomp,  // the filter of system calls
};

}  // namespace lapidary
