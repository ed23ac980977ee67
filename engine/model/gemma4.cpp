#include "engine/model/gemma4.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lapidary {

Gemma4::Gemma4(ModelConfig config, Weights weights, Backend& backend)
    : config_(std::move(config)), weights_(std::move(weights)), backend_(backend) {
  if (config_.vision) vision_.emplace(*config_.vision, config_.hidden, weights_.vision, backend_);
}

// --- the decoder, top to bottom ---

Tensor Gemma4::forward(Batch batch, const KvCache& cache) {
  CHECK(batch.n_tokens() > 0 && batch.n_tokens() <= limits_.max_tokens);
  const auto n_rows = static_cast<int64_t>(batch.logit_rows.size());
  const bool replays = backend_.replays() && batch.is_decode();
  if (replays) batch.pad_decode(std::min(padded_decode_rows(batch.n_tokens()), limits_.max_seqs));
  const StepInputs in = upload(batch);
  if (replays) {
    backend_.replay({batch.n_tokens(), batch.max_keys, cache.serial()},
                    [&] { run(in, {}, cache); });
  } else {
    run(in, batch.media, cache);
  }
  return activations(work_.normed, n_rows, config_.hidden);
}

void Gemma4::run(StepInputs in, const std::vector<MediaRows>& media, const KvCache& cache) {
  rope_tables(in);
  const Tensor h = embed(in, media);
  if (config_.ple_dim > 0) in.ple = per_layer_inputs(in, h);
  // Every block ends with the norm that the next one starts from, while h is at hand.
  const NextNorm first = input_norm(0, h);
  backend_.rms_norm({.x = h, .weight = first.weight, .eps = config_.rms_eps, .out = first.out});
  for (int l = 0; l < config_.n_layers(); ++l) {
    attention_block(l, in, cache, h);
    if (config_.n_experts > 0) {
      moe_block(l, h);
    } else {
      dense_block(l, h);
    }
    if (config_.ple_dim > 0) ple_block(l, in, h);
  }
  const int64_t n_rows = in.logit_rows.dim(0);
  const Tensor rows = residual(work_.logit_rows, n_rows);
  if (n_rows == 0) return;
  backend_.gather_rows({.x = h, .rows = in.logit_rows, .out = rows});
  backend_.rms_norm({.x = rows,
                     .weight = weights_.norm.tensor(),
                     .eps = config_.rms_eps,
                     .out = activations(work_.normed, n_rows, config_.hidden)});
}

void Gemma4::logits(const Tensor& rows, const Tensor& out) {
  backend_.logits({.x = rows, .table = &weights_.head(), .cap = config_.logit_cap, .out = out});
}

Tensor Gemma4::logits(const Tensor& rows) {
  const int64_t n = rows.dim(0);
  CHECK(n <= max_logit_rows());
  const Tensor out(work_.logits.data(), DType::f32, {n, config_.vocab});
  logits(rows, out);
  return out;
}

int Gemma4::max_logit_rows() const { return limits_.logit_rows(); }

// Soft tokens go in as the tower made them, not scaled.
Tensor Gemma4::embed(const StepInputs& in, const std::vector<MediaRows>& media) {
  const Tensor h = residual(work_.hidden, in.tokens.dim(0));
  backend_.embed(
      {.ids = in.tokens, .table = &weights_.embed, .scale = weights_.embed_scale, .out = h});
  for (const MediaRows& rows : media) {
    backend_.widen({.x = rows.soft_tokens, .out = h.rows(rows.row, rows.count)});
  }
  return h;
}

Tensor Gemma4::per_layer_inputs(const StepInputs& in, const Tensor& h) {
  const int64_t width = int64_t{config_.n_layers()} * config_.ple_dim;
  const Tensor projected = activations(work_.ple_projected, h.dim(0), width);
  const Tensor ple = activations(work_.ple, h.dim(0), width);
  backend_.linear({.x = h, .weight = &weights_.ple_model_proj, .out = projected});
  backend_.ple_inputs({.ids = in.ple_tokens,
                       .table = weights_.ple_table,
                       .table_scale = weights_.ple_table_scale,
                       .projected = projected,
                       .proj_scale = 1.0F / std::sqrt(static_cast<float>(config_.hidden)),
                       .norm = weights_.ple_proj_norm.tensor(),
                       .eps = config_.rms_eps,
                       .out = ple});
  return ple;
}

