// Hopper's inline PTX besides wgmma.cuh: mbarriers, TMA, the proxy fence, registers of warpgroups.
// As in ptx.cuh each wrapper has a twin for the host; tests/cuda/ptx_hopper_test.cu compares both
// with plain loops. Compiled for sm_90a only.
//
// An mbarrier is a uint64_t in shared memory, aligned to 8 bytes.
//   mbarrier_init(b, n)               one thread; then mbarrier_init_fence() and __syncthreads()
//   mbarrier_arrive(b)                one of a phase's n arrivals; what the thread did before is
//                                     seen by who waits for the phase
//   mbarrier_arrive_expect(b, bytes)  one arrival, and the phase waits for these bytes of TMA too
//   mbarrier_arrive_after_copies(b)   one arrival, once this thread's cp.async have landed
//   mbarrier_wait(b, parity)          until the phase of that parity is complete. Phases begin at
//                                     parity 0; a wait for 1 passes before the first is complete
// A phase completes with its last arrival and byte; then the next begins, with n arrivals again.
//
//   tma_load(to, map, b, x, y, ..)    the box at element x, y, .. (innermost first) of the tensor
//                                     to shared memory, aligned to 128 bytes, to 1024 if swizzled;
//                                     its bytes count at b, also where it is outside the tensor
//
// Proxies: TMA and wgmma go by another way to shared memory than loads, stores and cp.async. What
// those wrote is behind fence_async_proxy() (by who wrote it, or who has waited for it) before
// wgmma reads it or TMA overwrites it. What TMA wrote needs none: waiting for its mbarrier does.
#pragma once

#include "kernels/cuda/launch.h"
#include "kernels/cuda/tensor_map.h"
#include "kernels/cuda/wgmma.cuh"

namespace lapidary::cuda {

// --- mbarriers ---

__device__ __forceinline__ void mbarrier_init(uint64_t* barrier, uint32_t n_arrivals) {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::mbarrier_init(barrier, n_arrivals);
#else
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)),
               "r"(n_arrivals)
               : "memory");
#endif
}

// TMA sees the barriers that this thread has initialised.
__device__ __forceinline__ void mbarrier_init_fence() {
#ifndef CUDA_ON_CPU
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

__device__ __forceinline__ void mbarrier_arrive(uint64_t* barrier) {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::mbarrier_arrive(barrier, 0);
#else
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier))
               : "memory");
#endif
}

__device__ __forceinline__ void mbarrier_arrive_expect(uint64_t* barrier, uint32_t n_bytes) {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::mbarrier_arrive(barrier, n_bytes);
#else
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
      "r"(n_bytes)
      : "memory");
#endif
}

__device__ __forceinline__ void mbarrier_arrive_after_copies(uint64_t* barrier) {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::mbarrier_arrive_after_copies(barrier);
#else
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(shared_address(barrier))
               : "memory");
#endif
}

__device__ __forceinline__ bool mbarrier_try_wait(uint64_t* barrier, uint32_t parity) {
#ifdef CUDA_ON_CPU
  return cuda_on_cpu::mbarrier_try_wait(barrier, parity);
#else
  uint32_t is_complete;
  asm volatile(
      "{.reg .pred complete; "
      "mbarrier.try_wait.parity.shared::cta.b64 complete, [%1], %2; "
      "selp.u32 %0, 1, 0, complete;}"
      : "=r"(is_complete)
      : "r"(shared_address(barrier)), "r"(parity)
      : "memory");
  return is_complete != 0;
#endif
}

__device__ __forceinline__ void mbarrier_wait(uint64_t* barrier, uint32_t parity) {
  while (!mbarrier_try_wait(barrier, parity)) {
  }
}

// --- TMA ---

