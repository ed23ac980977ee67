// An image in a prompt: which of its positions are the image's soft tokens, and what a tower is to
// make them from. Values; immutable once submitted.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "engine/media/image_patches.h"

namespace lapidary {

// Of all that the soft tokens depend on: equal fingerprints, equal soft tokens.
using MediaFingerprint = std::array<uint8_t, 32>;

struct MediaSpan {
  int first = 0, count = 0;  // positions of the soft tokens, which hold placeholders in the prompt
  std::shared_ptr<const ImagePixels> image;  // at its target size
  MediaFingerprint fingerprint{};

  int end() const { return first + count; }
};

}  // namespace lapidary
