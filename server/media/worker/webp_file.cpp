// WebP by libwebp: the colour under transparent pixels stays. Of an animation the first picture,
// on a canvas that is black where it does not reach. Exif is not looked at, as in torchvision.
#include <webp/decode.h>
#include <webp/demux.h>

#include <cstring>
#include <memory>

#include "server/media/worker/image_files.h"
#include "server/media/worker/media_error.h"

namespace lapidary {
namespace {

struct DeleteAnimation {
  void operator()(WebPAnimDecoder* decoder) const { WebPAnimDecoderDelete(decoder); }
};

void decode_first_frame(std::span<const uint8_t> file, DecodedImage& image) {
  WebPAnimDecoderOptions options;
  if (WebPAnimDecoderOptionsInit(&options) == 0) throw MediaError{MediaFault::damaged};
  options.color_mode = MODE_RGBA;
  options.use_threads = 0;
  const WebPData data{file.data(), file.size()};
  const std::unique_ptr<WebPAnimDecoder, DeleteAnimation> decoder(
      WebPAnimDecoderNew(&data, &options));
  WebPAnimInfo info{};
  const bool same_size = decoder != nullptr && WebPAnimDecoderGetInfo(decoder.get(), &info) != 0 &&
                         info.canvas_width == static_cast<uint32_t>(image.width) &&
                         info.canvas_height == static_cast<uint32_t>(image.height);
  uint8_t* rgba = nullptr;
  int timestamp = 0;
  if (!same_size || WebPAnimDecoderGetNext(decoder.get(), &rgba, &timestamp) == 0) {
    throw MediaError{MediaFault::damaged};
  }
  uint8_t* rgb = image.rgb.data();
  for (size_t left = size_t{1} * image.width * image.height; left > 0; --left) {
    std::memcpy(rgb, rgba, 3);
    rgb += 3;
    rgba += 4;
  }
}

}  // namespace

DecodedImage decode_webp(std::span<const uint8_t> file, const MediaLimits& limits) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(file.data(), file.size(), &features) != VP8_STATUS_OK) {
    throw MediaError{MediaFault::damaged};
  }
  check_picture_size(features.width, features.height, limits);
  DecodedImage image{features.width, features.height, {}};
  image.rgb.resize(size_t{3} * image.width * image.height);
  if (features.has_animation != 0) {
    decode_first_frame(file, image);
  } else if (WebPDecodeRGBInto(file.data(), file.size(), image.rgb.data(), image.rgb.size(),
                               image.width * 3) == nullptr) {
    throw MediaError{MediaFault::damaged};
  }
  return image;
}

}  // namespace lapidary
