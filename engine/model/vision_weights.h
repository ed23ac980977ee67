// The weights of a vision tower in the backend's memory, in the form that VisionTower computes
// with: heads are padded to whole lanes, and their dims stand in another order, so that the
// decoder's own verbs (qkv, attention) compute the tower's two-dimensional RoPE.
// Read once at start; read-only afterwards.
#pragma once

#include <limits>
#include <vector>

#include "config/vision_config.h"
#include "engine/model/weight_vector.h"
#include "kernels/backend.h"

namespace lapidary {

class WeightReader;

// Bounds of what goes into a linear layer and of what comes out.
struct ClipBounds {
  float in_low = -std::numeric_limits<float>::infinity();
  float in_high = std::numeric_limits<float>::infinity();
  float out_low = in_low, out_high = in_high;
};

// Rows, columns and bounds as HeadLayout has them.
struct ClippedWeight {
  Weight weight;
  ClipBounds bounds;
};

struct VisionLayerWeights {
  // Without clips: q, k, v stacked in `qkv`, gate and up in `gate_up`. With them, which differ from
  // one projection to the next: each by itself.
  Weight qkv, gate_up;
  ClippedWeight q, k, v, gate, up;
  ClippedWeight o, down;
  WeightVector input_norm, post_attention_norm, pre_ffn_norm, post_ffn_norm;  // [hidden]
  WeightVector q_norm, k_norm;                                                // [padded head_dim]
};

struct VisionWeights {
  Weight patches;    // [hidden, 768]
  Weight positions;  // [2 * n_positions, hidden]: of columns, then of rows
  std::vector<VisionLayerWeights> layers;
  WeightVector shift, factor;    // [hidden]; empty: not standardised
  WeightVector projection_norm;  // [hidden], ones: the norm before the projection has no weight
  Weight projection;             // [text hidden, hidden]
};

// How a head of D dims lies in one of P >= D, P a multiple of 16, so that verbs that norm over P
// and turn the pairs (i, i + P/2) compute the official layer: D/2 dims turned by the column, D/2 by
// the row, pairs (i, i + D/4) in each half; norms over D.
//
// Norms: with zeros in the pads, x / sqrt(sum(x^2)/P + eps D/P) = sqrt(P/D) x / sqrt(sum(x^2)/D +
// eps). Queries and keys take sqrt(D/P) into their norm's weight. Values keep the factor: the
// output projection's bounds are scaled by it, and the norm behind it takes eps P/D, which undoes
// it.
struct HeadLayout {
  int dims = 0, padded = 0;  // D, P
  explicit HeadLayout(int head_dim);

  int place(int dim) const;     // of dim d of a query or key
  double value_factor() const;  // sqrt(P/D)
};

// Throws StartupError as load_weights() does.
VisionWeights load_vision_weights(const VisionConfig& config, WeightReader& reader);

}  // namespace lapidary
