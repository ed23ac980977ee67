// How large the processor makes an image for a budget of soft tokens: as large as the budget
// allows at the image's own aspect ratio, also upwards. Pure, any thread.
// Source: Gemma4ImageProcessor of transformers (get_aspect_ratio_preserving_size).
#pragma once

#include <cstdint>

namespace lapidary {

struct ImageSize {
  int height = 0, width = 0;  // pixels

  friend bool operator==(const ImageSize&, const ImageSize&) = default;
};

constexpr int kPatchPixels = 16;                           // a side
constexpr int kPoolPatches = 3;                            // a side of what becomes one soft token
constexpr int kTokenPixels = kPatchPixels * kPoolPatches;  // the same in pixels
constexpr int kPatchesPerToken = kPoolPatches * kPoolPatches;

// 70, 140, 280, 560 or 1120: the models were trained with no others.
bool is_soft_token_budget(int64_t tokens);

// Both sides are multiples of kTokenPixels. REQUIRES: a size of at least 1 x 1, a valid budget.
ImageSize target_size(ImageSize image, int budget);

// Of an image of such a size; never above the budget that it was made for.
constexpr int n_soft_tokens(ImageSize target) {
  return (target.height / kTokenPixels) * (target.width / kTokenPixels);
}

}  // namespace lapidary