// h += post_norm(Wo attention(q, k, v)), of `normed`
void Gemma4::attention_block(int l, const StepInputs& in, const KvCache& cache, const Tensor& h) {
  const LayerConfig& layer = config_.layers[l];
  const LayerWeights& w = weights_.layers[l];
  const bool is_sliding = layer.kind == LayerKind::sliding;
  const StepInputs::Group& group = is_sliding ? in.sliding : in.global;
  const int64_t n = h.dim(0);
  const int64_t q_width = int64_t{layer.n_heads} * layer.head_dim;

  const Tensor a = activations(work_.normed, n, config_.hidden);
  const Tensor qkv = activations(work_.projected, n, w.qkv.rows);
  const Tensor q = activations(work_.query, n, q_width);
  const Tensor attended = activations(work_.attended, n, q_width);
  const Tensor out = activations(work_.block_out, n, config_.hidden);

  backend_.linear({.x = a, .weight = &w.qkv, .out = qkv});
  const bool writes_kv = layer.owns_kv(l);
  backend_.qkv({.qkv = qkv,
                .q_norm = w.q_norm.tensor(),
                .k_norm = w.k_norm.tensor(),
                .rope = group.rope,
                .slots = group.slots,
                .eps = config_.rms_eps,
                .n_heads = layer.n_heads,
                .n_kv_heads = layer.n_kv_heads,
                .head_dim = layer.head_dim,
                .k_eq_v = layer.k_eq_v,
                .k_pages = writes_kv ? cache.k_pages(l) : Tensor(),
                .v_pages = writes_kv ? cache.v_pages(l) : Tensor(),
                .q = q});
  backend_.attention({.q = q,
                      .k_pages = cache.k_pages(l),
                      .v_pages = cache.v_pages(l),
                      .positions = in.positions,
                      .last_visible = is_sliding ? in.last_visible : Tensor(),
                      .query_start = in.query_start,
                      .block_start = group.block_start,
                      .block_table = group.block_table,
                      .n_heads = layer.n_heads,
                      .n_kv_heads = layer.n_kv_heads,
                      .head_dim = layer.head_dim,
                      .window = layer.window,
                      .max_keys = in.max_keys,
                      .out = attended});
  backend_.linear({.x = attended, .weight = &w.o, .out = out});
  NextNorm experts;
  if (config_.n_experts > 0) {
    experts = {w.pre_ffn_norm_2.tensor(), activations(work_.normed_2, n, config_.hidden)};
  }
  backend_.add_norm({.h = h,
                     .x = out,
                     .weight = w.post_attention_norm.tensor(),
                     .eps = config_.rms_eps,
                     .next = {w.pre_ffn_norm.tensor(), a},
                     .next_2 = experts});
}

// Wd (gelu(Wg x) * (Wu x)), x = `normed`
Tensor Gemma4::dense_mlp(int l, const Tensor& h) {
  const LayerWeights& w = weights_.layers[l];
  const Tensor x = activations(work_.normed, h.dim(0), config_.hidden);
  const Tensor inner = activations(work_.ffn, h.dim(0), config_.layers[l].ffn);
  const Tensor out = activations(work_.block_out, h.dim(0), config_.hidden);
  backend_.geglu_linear({.x = x, .weight = &w.gate_up, .out = inner});
  backend_.linear({.x = inner, .weight = &w.down, .out = out});
  return out;
}

// h += post_norm(mlp(pre_norm(h)))
void Gemma4::dense_block(int l, const Tensor& h) {
  const Tensor out = dense_mlp(l, h);
  backend_.add_norm({.h = h,
                     .x = out,
                     .weight = weights_.layers[l].post_ffn_norm.tensor(),
                     .eps = config_.rms_eps,
                     .scale = block_scale(l, config_.ple_dim == 0),
                     .next = after_mlp(l, h)});
}

