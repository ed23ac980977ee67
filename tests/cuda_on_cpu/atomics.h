// CUDA's atomics, fences and traps. Threads of the emulation only change places in barriers,
// collectives and yields, so that plain reads and writes are atomic.
#pragma once

#include <algorithm>
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
  const T old = *at;
  *at = function(old);
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

inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
[[noreturn]] inline void __trap() { cuda_on_cpu::fail("__trap"); }
inline void __nanosleep(unsigned) { cuda_on_cpu::yield(); }
