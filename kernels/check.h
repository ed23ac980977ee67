// CHECK: what must never happen. Prints where and what, then aborts: a broken invariant must not
// go on computing someone's answer. Never for input a client or a file can cause.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace lapidary {

[[noreturn]] inline void check_failed(const char* file, int line, const char* what) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, what);
  std::abort();
}

}  // namespace lapidary

#define CHECK(condition)                                          \
  do {                                                            \
    if (!(condition)) [[unlikely]] {                              \
      ::lapidary::check_failed(__FILE__, __LINE__, #condition);   \
    }                                                             \
  } while (false)