// h += post_norm(norm_1(mlp(pre_norm(h))) + norm_2(experts(pre_norm_2(h)))); the router sees raw h.
void Gemma4::moe_block(int l, const Tensor& h) {
  const LayerWeights& w = weights_.layers[l];
  const Tensor dense = dense_mlp(l, h);
  const int64_t n = h.dim(0);
  const Tensor experts(work_.experts.data(), DType::i32, {n, config_.top_k_experts});
  const Tensor weights(work_.expert_weights.data(), DType::f32, {n, config_.top_k_experts});
  const Tensor x = activations(work_.normed_2, n, config_.hidden);
  const Tensor sparse = activations(work_.sparse_out, n, config_.hidden);
  backend_.moe_route({.h = h,
                      .scale = w.router_scale.tensor(),
                      .proj = &w.router,
                      .per_expert_scale = w.per_expert_scale.tensor(),
                      .eps = config_.rms_eps,
                      .top_k = config_.top_k_experts,
                      .experts = experts,
                      .weights = weights});
  backend_.moe_ffn({.x = x,
                    .experts = experts,
                    .weights = weights,
                    .gate_up = &w.experts_gate_up,
                    .down = &w.experts_down,
                    .out = sparse});
  backend_.moe_combine({.h = h,
                        .dense = dense,
                        .sparse = sparse,
                        .dense_weight = w.post_ffn_norm_1.tensor(),
                        .sparse_weight = w.post_ffn_norm_2.tensor(),
                        .weight = w.post_ffn_norm.tensor(),
                        .eps = config_.rms_eps,
                        .scale = block_scale(l, config_.ple_dim == 0),
                        .next = after_mlp(l, h)});
}

// h += post_norm(Wp (gelu(Wg h) * ple[l]))
void Gemma4::ple_block(int l, const StepInputs& in, const Tensor& h) {
  const LayerWeights& w = weights_.layers[l];
  const Tensor gate = activations(work_.ple_gate, h.dim(0), config_.ple_dim);
  const Tensor out = activations(work_.block_out, h.dim(0), config_.hidden);
  backend_.linear({.x = h, .weight = &w.ple_gate, .out = gate});
  backend_.ple_gate({.gate = gate, .ple = in.ple, .layer = l, .out = gate});
  backend_.linear({.x = gate, .weight = &w.ple_proj, .out = out});
  backend_.add_norm({.h = h,
                     .x = out,
                     .weight = w.post_ple_norm.tensor(),
                     .eps = config_.rms_eps,
                     .scale = block_scale(l, true),
                     .next = input_norm(l + 1, h)});
}

// layer_scalar multiplies the whole residual stream as the last operation of its layer.
float Gemma4::block_scale(int l, bool is_last_op) const {
  return is_last_op ? weights_.layers[l].layer_scalar : 1.0F;
}

// What layer l starts from; none behind the last.
NextNorm Gemma4::input_norm(int l, const Tensor& h) const {
  if (l == config_.n_layers()) return {};
  return {weights_.layers[l].input_norm.tensor(),
          activations(work_.normed, h.dim(0), config_.hidden)};
}

// The block of per-layer embeddings starts from h itself.
NextNorm Gemma4::after_mlp(int l, const Tensor& h) const {
  return config_.ple_dim > 0 ? NextNorm{} : input_norm(l + 1, h);
}

// --- what a step needs around it ---

void Gemma4::reserve(const StepLimits& limits) {
  limits_ = limits;
  const StepBuffers bytes = step_buffers(config_, limits, backend_.activation_dtype());
  const auto take = [this](int64_t n) { return backend_.allocate(static_cast<size_t>(n)); };
  const auto angles = [&](LayerKind kind, Buffer& inv_freq) {
    std::vector<float> f;
    for (const LayerConfig& layer : config_.layers) {
      if (layer.kind == kind) f = config_.rope(kind).inv_freq(layer.head_dim);
    }
    inv_freq = backend_.allocate(std::max<size_t>(f.size(), 1) * sizeof(float));
    if (!f.empty()) backend_.upload(inv_freq.data(), f.data(), f.size() * sizeof(float));
    return static_cast<int64_t>(f.size());
  };
  ids_ = take(bytes.ids);
  sliding_table_ = take(bytes.block_table);
  global_table_ = take(bytes.block_table);
  n_angles_sliding_ = angles(LayerKind::sliding, inv_freq_sliding_);
  n_angles_global_ = angles(LayerKind::global, inv_freq_global_);
  work_ = {.hidden = take(bytes.hidden),
           .logit_rows = take(bytes.logit_rows),
           .normed = take(bytes.normed),
           .normed_2 = take(bytes.normed_2),
           .projected = take(bytes.projected),
           .query = take(bytes.query),
           .attended = take(bytes.attended),
           .ffn = take(bytes.ffn),
           .block_out = take(bytes.block_out),
           .sparse_out = take(bytes.sparse_out),
           .experts = take(bytes.experts),
           .expert_weights = take(bytes.expert_weights),
           .ple = take(bytes.ple),
           .ple_projected = take(bytes.ple_projected),
           .ple_gate = take(bytes.ple_gate),
           .rope_sliding = take(bytes.rope_sliding),
           .rope_global = take(bytes.rope_global),
           .logits = take(bytes.logits)};
  if (vision_) vision_->reserve(limits.max_image_tokens * kPatchesPerToken);
}

