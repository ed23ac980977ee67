// Gemma 4's vision tower: images to soft tokens of the decoder. An encoder whose tokens
// see all of their image, 3x3 pooling, and a projection to the decoder's width. Every number is
// computed by a Backend verb. Engine thread only.
//
// Source of the equations: transformers 5.23, models/gemma4/modeling_gemma4.py (Gemma4VisionModel,
// Gemma4MultimodalEmbedder).
#pragma once

#include <span>
#include <vector>

#include "config/vision_config.h"
#include "engine/media/image_patches.h"
#include "engine/model/vision_weights.h"
#include "kernels/backend.h"

namespace lapidary {

class VisionTower {
 public:
  // `weights` and `backend` must outlive it.
  VisionTower(const VisionConfig& config, int text_hidden, const VisionWeights& weights,
              Backend& backend);

  // Takes the workspaces for so many patches at once. Before encode().
  void reserve(int max_patches);
  int max_patches() const { return max_patches_; }

  // Soft tokens of the images, one image after the other, a row of blocks at a time: [n, text
  // hidden] act, n the sum of n_soft_tokens() of their sizes. Valid until the next call.
  // REQUIRES: sizes of whole soft tokens, no more patches than max_patches() together.
  Tensor encode(std::span<const ImagePixels* const> images);

 private:
  // The step's integers and angles on the device.
  struct Inputs {
    int n_patches = 0, n_tokens = 0, max_keys = 0;
    Tensor pixels;                          // [n_patches, 768] f32
    Tensor place_ids;                       // [n_patches, 2] i32
    Tensor rope;                            // [n_patches, 2, head_dim / 2] f32
    Tensor slots, positions, last_visible;  // [n_patches] i32
    Tensor query_start, block_start, block_table;
    Tensor pooled;  // [n_tokens, 9] i32
  };

  Inputs upload(std::span<const ImagePixels* const> images);
  Tensor upload(Buffer& to, const std::vector<int32_t>& list, std::initializer_list<int64_t> shape);
  std::vector<float> angles(std::span<const ImagePixels* const> images) const;
  void attention_block(const VisionLayerWeights& w, const Inputs& in, const Tensor& h);
  void mlp_block(const VisionLayerWeights& w, const Tensor& h);
  // out = clamp(W clamp(x)) into columns of `out`; `x` stays as it is.
  void clipped_linear(const Tensor& x, const ClippedWeight& w, const Tensor& out,
                      int64_t column = 0);

  Tensor residual(const Buffer& buffer, int64_t rows) const;
  Tensor activations(const Buffer& buffer, int64_t rows, int64_t width) const;

  const VisionConfig config_;
  const int text_hidden_;
  const HeadLayout heads_;
  const VisionWeights& weights_;
  Backend& backend_;
  int max_patches_ = 0;
  std::vector<float> inv_freq_;  // [head_dim / 4], of both axes

  // Workspaces for max_patches_ rows; the comment says what a row holds.
  struct Workspaces {
    Buffer hidden;            // hidden, f32: the residual stream
    Buffer normed;            // hidden
    Buffer clipped;           // the widest input of a linear layer
    Buffer linear_out;        // the widest output of one
    Buffer projected;         // 3 * n_heads * padded head_dim
    Buffer query, attended;   // n_heads * padded head_dim
    Buffer gate, up;          // ffn
    Buffer block_out;         // hidden
    Buffer k_pages, v_pages;  // pages of one layer
    Buffer pixels, rope;      // 768, head_dim; f32
    Buffer place_ids, slots, positions, last_visible, query_start, block_start, block_table;
    Buffer pooled_rows, pooled, pooled_normed, soft_tokens;  // of n_tokens rows
  } work_;
};

}  // namespace lapidary
