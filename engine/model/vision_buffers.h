// A vision tower's own memory for images of some size, in bytes: what VisionTower::reserve takes
// and what a memory plan counts. Pure function, any thread.
#pragma once

#include <cstdint>

#include "config/vision_config.h"
#include "kernels/tensor.h"

namespace lapidary {

// One buffer each, by the name that it has in VisionTower.
struct VisionBuffers {
  int64_t hidden = 0, normed = 0, clipped = 0, linear_out = 0, projected = 0;
  int64_t query = 0, attended = 0, gate = 0, up = 0, block_out = 0;
  int64_t pages = 0;  // of K, and as much of V
  int64_t pixels = 0, rope = 0, place_ids = 0;
  int64_t list = 0;    // of an integer a patch; three of them
  int64_t starts = 0;  // of an integer an image and one; two of them
  int64_t block_table = 0;
  int64_t pooled_rows = 0, pooled = 0, pooled_normed = 0, soft_tokens = 0;

  int64_t total() const;
};

// `max_patches` at once, a whole number of soft tokens. act and compute: Backend's.
VisionBuffers vision_buffers(const VisionConfig& config, int text_hidden, int max_patches,
                             DType act, DType compute);

// Pages that K of so many patches takes, each image beginning one of its own.
int64_t n_vision_pages(int max_patches);

}  // namespace lapidary
