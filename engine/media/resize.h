// Bicubic resizing of 8-bit RGB with antialiasing, every level equal to torchvision's (PyTorch's
// upsample_bicubic2d_aa on uint8): columns first, then rows, each pass in whole numbers and rounded
// to a level. Pure, any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/media/image_size.h"

namespace lapidary {

// [height, width, 3] in and out. REQUIRES: both sizes at least 1 x 1 and pixels of that size.
std::vector<uint8_t> resize_bicubic(std::span<const uint8_t> pixels, ImageSize from, ImageSize to);

}  // namespace lapidary
