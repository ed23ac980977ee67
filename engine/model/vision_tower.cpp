#include "engine/model/vision_tower.h"

#include <algorithm>
#include <cmath>

#include "engine/model/vision_buffers.h"
#include "kernels/check.h"

namespace lapidary {
namespace {

constexpr int64_t kPatchValues = 3 * kPatchPixels * kPatchPixels;

int64_t n_pages(int64_t n_patches) { return (n_patches + kPageSize - 1) / kPageSize; }

}  // namespace

VisionTower::VisionTower(const VisionConfig& config, int text_hidden, const VisionWeights& weights,
                         Backend& backend)
    : config_(config),
      text_hidden_(text_hidden),
      heads_(config.head_dim),
      weights_(weights),
      backend_(backend) {
  const int quarter = config.head_dim / 4;
  for (int i = 0; i < quarter; ++i) {
    // As the official code rounds it: exponent, power and quotient in float32.
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(2 * quarter);
    const auto power = static_cast<float>(
        std::pow(static_cast<double>(static_cast<float>(config.rope_theta)), double{exponent}));
    inv_freq_.push_back(1.0F / power);
  }
}

void VisionTower::reserve(int max_patches) {
  max_patches_ = max_patches;
  const VisionBuffers bytes = vision_buffers(config_, text_hidden_, max_patches,
                                             backend_.activation_dtype(), backend_.compute_dtype());
  const auto take = [this](int64_t n) { return backend_.allocate(static_cast<size_t>(n)); };
  work_ = {.hidden = take(bytes.hidden),
           .normed = take(bytes.normed),
           .clipped = take(bytes.clipped),
           .linear_out = take(bytes.linear_out),
           .projected = take(bytes.projected),
           .query = take(bytes.query),
           .attended = take(bytes.attended),
           .gate = take(bytes.gate),
           .up = take(bytes.up),
           .block_out = take(bytes.block_out),
           .k_pages = take(bytes.pages),
           .v_pages = take(bytes.pages),
           .pixels = take(bytes.pixels),
           .rope = take(bytes.rope),
           .place_ids = take(bytes.place_ids),
           .slots = take(bytes.list),
           .positions = take(bytes.list),
           .last_visible = take(bytes.list),
           .query_start = take(bytes.starts),
           .block_start = take(bytes.starts),
           .block_table = take(bytes.block_table),
           .pooled_rows = take(bytes.pooled_rows),
           .pooled = take(bytes.pooled),
           .pooled_normed = take(bytes.pooled_normed),
           .soft_tokens = take(bytes.soft_tokens)};
}

// --- the tower, top to bottom ---

Tensor VisionTower::encode(std::span<const ImagePixels* const> images) {
  const Inputs in = upload(images);
  const Tensor h = residual(work_.hidden, in.n_patches);
  const Tensor embedded = activations(work_.block_out, in.n_patches, config_.hidden);
  backend_.linear({.x = in.pixels, .weight = &weights_.patches, .out = embedded});
  backend_.add_embeddings(
      {.x = embedded, .ids = in.place_ids, .table = &weights_.positions, .out = h});
  for (const VisionLayerWeights& w : weights_.layers) {
    attention_block(w, in, h);
    mlp_block(w, h);
  }
  const Tensor pooled = residual(work_.pooled, in.n_tokens);
  const Tensor normed = activations(work_.pooled_normed, in.n_tokens, config_.hidden);
  const Tensor out = activations(work_.soft_tokens, in.n_tokens, text_hidden_);
  backend_.pool_rows({.h = h,
                      .rows = in.pooled,
                      .scale = std::sqrt(static_cast<float>(config_.hidden)),
                      .shift = weights_.shift.tensor(),
                      .factor = weights_.factor.tensor(),
                      .out = pooled});
  backend_.rms_norm({.x = pooled,
                     .weight = weights_.projection_norm.tensor(),
                     .eps = config_.rms_eps,
                     .out = normed});
  backend_.linear({.x = normed, .weight = &weights_.projection, .out = out});
  return out;
}

// h += post_norm(Wo attention(q, k, v)) of the normed h; everything sees its whole image.
void VisionTower::attention_block(const VisionLayerWeights& w, const Inputs& in, const Tensor& h) {
  const int64_t n = in.n_patches;
  const int64_t width = int64_t{config_.n_heads} * heads_.padded;
  const Tensor a = activations(work_.normed, n, config_.hidden);
  const Tensor qkv = activations(work_.projected, n, 3 * width);
  const Tensor q = activations(work_.query, n, width);
  const Tensor attended = activations(work_.attended, n, width);
  const Tensor out = activations(work_.block_out, n, config_.hidden);
  const auto pages_in = [&](const Buffer& buffer) {
    return backend_.kv_pages(buffer.data(), backend_.compute_dtype(), n_vision_pages(max_patches_),
                             config_.n_heads, heads_.padded);
  };
  const Tensor k_pages = pages_in(work_.k_pages);
  const Tensor v_pages = pages_in(work_.v_pages);

  backend_.rms_norm({.x = h, .weight = w.input_norm.tensor(), .eps = config_.rms_eps, .out = a});
  if (config_.clips) {
    clipped_linear(a, w.q, qkv, 0);
    clipped_linear(a, w.k, qkv, width);
    clipped_linear(a, w.v, qkv, 2 * width);
  } else {
    backend_.linear({.x = a, .weight = &w.qkv, .out = qkv});
  }
  const auto factor = static_cast<float>(heads_.dims) / static_cast<float>(heads_.padded);
  backend_.qkv({.qkv = qkv,
                .q_norm = w.q_norm.tensor(),
                .k_norm = w.k_norm.tensor(),
                .rope = in.rope,
                .slots = in.slots,
                .eps = config_.rms_eps * factor,
                .n_heads = config_.n_heads,
                .n_kv_heads = config_.n_heads,
                .head_dim = heads_.padded,
                .k_pages = k_pages,
                .v_pages = v_pages,
                .q = q});
  backend_.attention({.q = q,
                      .k_pages = k_pages,
                      .v_pages = v_pages,
                      .positions = in.positions,
                      .last_visible = in.last_visible,
                      .query_start = in.query_start,
                      .block_start = in.block_start,
                      .block_table = in.block_table,
                      .n_heads = config_.n_heads,
                      .n_kv_heads = config_.n_heads,
                      .head_dim = heads_.padded,
                      .max_keys = in.max_keys,
                      .out = attended});
  if (config_.clips) {
    clipped_linear(attended, w.o, out);
  } else {
    backend_.linear({.x = attended, .weight = &w.o.weight, .out = out});
  }
  backend_.add_norm({.h = h,
                     .x = out,
                     .weight = w.post_attention_norm.tensor(),
                     .eps = config_.rms_eps / factor,
                     .next = {w.pre_ffn_norm.tensor(), a}});
}

// h += post_norm(Wd (gelu(Wg m) * (Wu m))), of the normed h that the attention block left.
void VisionTower::mlp_block(const VisionLayerWeights& w, const Tensor& h) {
  const int64_t n = h.dim(0);
  const Tensor m = activations(work_.normed, n, config_.hidden);
  const Tensor gate = activations(work_.gate, n, config_.ffn);
  const Tensor out = activations(work_.block_out, n, config_.hidden);
  if (config_.clips) {
    const Tensor up = activations(work_.up, n, config_.ffn);
    clipped_linear(m, w.gate, gate);
    clipped_linear(m, w.up, up);
    backend_.ple_gate({.gate = gate, .ple = up, .layer = 0, .out = gate});
    clipped_linear(gate, w.down, out);
  } else {
    backend_.geglu_linear({.x = m, .weight = &w.gate_up, .out = gate});
    backend_.linear({.x = gate, .weight = &w.down.weight, .out = out});
  }
  backend_.add_norm({.h = h, .x = out, .weight = w.post_ffn_norm.tensor(), .eps = config_.rms_eps});
}

void VisionTower::clipped_linear(const Tensor& x, const ClippedWeight& w, const Tensor& out,
                                 int64_t column) {
  const ClipBounds& b = w.bounds;
  const Tensor clipped = activations(work_.clipped, x.dim(0), x.dim(1));
  const Tensor product = activations(work_.linear_out, x.dim(0), w.weight.rows);
  backend_.clip({.x = x, .low = b.in_low, .high = b.in_high, .out = clipped});
  backend_.linear({.x = clipped, .weight = &w.weight, .out = product});
  backend_.clip({.x = product, .low = b.out_low, .high = b.out_high, .column = column, .out = out});
}

// --- inputs ---

// Angles of each patch: its column's, then its row's, in the order of HeadLayout.
std::vector<float> VisionTower::angles(std::span<const ImagePixels* const> images) const {
  std::vector<float> out;
  const auto append = [&](int column, int row, double (*turn)(double)) {
    for (const int place : {column, row}) {
      for (const float freq : inv_freq_) {
        const float angle = static_cast<float>(place) * freq;
        out.push_back(static_cast<float>(turn(static_cast<double>(angle))));
      }
    }
  };
  for (const ImagePixels* image : images) {
    for (int i = 0; i < image->n_patches(); ++i) {
      const int column = i % image->columns();
      const int row = i / image->columns();
      append(column, row, [](double x) { return std::cos(x); });
      append(column, row, [](double x) { return std::sin(x); });
    }
  }
  return out;
}

VisionTower::Inputs VisionTower::upload(std::span<const ImagePixels* const> images) {
  Inputs in;
  std::vector<float> pixels;
  std::vector<int32_t> place_ids, slots, positions, last_visible, query_start{0}, block_start{0};
  std::vector<int32_t> block_table, pooled;
  for (const ImagePixels* image : images) {
    CHECK(image->size.height % kTokenPixels == 0 && image->size.width % kTokenPixels == 0);
    CHECK(std::max(image->rows(), image->columns()) <= config_.n_positions);
    const int first = in.n_patches;
    const int n = image->n_patches();
    const auto first_page = static_cast<int32_t>(block_table.size());
    const ImagePatches patches =
        make_patches(image->levels, image->size, kPatchPixels, image->scale);
    for (const float x : patches.values) pixels.push_back(2.0F * (x - 0.5F));
    for (int i = 0; i < n; ++i) {
      place_ids.push_back(i % image->columns());
      place_ids.push_back(config_.n_positions + i / image->columns());
      positions.push_back(i);
      last_visible.push_back(n - 1);
      slots.push_back(first_page * kPageSize + i);
    }
    for (int64_t page = 0; page < n_pages(n); ++page) {
      block_table.push_back(first_page + static_cast<int32_t>(page));
    }
    for (int row = 0; row < image->rows(); row += kPoolPatches) {
      for (int column = 0; column < image->columns(); column += kPoolPatches) {
        for (int i = 0; i < kPatchesPerToken; ++i) {
          pooled.push_back(first + (row + i / kPoolPatches) * image->columns() + column +
                           i % kPoolPatches);
        }
      }
    }
    in.n_patches += n;
    in.max_keys = std::max(in.max_keys, n);
    query_start.push_back(in.n_patches);
    block_start.push_back(static_cast<int32_t>(block_table.size()));
  }
  CHECK(in.n_patches > 0 && in.n_patches <= max_patches_);
  in.n_tokens = static_cast<int>(pooled.size()) / kPatchesPerToken;
  const int64_t n = in.n_patches;
  const std::vector<float> turns = angles(images);
  backend_.upload(work_.pixels.data(), pixels.data(), pixels.size() * sizeof(float));
  backend_.upload(work_.rope.data(), turns.data(), turns.size() * sizeof(float));
  in.pixels = Tensor(work_.pixels.data(), DType::f32, {n, kPatchValues});
  in.rope = Tensor(work_.rope.data(), DType::f32, {n, 2, config_.head_dim / 2});
  in.place_ids = upload(work_.place_ids, place_ids, {n, 2});
  in.slots = upload(work_.slots, slots, {n});
  in.positions = upload(work_.positions, positions, {n});
  in.last_visible = upload(work_.last_visible, last_visible, {n});
  const auto n_images = static_cast<int64_t>(images.size());
  in.query_start = upload(work_.query_start, query_start, {n_images + 1});
  in.block_start = upload(work_.block_start, block_start, {n_images + 1});
  in.block_table =
      upload(work_.block_table, block_table, {static_cast<int64_t>(block_table.size())});
  in.pooled = upload(work_.pooled_rows, pooled, {in.n_tokens, kPatchesPerToken});
  return in;
}

Tensor VisionTower::upload(Buffer& to, const std::vector<int32_t>& list,
                           std::initializer_list<int64_t> shape) {
  backend_.upload(to.data(), list.data(), list.size() * sizeof(int32_t));
  return Tensor(to.data(), DType::i32, shape);
}

Tensor VisionTower::residual(const Buffer& buffer, int64_t rows) const {
  return Tensor(buffer.data(), DType::f32, {rows, config_.hidden});
}

Tensor VisionTower::activations(const Buffer& buffer, int64_t rows, int64_t width) const {
  return Tensor(buffer.data(), backend_.activation_dtype(), {rows, width});
}

}  // namespace lapidary
