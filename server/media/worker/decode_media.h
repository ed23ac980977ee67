// From a file's bytes to pixels or samples, whichever its format; what the worker does with each
// request, and what the fuzzer calls. One thread.
#pragma once

#include <cstdint>
#include <span>
#include <variant>

#include "server/media/decoded_media.h"
#include "server/media/media_fault.h"

namespace lapidary {

using MediaResult = std::variant<DecodedImage, DecodedAudio, DecodedVideo, MediaFault>;

// Once, before the sandbox: libraries become silent, and open now what they would open later.
void prepare_decoders();

// Throws nothing: lack of memory is a fault as well.
MediaResult decode_media(MediaKind kind, std::span<const uint8_t> file, const MediaLimits& limits);

}  // namespace lapidary
