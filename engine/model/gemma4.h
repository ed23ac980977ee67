// Gemma 4's decoder, all sizes: embeddings (and per-layer embeddings), sliding and global layers,
// dense and MoE blocks, final norm, logits. Reads like the paper; every number is computed by a
// Backend verb, every size comes from the ModelConfig. Engine thread only.
//
// Source of the equations: transformers 5.23, models/gemma4/modeling_gemma4.py.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "config/model_config.h"
#include "engine/batch.h"
#include "engine/cache/kv_cache.h"
#include "engine/model/step_buffers.h"
#include "engine/model/vision_tower.h"
#include "engine/model/weights.h"
#include "kernels/backend.h"

namespace lapidary {

class Gemma4 {
 public:
  Gemma4(ModelConfig config, Weights weights, Backend& backend);

  // Takes the workspaces for steps of these sizes. Before forward().
  void reserve(const StepLimits& limits);

  // Runs the step: writes its K and V into the cache and returns, for batch.logit_rows in order,
  // the hidden states after the final norm: [n_logit_rows, hidden]. Valid until the next call.
  Tensor forward(Batch batch, const KvCache& cache);

  // Logits, capped, of such rows. out: [n_rows, vocab] f32.
  void logits(const Tensor& rows, const Tensor& out);
  // The same in the decoder's own memory, for max_logit_rows() rows at most. Valid until the next
  // call.
  Tensor logits(const Tensor& rows);
  int max_logit_rows() const;

  const ModelConfig& config() const { return config_; }
  // Null: a model without. Its workspaces are taken by reserve().
  VisionTower* vision() { return vision_ ? &*vision_ : nullptr; }

 private:
  // The step's integers on the device, and what is computed once for all layers.
  struct StepInputs {
    Tensor tokens, positions, query_start, logit_rows;
    Tensor ple_tokens;    // tokens, media placeholders replaced by the pad id
    Tensor last_visible;  // on sliding layers; empty: causal
    struct Group {
      Tensor slots, block_start, block_table;
      Tensor rope;  // [n_tokens, 2, n_angles]
    } sliding, global;
    Tensor ple;  // [n_tokens, n_layers * ple_dim]; empty without per-layer embeddings
    int max_keys = 0;
  };

  StepInputs upload(const Batch& batch);
  Tensor upload(const Buffer& table, const std::vector<int32_t>& list);
  void run(StepInputs in, const std::vector<MediaRows>& media, const KvCache& cache);
  Tensor embed(const StepInputs& in, const std::vector<MediaRows>& media);
  Tensor per_layer_inputs(const StepInputs& in, const Tensor& h);
  void rope_tables(StepInputs& in);
  void attention_block(int l, const StepInputs& in, const KvCache& cache, const Tensor& h);
  void dense_block(int l, const Tensor& h);
  void moe_block(int l, const Tensor& h);
  void ple_block(int l, const StepInputs& in, const Tensor& h);
  Tensor dense_mlp(int l, const Tensor& h);

  NextNorm input_norm(int l, const Tensor& h) const;
  NextNorm after_mlp(int l, const Tensor& h) const;
  Tensor residual(const Buffer& buffer, int64_t n_tokens) const;
  Tensor activations(const Buffer& buffer, int64_t n_tokens, int64_t width) const;
  float block_scale(int l, bool is_last_op) const;

  const ModelConfig config_;
  const Weights weights_;
  Backend& backend_;
  std::optional<VisionTower> vision_;
  StepLimits limits_;

  // Workspaces for limits_.max_tokens rows; the comment says what a row holds.
  struct Workspaces {
    Buffer hidden, logit_rows;            // hidden, f32: the residual stream, rows of it
    Buffer normed;                        // hidden: input of a block, or the final norm's output
    Buffer normed_2;                      // hidden: input of the experts
    Buffer projected;                     // the stacked q, k, v of a layer
    Buffer query;                         // n_heads * head_dim: normed and rotated
    Buffer attended;                      // n_heads * head_dim
    Buffer ffn;                           // the MLP's inner width
    Buffer block_out;                     // hidden: what attention, dense MLP or PLE add
    Buffer sparse_out;                    // hidden: what the experts add
    Buffer experts, expert_weights;       // top_k_experts: i32, f32
    Buffer ple, ple_projected, ple_gate;  // n_layers * ple_dim, the same, ple_dim
    Buffer rope_sliding, rope_global;     // 2 * n_angles, f32
    Buffer logits;                        // vocab, f32, of max_logit_rows()
  } work_;
  Buffer inv_freq_sliding_, inv_freq_global_;
  int64_t n_angles_sliding_ = 0, n_angles_global_ = 0;
  // The integers of a step, in places that depend on its sizes alone: the lists of a row or
  // sequence each in one copy, the two block tables apart.
  Buffer ids_, sliding_table_, global_table_;
  std::vector<int32_t> staging_;
};

}  // namespace lapidary
