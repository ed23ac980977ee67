// Which kernel computes what. "portable": mma.sync, ldmatrix and cp.async, from sm_80 on.
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/hopper.h"

namespace lapidary::cuda {
namespace {

constexpr char kHopperPath[] = "wgmma, TMA; not measured yet";
constexpr char kOverlapPath[] = "overlapping; not measured yet";

// What --cuda-path hopper takes, or would take.
std::vector<KernelPath> hopper_paths() {
  return {{"attention, over 64 queries, bf16", kHopperPath, "cuda/hopper_attention.cu"},
          {"moe_ffn, 41 pairs an expert", kHopperPath, "cuda/hopper_grouped_gemm.cu"},
          {"few rows, norms, qkv, moe_ffn", kOverlapPath, "cuda/launch.h"}};
}

}  // namespace

std::vector<KernelPath> CudaBackend::kernel_paths() const {
  std::vector<KernelPath> paths = {
      {"embed, gather_rows, copy_pages, rope_table", "portable", "cuda/rows.cu"},
      {"ple_inputs, ple_gate", "portable", "cuda/rows.cu"},
      {"add_embeddings, clip, pool_rows, widen", "portable", "cuda/media.cu"},
      {"rms_norm, add_norm, moe_combine", "portable", "cuda/norm.cu"},
      {"linear, geglu_linear, logits, up to 16 rows", "portable", "cuda/few_rows.cuh"},
      {"linear, geglu_linear, logits, more rows", "cuBLASLt", "cuda/gemm_cublaslt.cpp"},
      {"qkv", "portable", "cuda/qkv.cu"},
      {"attention, one query a sequence", "portable, keys split", "cuda/attention.cu"},
      {"attention, several queries", "portable", "cuda/attention.cu"},
      {"moe_route", "portable", "cuda/moe_route.cu"},
      {"moe_ffn, up to 8 tokens", "portable, by (token, expert)", "cuda/moe_ffn.cu"},
      {"moe_ffn, more tokens", "portable, grouped", "cuda/grouped_gemm.cuh"},
      {"sample", "portable", "cuda/sample.cu"}};
  // Of two kernels for one thing the portable one runs until the other is measured.
  for (KernelPath path : has_hopper_kernels() ? hopper_paths() : std::vector<KernelPath>{}) {
    path.verb += is_hopper() ? ": instead" : ": not run";
    paths.push_back(path);
  }
  return paths;
}

}  // namespace lapidary::cuda
