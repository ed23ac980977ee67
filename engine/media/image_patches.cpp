#include "engine/media/image_patches.h"

#include <array>

#include "kernels/check.h"

namespace lapidary {
namespace {

std::array<float, 256> level_values(PixelScale scale) {
  std::array<float, 256> values{};
  for (size_t level = 0; level < values.size(); ++level) {
    const auto whole = static_cast<float>(level);
    values[level] =
        scale == PixelScale::kImage ? whole * static_cast<float>(1.0 / 255) : whole / 255.0F;
  }
  return values;
}

}  // namespace

ImagePatches make_patches(std::span<const uint8_t> pixels, ImageSize size, int patch_side,
                          PixelScale scale) {
  constexpr size_t kChannels = 3;
  CHECK(patch_side > 0 && size.height % patch_side == 0 && size.width % patch_side == 0);
  CHECK(pixels.size() ==
        static_cast<size_t>(size.height) * static_cast<size_t>(size.width) * kChannels);
  const std::array<float, 256> value_of = level_values(scale);
  const auto side = static_cast<size_t>(patch_side);
  const size_t row_values = static_cast<size_t>(size.width) * kChannels;
  ImagePatches made{size.height / patch_side, size.width / patch_side, patch_side, {}};
  made.values.reserve(pixels.size());
  for (size_t row = 0; row < static_cast<size_t>(made.rows); ++row) {
    for (size_t column = 0; column < static_cast<size_t>(made.columns); ++column) {
      const size_t corner = row * side * row_values + column * side * kChannels;
      for (size_t y = 0; y < side; ++y) {
        const uint8_t* line = pixels.data() + corner + y * row_values;
        for (size_t i = 0; i < side * kChannels; ++i) made.values.push_back(value_of[line[i]]);
      }
    }
  }
  return made;
}

}  // namespace lapidary
