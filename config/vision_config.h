// The shape of a vision tower, from the vision_config of a checkpoint's config.json. Values.
#pragma once

#include "config/checked_json.h"

namespace lapidary {

// How a layer of the encoder looks is the same for all sizes; two things differ between them.
struct VisionConfig {
  int hidden = 0;
  int n_layers = 0;
  int n_heads = 0;  // as many of K and V
  int head_dim = 0;
  int ffn = 0;
  int n_positions = 0;  // of patches, along each side
  double rope_theta = 100.0;
  float rms_eps = 1e-6F;
  bool clips = false;         // inputs and outputs of the linear layers are clamped (E2B, E4B)
  bool standardizes = false;  // a learned shift and factor behind the pooling (26B-A4B, 31B)
};

// Throws StartupError for shapes that this engine does not compute.
VisionConfig read_vision_config(const ConfigObject& vision);

}  // namespace lapidary
