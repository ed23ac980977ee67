// Dense multiplication for many rows: cuBLASLt on a GPU, plain loops where the kernels run on the
// CPU. Launches only: never waits, takes its workspace once. Engine thread.
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/cuda/launch.h"
#include "kernels/tensor.h"

namespace lapidary::cuda {

// out = x . weight^T, summed in float32 and rounded once.
struct GemmArgs {
  const bf16* x = nullptr;       // [n, cols]
  const bf16* weight = nullptr;  // [rows, cols]
  void* out = nullptr;           // [n, rows]
  DType out_dtype = DType::bf16;  // or f32
  int64_t n = 0, rows = 0, cols = 0;
};

class Gemm {
 public:
  Gemm();
  ~Gemm();

  // REQUIRES: cols is a multiple of 8, all pointers are aligned to 16 bytes.
  void run(const GemmArgs& args, cudaStream_t stream);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lapidary::cuda
