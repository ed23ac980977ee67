#include "engine/media/image_size.h"

#include <algorithm>
#include <cmath>

#include "kernels/check.h"

namespace lapidary {

bool is_soft_token_budget(int64_t tokens) {
  return tokens == 70 || tokens == 140 || tokens == 280 || tokens == 560 || tokens == 1120;
}

// The order of the operations in double is the official one: sizes depend on it.
ImageSize target_size(ImageSize image, int budget) {
  CHECK(image.height > 0 && image.width > 0 && is_soft_token_budget(budget));
  const double height = image.height, width = image.width;
  const double most_pixels =
      static_cast<double>(kPatchesPerToken * budget) * (kPatchPixels * kPatchPixels);
  const double factor = std::sqrt(most_pixels / (height * width));
  const auto fitted = [&](double side) {
    return static_cast<int>(std::floor(factor * side / kTokenPixels)) * kTokenPixels;
  };
  // A side that would vanish is one token wide, the other follows the ratio, rounded down.
  const auto long_side = [&](int longer, int shorter) {
    return std::min<int64_t>(longer / shorter, budget) * kTokenPixels;
  };
  ImageSize target = {fitted(height), fitted(width)};
  if (target.height == 0) {
    target = {kTokenPixels, static_cast<int>(long_side(image.width, image.height))};
  } else if (target.width == 0) {
    target = {static_cast<int>(long_side(image.height, image.width)), kTokenPixels};
  }
  return target;
}

}  // namespace lapidary
