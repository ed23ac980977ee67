// The engine's decoder on the CUDA backend against the official implementation, on tiny
// checkpoints of every architecture; and its replayed steps against ordinary ones.
#include "tests/cuda/paths.h"
#include "tests/engine/bf16_parity.h"

namespace lapidary {
namespace {

GoldenModel open_on_cuda(const char* name, CudaPath path = CudaPath::portable) {
  return GoldenModel::open(name, make_cuda_backend({.compute = DType::bf16, .cuda_path = path}));
}

}  // namespace

TEST_CASE("CUDA's logits are as near to float32 as the official bf16, in chunks and by one",
          "[cuda][parity]") {
  print_bf16_head();
  for (const char* name : kGoldenCheckpoints) {
    const GoldenModel model = open_on_cuda(name);
    for (const int chunk : {512, 7, 1}) check_bf16(model, name, chunk);
  }
}

TEST_CASE("so they are with the kernels for Hopper", "[cuda][parity]") {
  if (cuda_paths().back() != CudaPath::hopper) return;
  print_bf16_head();
  for (const char* name : {"moe", "dense31b"}) {
    const GoldenModel model = open_on_cuda(name, CudaPath::hopper);
    for (const int chunk : {512, 1}) check_bf16(model, name, chunk);
  }
}

}  // namespace lapidary
