// The CUDA backend: one device, one stream, every verb a few launches that never wait for the
// host. Inputs of linears, K, V and what lies between verbs are bf16; the residual stream, the
// router, the softmax and all sums are float32. Matrices stay row-major [rows, cols] (gate and up
// interleaved by 8 rows); `cols` must be a multiple of 8, so that a row starts on 16 bytes.
// A file holds one family of verbs; engine thread only.
#pragma once

#include "kernels/backend.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/recordings.h"
#include "kernels/cuda/staging.h"
#include "kernels/cuda/workspace.h"

namespace lapidary::cuda {

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(const BackendOptions& options);
  ~CudaBackend() override;

  std::string description() const override;
  DeviceFacts facts() const override;                     // start.cpp
  std::vector<KernelPath> kernel_paths() const override;  // kernel_paths.cpp
  DType compute_dtype() const override { return DType::bf16; }
  DType activation_dtype() const override { return DType::bf16; }
  int n_threads() const override { return 1; }

  int64_t free_bytes() const override;
  int64_t total_bytes() const override;
  void reserve_workspace(int64_t bytes) override { workspace_.reserve(static_cast<size_t>(bytes)); }
  int64_t workspace_bytes() const override { return static_cast<int64_t>(workspace_.bytes()); }
  Ceilings measure_ceilings() override;  // ceilings.cpp
  bool replays() const override { return true; }
  bool runs_ahead() const override { return true; }
  void replay(const ReplayKey& key, const std::function<void()>& body) override {
    recordings_.run(key, stream_, body);
  }
  Buffer allocate(size_t bytes) override;
  void upload(void* to, const void* from_host, size_t bytes) override;
  void download(void* to_host, const void* from, size_t bytes) override;
  void copy(void* to, const void* from, size_t bytes) override;
  Buffer map_host(const HostMatrix& matrix) override;  // rows.cu
  Weight pack(std::span<const HostMatrix> parts, WeightForm form) override;
  Tensor kv_pages(void* data, DType dtype, int64_t n_pages, int n_kv_heads,
                  int width) const override;
  bool stores_v_once() const override { return true; }

  // rows.cu
  void embed(const EmbedArgs& args) override;
  void gather_rows(const GatherRowsArgs& args) override;
  void copy_pages(const CopyPagesArgs& args) override;
  void add_embeddings(const AddEmbeddingsArgs& args) override;
  void clip(const ClipArgs& args) override;
  void pool_rows(const PoolRowsArgs& args) override;
  void widen(const WidenArgs& args) override;
  void rope_table(const RopeTableArgs& args) override;
  void ple_inputs(const PleInputsArgs& args) override;
  void ple_gate(const PleGateArgs& args) override;
  // norm.cu
  void rms_norm(const RmsNormArgs& args) override;
  void add_norm(const AddNormArgs& args) override;
  void moe_combine(const MoeCombineArgs& args) override;
  // linear.cu
  void linear(const LinearArgs& args) override;
  void geglu_linear(const GegluLinearArgs& args) override;
  void logits(const LogitsArgs& args) override;
  // sample.cu
  std::vector<Sampled> sample(const SampleArgs& args) override;
  // qkv.cu
  void qkv(const QkvArgs& args) override;
  // attention.cu
  void attention(const AttentionArgs& args) override;
  // moe_route.cu
  void moe_route(const MoeRouteArgs& args) override;
  // moe_ffn.cu
  void moe_ffn(const MoeFfnArgs& args) override;

 private:
  bool is_hopper() const { return path_ == CudaPath::hopper; }

  int n_multiprocessors_ = 0;
  CudaPath path_ = CudaPath::portable;
  // Destroyed after what works on it.
  struct Stream {
    cudaStream_t stream = nullptr;
    Stream();
    ~Stream();
    operator cudaStream_t() const { return stream; }
  } stream_;
  std::unique_ptr<Staging> staging_;
  Gemm gemm_;
  Recordings recordings_;
  Workspace workspace_;  // of the verb that runs; the next one may overwrite it
};

}  // namespace lapidary::cuda
