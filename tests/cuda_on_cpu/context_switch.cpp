#include "tests/cuda_on_cpu/context_switch.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef CUDA_ON_CPU_RACES
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__x86_64__)
// Pushes what a call must preserve, stores the stack pointer, takes the other one.
asm(R"(
.text
.p2align 4
.type cuda_on_cpu_switch, @function
cuda_on_cpu_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cuda_on_cpu_switch, . - cuda_on_cpu_switch
)");
#elif defined(__aarch64__)
asm(R"(
.text
.p2align 4
.type cuda_on_cpu_switch, %function
cuda_on_cpu_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size cuda_on_cpu_switch, . - cuda_on_cpu_switch
)");
#endif

#if defined(__x86_64__) || defined(__aarch64__)
extern "C" void cuda_on_cpu_switch(void** save, void* to);
#endif

namespace cuda_on_cpu {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr size_t kStackBytes = 256 * 1024;
#else
constexpr size_t kStackBytes = 64 * 1024;
#endif

// Stacks begin at different places in their page: the same place in all would share few cache sets.
constexpr size_t kColours = 16;
constexpr size_t kColourBytes = 256;
size_t n_contexts;

// Who was left by the switch under way: the context that goes on learns here whose stack it was.
Context* left;

}  // namespace

Context::Context(void (*entry)()) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* mapped = mmap(nullptr, page + kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED || mprotect(mapped, page, PROT_NONE) != 0) throw std::bad_alloc();
  mapping_ = static_cast<char*>(mapped);
  stack_bottom_ = mapping_ + page;
  stack_bytes_ = kStackBytes;
  char* top = mapping_ + page + kStackBytes - n_contexts++ % kColours * kColourBytes;
#if defined(__x86_64__)
  // The registers of cuda_on_cpu_switch, the address that it returns to, and a null return address
  // above, so that the stack is aligned as after a call.
  auto** sp = reinterpret_cast<void**>(top) - 2;
  *sp = reinterpret_cast<void*>(entry);
  stack_pointer_ = sp - 6;
#elif defined(__aarch64__)
  auto** sp = reinterpret_cast<void**>(top - 160);
  sp[11] = reinterpret_cast<void*>(entry);  // x30
  stack_pointer_ = sp;
#else
  getcontext(&registers_);
  registers_.uc_stack.ss_sp = mapping_ + page;
  registers_.uc_stack.ss_size = static_cast<size_t>(top - mapping_) - page;
  makecontext(&registers_, entry, 0);
#endif
#ifdef CUDA_ON_CPU_RACES
  thread_state_ = __tsan_create_fiber(0);
#endif
}

Context::~Context() {
  if (mapping_ == nullptr) return;
#ifdef CUDA_ON_CPU_RACES
  __tsan_destroy_fiber(thread_state_);
#endif
  munmap(mapping_, stack_bytes_ + static_cast<size_t>(sysconf(_SC_PAGESIZE)));
}

void Context::switch_to(Context& to) {
  left = this;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&fake_stack_, to.stack_bottom_, to.stack_bytes_);
#endif
#ifdef CUDA_ON_CPU_RACES
  if (mapping_ == nullptr) thread_state_ = __tsan_get_current_fiber();
  // Fibers are ordered by what kernels do, not by our changing from one to another.
  __tsan_switch_to_fiber(to.thread_state_, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(__x86_64__) || defined(__aarch64__)
  cuda_on_cpu_switch(&stack_pointer_, to.stack_pointer_);
#else
  swapcontext(&registers_, &to.registers_);
#endif
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake_stack_, &left->stack_bottom_, &left->stack_bytes_);
#endif
}

void Context::entered() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &left->stack_bottom_, &left->stack_bytes_);
#endif
}

}  // namespace cuda_on_cpu