__device__ __forceinline__ void fence_async_proxy() {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::proxy_fence();
#else
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

// The map is on its way to where TMA looks for it.
__device__ __forceinline__ void prefetch_map(const TensorMap& map) {
#ifdef CUDA_ON_CPU
  static_cast<void>(map);
#else
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
#endif
}

// By one thread.
template <typename... Coordinates>
__device__ __forceinline__ void tma_load(void* shared, const TensorMap& map, uint64_t* barrier,
                                         Coordinates... coordinates) {
  constexpr int kRank = sizeof...(Coordinates);
  static_assert(kRank >= 2 && kRank <= 4);
  const int at[kRank] = {coordinates...};
#ifdef CUDA_ON_CPU
  cuda_on_cpu::tensor_copy(shared, map, barrier, at, kRank);
#else
  const uint32_t to = shared_address(shared);
  const uint32_t arrives = shared_address(barrier);
  if constexpr (kRank == 2) {
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%3, %4}], [%2];" ::"r"(to),
        "l"(&map), "r"(arrives), "r"(at[0]), "r"(at[1])
        : "memory");
  } else if constexpr (kRank == 3) {
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%3, %4, %5}], [%2];" ::"r"(to),
        "l"(&map), "r"(arrives), "r"(at[0]), "r"(at[1]), "r"(at[2])
        : "memory");
  } else {
    asm volatile(
        "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(to),
        "l"(&map), "r"(arrives), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3])
        : "memory");
  }
#endif
}

// --- warps ---

// Registers of a thread at the launch of a block of n_threads that has a multiprocessor to itself:
// a block's warpgroups share out what its threads began with, and taking more waits for ever.
template <int n_threads>
constexpr int kLaunchRegisters = 65536 / n_threads / 8 * 8;

// Registers a thread of this warpgroup may have from here on, 24 to 256 by 8; all its warps.
template <int n>
__device__ __forceinline__ void take_registers() {
  static_assert(n >= 24 && n <= 256 && n % 8 == 0);
#ifndef CUDA_ON_CPU
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(n));
#endif
}
template <int n>
__device__ __forceinline__ void give_registers() {
  static_assert(n >= 24 && n <= 256 && n % 8 == 0);
#ifndef CUDA_ON_CPU
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(n));
#endif
}

// True in one lane of the warp, whose lanes all come.
__device__ __forceinline__ bool elect_one() {
#ifdef CUDA_ON_CPU
  struct Lane {
    bool is_elected = false;
  } mine;
  cuda_on_cpu::collective("elect", kAllLanes, mine, [](Lane** lanes) {
    lanes[cuda_on_cpu::choose(kWarpSize)]->is_elected = true;
  });
  return mine.is_elected;
#else
  uint32_t is_elected;
  asm volatile(
      "{.reg .pred elected; "
      "elect.sync _|elected, %1; "
      "selp.u32 %0, 1, 0, elected;}"
      : "=r"(is_elected)
      : "r"(kAllLanes));
  return is_elected != 0;
#endif
}

// A barrier of part of the block: n_threads in whole warps; 1 to 15 (__syncthreads is 0).
__device__ __forceinline__ void named_barrier(int number, int n_threads) {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::barrier("named_barrier", number, static_cast<unsigned>(n_threads));
#else
  asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(n_threads) : "memory");
#endif
}

// Four 8 x 8 matrices of 16-bit elements, held as ldmatrix_x4 gives them, into shared memory
// transposed: lane l gives the address (16 bytes, aligned) of what becomes row l % 8 of matrix l
// / 8.
__device__ __forceinline__ void store_matrix_x4_transposed(void* shared_row,
                                                           const uint32_t (&r)[4]) {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::require(reinterpret_cast<uintptr_t>(shared_row) % 16 == 0,
                       "stmatrix: a row is not aligned to 16 bytes");
  cuda_on_cpu::note_write(shared_row, 16);
  struct Lane {
    const uint32_t* r;
    void* row;
  } mine{r, shared_row};
  cuda_on_cpu::collective("stmatrix", kAllLanes, mine, [](Lane** lanes) {
    for (int lane = 0; lane < 32; ++lane) {
      for (int m = 0; m < 4; ++m) {
        for (int i = 0; i < 2; ++i) {
          auto* row = static_cast<uint16_t*>(lanes[8 * m + 2 * (lane % 4) + i]->row);
          row[lane / 4] = static_cast<uint16_t>(lanes[lane]->r[m] >> (16 * i));
        }
      }
    }
  });
#else
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(
                   shared_address(shared_row)),
               "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
               : "memory");
#endif
}

}  // namespace lapidary::cuda
