// How a camera was held, as Exif has it, and turning a picture upright. Pure, any thread.
#pragma once

#include <cstdint>
#include <span>

#include "server/media/decoded_media.h"

namespace lapidary {

// 1 to 8; 1, upright, where the data says nothing or nonsense. `exif`: from its byte order on
// ("II" or "MM").
int exif_orientation(std::span<const uint8_t> exif);

// For 5 to 8 width and height change places.
DecodedImage upright(DecodedImage image, int orientation);

}  // namespace lapidary
