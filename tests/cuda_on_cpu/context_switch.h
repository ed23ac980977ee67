// Switching between stacks of one host thread, told to the address and thread sanitizers. A
// Context is either a fiber's own stack or, default-made, the stack of the host thread that called.
#pragma once

#include <cstddef>

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <ucontext.h>
#endif

namespace cuda_on_cpu {

class Context {
 public:
  Context() = default;  // the caller's own stack, once it has switched away
  // A stack of its own, on which the first switch_to() calls `entry`, which never returns.
  explicit Context(void (*entry)());
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // Leaves `this`, the running context, for `to`; returns when somebody switches back.
  void switch_to(Context& to);
  // To be called first by `entry`.
  static void entered();

 private:
  char* mapping_ = nullptr;  // a guard page, then the stack
  const void* stack_bottom_ = nullptr;
  size_t stack_bytes_ = 0;
  void* fake_stack_ = nullptr;    // address sanitizer
  void* thread_state_ = nullptr;  // thread sanitizer
#if defined(__x86_64__) || defined(__aarch64__)
  void* stack_pointer_ = nullptr;
#else
  ucontext_t registers_{};
#endif
};

}  // namespace cuda_on_cpu
