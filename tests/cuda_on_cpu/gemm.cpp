// cuBLASLt's twin: plain loops, in the order of the stream.
#include "kernels/cuda/gemm.h"

#include "kernels/check.h"

namespace lapidary::cuda {
namespace {

void multiply(const GemmArgs& args) {
  for (int64_t i = 0; i < args.n; ++i) {
    for (int64_t row = 0; row < args.rows; ++row) {
      float sum = 0.0F;
      for (int64_t k = 0; k < args.cols; ++k) {
        sum += __bfloat162float(args.x[i * args.cols + k]) *
               __bfloat162float(args.weight[row * args.cols + k]);
      }
      if (args.out_dtype == DType::bf16) {
        static_cast<bf16*>(args.out)[i * args.rows + row] = __float2bfloat16_rn(sum);
      } else {
        static_cast<float*>(args.out)[i * args.rows + row] = sum;
      }
    }
  }
}

bool is_aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

}  // namespace

struct Gemm::State {};

Gemm::Gemm() = default;
Gemm::~Gemm() = default;

void Gemm::run(const GemmArgs& args, cudaStream_t stream) {
  CHECK(args.cols % 8 == 0 && args.n > 0 && args.rows > 0);
  CHECK(is_aligned(args.x) && is_aligned(args.weight) && is_aligned(args.out));
  CUDA_CHECK(cuda_on_cpu::enqueue(stream, [args] { multiply(args); }));
}

}  // namespace lapidary::cuda
