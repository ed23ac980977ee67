#include "kernels/cpu/cpu_backend.h"

#include <cstring>

#include "kernels/cpu/pack.h"
#include "kernels/cpu/probe.h"

namespace lapidary {

std::unique_ptr<Backend> make_cpu_backend(const BackendOptions& options) {
  return std::make_unique<cpu::CpuBackend>(options);
}

namespace cpu {

CpuBackend::CpuBackend(const BackendOptions& options)
    : kernels_(choose_kernels(options.isa.c_str())),
      compute_(options.compute),
      pool_(options.n_threads),
      of_thread_(static_cast<size_t>(pool_.n_threads())),
      samplers_(static_cast<size_t>(pool_.n_threads())) {
  CHECK(compute_ == DType::bf16 || compute_ == DType::f32);
}

std::string CpuBackend::description() const {
  return "CPU, " + std::string(kernels_.name) + ", " + std::to_string(n_threads()) +
         (n_threads() == 1 ? " thread, " : " threads, ") + dtype_name(compute_);
}

std::vector<KernelPath> CpuBackend::kernel_paths() const {
  const std::string isa = kernels_.name;
  return {{"embed, gather_rows, copy_pages", isa, "cpu/rows.cpp"},
          {"rms_norm, add_norm, moe_combine", isa, "cpu/norm.cpp"},
          {"linear, geglu_linear, logits", isa, "cpu/linear.cpp"},
          {"rope_table, qkv", isa, "cpu/qkv.cpp"},
          {"attention", isa, "cpu/attention.cpp"},
          {"moe_route, moe_ffn", isa, "cpu/moe.cpp"},
          {"ple_inputs, ple_gate", isa, "cpu/ple.cpp"},
          {"add_embeddings, clip, pool_rows, widen", "plain", "cpu/media.cpp"},
          {"sample", "plain", "cpu/sample.cpp"}};
}

Ceilings CpuBackend::measure_ceilings() {
  return {.gb_per_s = read_bandwidth(n_threads(), kernels_.name),
          .gflop_per_s = peak_gflops(compute_, n_threads(), kernels_.name)};
}

Buffer CpuBackend::allocate(size_t bytes) { return allocate_zeroed(bytes); }

void CpuBackend::upload(void* to, const void* from_host, size_t bytes) {
  std::memcpy(to, from_host, bytes);
}

void CpuBackend::download(void* to_host, const void* from, size_t bytes) {
  std::memcpy(to_host, from, bytes);
}

void CpuBackend::copy(void* to, const void* from, size_t bytes) { std::memcpy(to, from, bytes); }

// It is read where it lies.
Buffer CpuBackend::map_host(const HostMatrix& matrix) {
  const int64_t count = matrix.rows * matrix.cols;
  return {const_cast<void*>(matrix.data), static_cast<size_t>(count) * dtype_bytes(matrix.dtype),
          [](void*) {}};
}

Weight CpuBackend::pack(std::span<const HostMatrix> parts, WeightForm form) {
  return cpu::pack(parts, form, compute_, pool_);
}

// K of a head: [head_dim / g][16 keys][g], as a panel of P16, so that one tile gives the scores
// of 16 keys side by side. V of a head: [16 keys][head_dim].
Tensor CpuBackend::kv_pages(void* data, DType dtype, int64_t n_pages, int n_kv_heads,
                            int head_dim) const {
  CHECK(dtype == DType::bf16 || dtype == DType::f32);
  CHECK(head_dim > 0 && head_dim % kLanes == 0 && n_kv_heads > 0);
  return Tensor(data, dtype, {n_pages, n_kv_heads, kPageSize, head_dim});
}

}  // namespace cpu
}  // namespace lapidary
