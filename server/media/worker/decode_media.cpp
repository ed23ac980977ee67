#include "server/media/worker/decode_media.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <new>
#include <stdexcept>

#include "server/media/worker/av_file.h"
#include "server/media/worker/image_files.h"
#include "server/media/worker/media_error.h"

namespace lapidary {
namespace {

DecodedImage decode_image(std::span<const uint8_t> file, const MediaLimits& limits) {
  switch (find_media_format(file)) {
    case MediaFormat::png:
      return decode_png(file, limits);
    case MediaFormat::jpeg:
      return decode_jpeg(file, limits);
    case MediaFormat::webp:
      return decode_webp(file, limits);
    case MediaFormat::gif:
      return decode_gif(file, limits);
    default:
      throw MediaError{MediaFault::damaged};  // the server asks for no other
  }
}

MediaResult decode(MediaKind kind, std::span<const uint8_t> file, const MediaLimits& limits) {
  switch (kind) {
    case MediaKind::image:
      return decode_image(file, limits);
    case MediaKind::audio:
      return decode_audio(file, limits);
    case MediaKind::video:
      return decode_video(file, limits);
  }
  return MediaFault::damaged;
}

}  // namespace

void prepare_decoders() {
  // Dates in files would have the C library look for a time zone.
  ::setenv("TZ", "UTC0", 1);
  ::tzset();
  prepare_av();
}

MediaResult decode_media(MediaKind kind, std::span<const uint8_t> file, const MediaLimits& limits) {
  try {
    return decode(kind, file, limits);
  } catch (const MediaError& error) {
    return error.fault;
  } catch (const std::bad_alloc&) {
    return MediaFault::out_of_memory;
  } catch (const std::length_error&) {
    return MediaFault::out_of_memory;
  }
}

void check_picture_size(int64_t width, int64_t height, const MediaLimits& limits) {
  if (width < 1 || height < 1) throw MediaError{MediaFault::damaged};
  if (width > limits.max_pixels / height) throw MediaError{MediaFault::too_many_pixels};
  if (std::max(width, height) > std::min(width, height) * limits.max_aspect) {
    throw MediaError{MediaFault::too_elongated};
  }
}

}  // namespace lapidary
