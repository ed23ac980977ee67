// wgmma: products of a warpgroup (four warps, the first at a multiple of four) with matrices in
// shared memory. Each warp computes its 16 rows when its turn comes: at once or, in a schedule with
// late copies, not before it waits. Until then its sums hold NaN. What the hardware leaves
// undefined ends the process: warps of a group that issue different products, a descriptor that no
// layout has, products without wgmma.fence since the last wait.
#pragma once

#include <cstdint>

namespace cuda_on_cpu {

// A lane's part of one m64nNk16 product of bf16: d += a . b, or d = a . b.
struct WarpgroupProduct {
  int n;
  bool b_is_mn_major;
  bool adds;               // else what d held is ignored
  const uint32_t* a_held;  // four registers of a, or null: a lies in shared memory, K-major
  uint64_t a, b;           // matrix descriptors
  float* d;                // n / 2 registers
};

void warpgroup_multiply(const WarpgroupProduct& product);
void warpgroup_fence();
void warpgroup_commit();
void warpgroup_wait(int n_pending);

void begin_warpgroups(unsigned n_threads);  // of a block
void end_warpgroups();

}  // namespace cuda_on_cpu