Gemma4::StepInputs Gemma4::upload(const Batch& batch) {
  staging_.clear();
  std::vector<int32_t> ple_tokens;
  if (config_.ple_dim > 0) {
    ple_tokens = batch.tokens;
    for (int32_t id : config_.ids.placeholders) {
      std::replace(ple_tokens.begin(), ple_tokens.end(), id, config_.ids.pad);
    }
  }
  const std::vector<int32_t>* lists[] = {&batch.tokens,
                                         &batch.positions,
                                         &batch.query_start,
                                         &batch.logit_rows,
                                         &ple_tokens,
                                         &batch.sliding.slots,
                                         &batch.sliding.block_start,
                                         &batch.global.slots,
                                         &batch.global.block_start,
                                         &batch.last_visible};
  for (const auto* list : lists) staging_.insert(staging_.end(), list->begin(), list->end());
  const size_t bytes = staging_.size() * sizeof(int32_t);
  CHECK(bytes <= ids_.bytes());
  backend_.upload(ids_.data(), staging_.data(), bytes);

  auto* next = static_cast<int32_t*>(ids_.data());
  const auto tensor = [&](const std::vector<int32_t>& list) {
    const auto n = static_cast<int64_t>(list.size());
    return Tensor(std::exchange(next, next + n), DType::i32, {n});
  };
  StepInputs in;
  in.max_keys = batch.max_keys;
  Tensor* const tensors[] = {&in.tokens,
                             &in.positions,
                             &in.query_start,
                             &in.logit_rows,
                             &in.ple_tokens,
                             &in.sliding.slots,
                             &in.sliding.block_start,
                             &in.global.slots,
                             &in.global.block_start,
                             &in.last_visible};
  for (size_t i = 0; i < std::size(lists); ++i) *tensors[i] = tensor(*lists[i]);
  if (batch.last_visible.empty()) in.last_visible = {};
  in.sliding.block_table = upload(sliding_table_, batch.sliding.block_table);
  in.global.block_table = upload(global_table_, batch.global.block_table);
  return in;
}

Tensor Gemma4::upload(const Buffer& table, const std::vector<int32_t>& list) {
  const size_t bytes = list.size() * sizeof(int32_t);
  CHECK(bytes <= table.bytes());
  backend_.upload(table.data(), list.data(), bytes);
  return Tensor(table.data(), DType::i32, {static_cast<int64_t>(list.size())});
}

void Gemma4::rope_tables(StepInputs& in) {
  const auto make = [&](StepInputs::Group& group, const Buffer& out, const Buffer& inv_freq,
                        int64_t n_angles) {
    if (n_angles == 0) return;
    group.rope = Tensor(out.data(), DType::f32, {in.positions.dim(0), 2, n_angles});
    backend_.rope_table({.positions = in.positions,
                         .inv_freq = Tensor(inv_freq.data(), DType::f32, {n_angles}),
                         .out = group.rope});
  };
  make(in.sliding, work_.rope_sliding, inv_freq_sliding_, n_angles_sliding_);
  make(in.global, work_.rope_global, inv_freq_global_, n_angles_global_);
}

Tensor Gemma4::residual(const Buffer& buffer, int64_t n_tokens) const {
  return Tensor(buffer.data(), DType::f32, {n_tokens, config_.hidden});
}

Tensor Gemma4::activations(const Buffer& buffer, int64_t n_tokens, int64_t width) const {
  return Tensor(buffer.data(), backend_.activation_dtype(), {n_tokens, width});
}

}  // namespace lapidary
