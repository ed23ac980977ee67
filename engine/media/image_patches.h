// What a vision tower takes of an image that has its target size. Pure, any thread.
// Source: Gemma4ImageProcessor of transformers (convert_image_to_patches, rescale_factor 1/255).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/media/image_size.h"

namespace lapidary {

struct ImagePatches {
  int rows = 0, columns = 0, side = 0;  // of patches; of a patch in pixels
  // [rows * columns, side * side * 3], row by row; inside a patch row, column, channel. From 0
  // to 1.
  std::vector<float> values;
  int count() const { return rows * columns; }
};

// How a level becomes a number: the product is that of the official image processor, the quotient
// that of its video processor, an ulp apart.
enum class PixelScale { kImage, kVideoFrame };

// An image as it waits for a tower: at its target size, a quarter of what its patches take.
struct ImagePixels {
  ImageSize size;
  std::vector<uint8_t> levels;  // [height, width, 3]
  PixelScale scale = PixelScale::kImage;

  int rows() const { return size.height / kPatchPixels; }  // of patches
  int columns() const { return size.width / kPatchPixels; }
  int n_patches() const { return rows() * columns(); }
};

// `pixels`: [height, width, 3]. REQUIRES: both sides are multiples of `patch_side`.
ImagePatches make_patches(std::span<const uint8_t> pixels, ImageSize size, int patch_side,
                          PixelScale scale);

}  // namespace lapidary
