// One function for each format of images: bytes to RGB as torchvision's decode_image has it (mode
// RGB, orientation applied for JPEG and PNG). The size is checked before memory is taken for
// pixels. Throw MediaError. One thread.
#pragma once

#include <cstdint>
#include <span>

#include "server/media/decoded_media.h"

namespace lapidary {

DecodedImage decode_jpeg(std::span<const uint8_t> file, const MediaLimits& limits);
DecodedImage decode_png(std::span<const uint8_t> file, const MediaLimits& limits);
DecodedImage decode_webp(std::span<const uint8_t> file, const MediaLimits& limits);
// The first picture of an animation, on its canvas.
DecodedImage decode_gif(std::span<const uint8_t> file, const MediaLimits& limits);

// Throws what is wrong with such a size, if anything.
void check_picture_size(int64_t width, int64_t height, const MediaLimits& limits);

}  // namespace lapidary
