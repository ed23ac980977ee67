// The verbs on processors: splits each into pieces for the thread pool and calls the inner loops
// of the chosen instruction set. Owns the pool and the scratch memory of the verbs.
// All verbs are called from one thread (the engine's).
#pragma once

#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cpu/free_memory.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/memory.h"
#include "kernels/cpu/sampling/sampler.h"
#include "kernels/cpu/thread_pool.h"

namespace lapidary::cpu {

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const BackendOptions& options);

  std::string description() const override;
  std::vector<KernelPath> kernel_paths() const override;
  DType compute_dtype() const override { return compute_; }
  DType activation_dtype() const override { return DType::f32; }
  int n_threads() const override { return pool_.n_threads(); }
  bool stores_v_once() const override { return false; }
  int64_t free_bytes() const override { return available_memory_bytes(); }
  Ceilings measure_ceilings() override;

  Buffer allocate(size_t bytes) override;
  void upload(void* to, const void* from_host, size_t bytes) override;
  void download(void* to_host, const void* from, size_t bytes) override;
  void copy(void* to, const void* from, size_t bytes) override;
  Buffer map_host(const HostMatrix& matrix) override;
  Weight pack(std::span<const HostMatrix> parts, WeightForm form) override;
  Tensor kv_pages(void* data, DType dtype, int64_t n_pages, int n_kv_heads,
                  int head_dim) const override;

  void embed(const EmbedArgs& args) override;
  void rms_norm(const RmsNormArgs& args) override;
  void add_norm(const AddNormArgs& args) override;
  void moe_combine(const MoeCombineArgs& args) override;
  void linear(const LinearArgs& args) override;
  void geglu_linear(const GegluLinearArgs& args) override;
  void rope_table(const RopeTableArgs& args) override;
  void qkv(const QkvArgs& args) override;
  void attention(const AttentionArgs& args) override;
  void moe_route(const MoeRouteArgs& args) override;
  void moe_ffn(const MoeFfnArgs& args) override;
  void ple_inputs(const PleInputsArgs& args) override;
  void ple_gate(const PleGateArgs& args) override;
  void logits(const LogitsArgs& args) override;
  std::vector<Sampled> sample(const SampleArgs& args) override;
  void gather_rows(const GatherRowsArgs& args) override;
  void copy_pages(const CopyPagesArgs& args) override;
  void add_embeddings(const AddEmbeddingsArgs& args) override;
  void clip(const ClipArgs& args) override;
  void pool_rows(const PoolRowsArgs& args) override;
  void widen(const WidenArgs& args) override;

 private:
  // How one multiplication is cut for the pool.
  struct Cut {
    int64_t group;  // panels of a piece
    int64_t n_groups;
    int64_t rows;  // rows of a piece
    int64_t n_row_blocks;
  };
  // `pair`: panels stay together by two (gate_up).
  Cut cut(int64_t n_panels, int64_t n_rows, bool pair) const;

  Product product_of(const Weight& w) const;
  // Rows of x [n, cols] as inputs of `product`: one pointer a row, valid until the next call.
  const void* const* prepare_rows(const float* x, int64_t n, int64_t cols, Product product);
  // Bytes of one element, and of a whole prepared row of `cols` elements.
  int64_t input_bytes(Product product) const {
    return product == Product::bf16_bf16 && kernels_.bf16_inputs ? 2 : 4;
  }
  int64_t prepared_bytes(int64_t cols, Product product) const;

  struct Multiplication {
    const void* const* rows;
    int64_t n_rows;
    const Weight* weight;
    Product product;
    float* out;  // [n_rows, n_cols]
    int64_t n_cols;
    float cap;  // soft cap; 0: none
  };
  void multiply(const Multiplication& m);
  // What linear, geglu_linear and logits are: out = x . w^T, w packed as `form`; cap 0: none.
  void multiply_all(const Tensor& x, const Weight& w, WeightForm form, float cap,
                    const Tensor& out);

  void next_norm(const NextNorm& next, const float* h, float eps, int64_t row) const;

  struct MoePlan;
  MoePlan plan_moe(const MoeFfnArgs& args);
  void moe_gate_up(const MoePlan& plan, const MoeFfnArgs& args);
  void moe_down(const MoePlan& plan, const MoeFfnArgs& args);

  struct AttentionPlan;
  void plan_attention(const AttentionArgs& args, AttentionPlan& plan) const;
  void attend_piece(const AttentionArgs& args, const AttentionPlan& plan, int thread,
                    int64_t index);
  void join_segments(const AttentionArgs& args, const AttentionPlan& plan, int thread,
                     int64_t index);

  const Kernels& kernels_;
  const DType compute_;
  ThreadPool pool_;

  Scratch prepared_;  // rows of the multiplication's input
  Scratch row_pointers_;
  Scratch normed_;      // moe_route
  Scratch router_out_;  // moe_route
  Scratch moe_hidden_;  // moe_ffn: what stands between gate_up and down
  Scratch moe_plan_;    // moe_ffn: tokens by expert
  Scratch partial_;     // attention: one softmax state a segment
  std::vector<Scratch> of_thread_;
  std::vector<Sampler> samplers_;  // of each thread
};

}  // namespace lapidary::cpu
