// CUDA's atomics (all relaxed), fences and traps.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "tests/cuda_on_cpu/block.h"

namespace cuda_on_cpu {

template <typename T>
struct SameType {
  using type = T;
};

template <typename T, typename Function>
T exchange_with(T* at, const Function& function) {
  require(reinterpret_cast<uintptr_t>(at) % sizeof(T) == 0, "an atomic's address is not aligned");
  const std::atomic_ref<T> shared(*at);
  T old = shared.load(std::memory_order_relaxed);
  while (!shared.compare_exchange_weak(old, function(old), std::memory_order_relaxed)) {
  }
  return old;
}

}  // namespace cuda_on_cpu

template <typename T>
T atomicAdd(T* at, typename cuda_on_cpu::SameType<T>::type value) {
  return cuda_on_cpu::exchange_with(at, [value](T old) { return static_cast<T>(old + value); });
}
template <typename T>
T atomicSub(T* at, typename cuda_on_cpu::SameType<T>::type value) {
  return cuda_on_cpu::exchange_with(at, [value](T old) { return static_cast<T>(old - value); });
}
template <typename T>
T atomicMax(T* at, typename cuda_on_cpu::SameType<T>::type value) {
  return cuda_on_cpu::exchange_with(at, [value](T old) { return std::max(old, value); });
}
template <typename T>
T atomicMin(T* at, typename cuda_on_cpu::SameType<T>::type value) {
  return cuda_on_cpu::exchange_with(at, [value](T old) { return std::min(old, value); });
}
template <typename T>
T atomicExch(T* at, typename cuda_on_cpu::SameType<T>::type value) {
  return cuda_on_cpu::exchange_with(at, [value](T) { return value; });
}
template <typename T>
T atomicOr(T* at, typename cuda_on_cpu::SameType<T>::type value) {
  return cuda_on_cpu::exchange_with(at, [value](T old) { return old | value; });
}
template <typename T>
T atomicAnd(T* at, typename cuda_on_cpu::SameType<T>::type value) {
  return cuda_on_cpu::exchange_with(at, [value](T old) { return old & value; });
}
template <typename T>
T atomicXor(T* at, typename cuda_on_cpu::SameType<T>::type value) {
  return cuda_on_cpu::exchange_with(at, [value](T old) { return old ^ value; });
}
template <typename T>
T atomicCAS(T* at, typename cuda_on_cpu::SameType<T>::type expected,
            typename cuda_on_cpu::SameType<T>::type value) {
  return cuda_on_cpu::exchange_with(at,
                                    [=](T old) { return old == expected ? value : old; });
}
// 0, 1, .. limit, 0, ..
inline unsigned atomicInc(unsigned* at, unsigned limit) {
  return cuda_on_cpu::exchange_with(at,
                                    [limit](unsigned old) { return old >= limit ? 0U : old + 1; });
}

// Taken to order all fences of the grid: what a kernel does with them is not understood here.
inline void __threadfence() { cuda_on_cpu::fence(); }
inline void __threadfence_block() { cuda_on_cpu::fence(); }
inline void __threadfence_system() { cuda_on_cpu::fence(); }
[[noreturn]] inline void __trap() { cuda_on_cpu::fail("__trap"); }
inline void __nanosleep(unsigned) { cuda_on_cpu::yield(); }
