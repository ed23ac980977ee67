// The inline PTX of all kernels that run from sm_80 on (Hopper's own: ptx_hopper.cuh, wgmma.cuh).
// Each wrapper has a twin for the host, which the runtime of tests/cuda_on_cpu executes;
// tests/cuda/ptx_test.cu compares both with plain loops, and on a GPU therefore the instruction with
// its twin.
//
// Fragments of mma m16n8k16 (PTX ISA, "Matrix Fragments for mma.m16n8k16"): with g = lane / 4 and
// t = lane % 4, a lane holds
//   A [16 x 16]: a0 = (g, 2t..2t+1), a1 = (g + 8, 2t..), a2 = (g, 2t+8..), a3 = (g + 8, 2t+8..)
//   B [16 x 8]:  b0 = (2t..2t+1, g), b1 = (2t+8.., g)
//   C [16 x 8]:  c0, c1 = (g, 2t..2t+1), c2, c3 = (g + 8, 2t..2t+1)
// Two bf16 share a register, the lower index in the lower half.
#pragma once

#include "kernels/cuda/launch.h"

namespace lapidary::cuda {

struct alignas(16) Bits128 {
  uint32_t word[4];
};

// d += A . B, float32 sums of bf16 products.
__device__ __forceinline__ void mma_bf16(float (&d)[4], const uint32_t (&a)[4],
                                         const uint32_t (&b)[2]) {
#ifdef CUDA_ON_CPU
  struct Lane {
    float* d;
    const uint32_t *a, *b;
  } mine{d, a, b};
  cuda_on_cpu::collective("mma_bf16", kAllLanes, mine, [](Lane** lanes) {
    const auto low = [](uint32_t v) { return cuda_on_cpu::float_of(v << 16); };
    const auto high = [](uint32_t v) { return cuda_on_cpu::float_of(v & 0xffff0000U); };
    float left[16][16];
    float right[16][8];
    for (int lane = 0; lane < 32; ++lane) {
      const int g = lane / 4;
      const int t = lane % 4;
      for (int i = 0; i < 4; ++i) {
        float* at = &left[g + 8 * (i % 2)][2 * t + 8 * (i / 2)];
        at[0] = low(lanes[lane]->a[i]);
        at[1] = high(lanes[lane]->a[i]);
      }
      for (int i = 0; i < 2; ++i) {
        right[2 * t + 8 * i][g] = low(lanes[lane]->b[i]);
        right[2 * t + 8 * i + 1][g] = high(lanes[lane]->b[i]);
      }
    }
    for (int row = 0; row < 16; ++row) {
      // Lane and register of the pair in columns 2 t, 2 t + 1.
      const auto pair = [&](int t) { return &lanes[row % 8 * 4 + t]->d[row / 8 * 2]; };
      float sums[8];
      for (int i = 0; i < 8; ++i) sums[i] = pair(i / 2)[i % 2];
      for (int k = 0; k < 16; ++k) {
        for (int i = 0; i < 8; ++i) sums[i] += left[row][k] * right[k][i];
      }
      for (int i = 0; i < 8; ++i) pair(i / 2)[i % 2] = sums[i];
    }
  });
#else
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// Four 8 x 8 matrices of 16-bit elements from shared memory: lane l gives the address of row l % 8
// of matrix l / 8 (16 bytes, aligned) and receives of each matrix the elements (l / 4, 2 (l % 4)..);
// transposed: the elements (2 (l % 4).., l / 4).
template <bool transposed = false>
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void* shared_row) {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::require(reinterpret_cast<uintptr_t>(shared_row) % 16 == 0,
                       "ldmatrix: a row is not aligned to 16 bytes");
  cuda_on_cpu::note_read(shared_row, 16);
  struct Lane {
    uint32_t* r;
    const void* row;
  } mine{r, shared_row};
  cuda_on_cpu::collective("ldmatrix", kAllLanes, mine, [](Lane** lanes) {
    for (int lane = 0; lane < 32; ++lane) {
      for (int m = 0; m < 4; ++m) {
        uint16_t pair[2];
        for (int i = 0; i < 2; ++i) {
          const int row = transposed ? 2 * (lane % 4) + i : lane / 4;
          const int column = transposed ? lane / 4 : 2 * (lane % 4) + i;
          pair[i] = static_cast<const uint16_t*>(lanes[8 * m + row]->row)[column];
        }
        lanes[lane]->r[m] = pair[0] | static_cast<uint32_t>(pair[1]) << 16;
      }
    }
  });
#else
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(shared_row));
  if constexpr (transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
  }
#endif
}

// 16 bytes global -> shared without passing registers; only the first `n_read` are read, the rest
// become zero. Both addresses are aligned to 16 bytes. Lands before async_wait lets it through.
__device__ __forceinline__ void async_copy16(void* shared, const void* global, int n_read = 16) {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::async_copy(shared, global, 16, n_read);
#else
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global),
               "r"(n_read)
               : "memory");
#endif
}

// Closes the group of the copies that this thread has begun.
__device__ __forceinline__ void async_commit() {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::async_commit();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most n_pending of this thread's newest groups are under way. Other threads see
// what landed only behind a barrier.
template <int n_pending>
__device__ __forceinline__ void async_wait() {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::async_wait(n_pending);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(n_pending) : "memory");
#endif
}

// 16 bytes that are read once: not kept in L1; the rest of their 128 bytes is on its way into L2.
__device__ __forceinline__ Bits128 load_streaming(const void* global) {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::require(reinterpret_cast<uintptr_t>(global) % 16 == 0,
                       "load_streaming: address is not aligned to 16 bytes");
  return *static_cast<const Bits128*>(global);
#else
  Bits128 v;
  asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.word[0]), "=r"(v.word[1]), "=r"(v.word[2]), "=r"(v.word[3])
               : "l"(global));
  return v;
#endif
}

// For kernels whose launch may overlap with the grid before it (LaunchShape::overlaps): waits until
// that grid is done and all it wrote can be read, then lets the next grid begin. By every thread,
// before it reads what another grid of the step has written and before it writes what one reads.
// What no grid of the step writes (weights) may be fetched before.
__device__ __forceinline__ void after_previous_grid() {
#ifdef CUDA_ON_CPU
  cuda_on_cpu::after_previous_grid();
#elif __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// 2^x to about two units in the last place; what would be subnormal is 0.
__device__ __forceinline__ float exp2_approximate(float x) {
#ifdef CUDA_ON_CPU
  return x < -126.0F ? 0.0F : std::exp2(x);
#else
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

// The products of two pairs of bf16, each rounded once; subnormal inputs count.
__device__ __forceinline__ uint32_t multiply_bf16_pairs(uint32_t x, uint32_t y) {
#ifdef CUDA_ON_CPU
  const auto rounded = [](float product) {
    return uint32_t{__bfloat16_as_ushort(__float2bfloat16_rn(product))};
  };
  const auto low = [](uint32_t v) { return cuda_on_cpu::float_of(v << 16); };
  const auto high = [](uint32_t v) { return cuda_on_cpu::float_of(v & 0xffff0000U); };
  return rounded(low(x) * low(y)) | rounded(high(x) * high(y)) << 16;
#else
  uint32_t product;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(product) : "r"(x), "r"(y), "r"(0x80008000U));
  return product;
#endif
}

}  // namespace lapidary::cuda
