// GIF by giflib: the first picture, on a canvas of the background's colour, which also shows where
// the picture is transparent.
#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include <gif_lib.h>

#include "server/media/worker/image_files.h"
#include "server/media/worker/media_error.h"

namespace lapidary {
namespace {

using Bytes = std::span<const uint8_t>;

// Rows of an interlaced picture come in four rounds.
constexpr int kFirstRow[] = {0, 4, 2, 1};
constexpr int kRowStep[] = {8, 8, 4, 2};

int on_read(GifFileType* gif, GifByteType* out, int size) {
  auto& rest = *static_cast<Bytes*>(gif->UserData);
  const size_t n = std::min(rest.size(), static_cast<size_t>(std::max(size, 0)));
  if (n > 0) std::memcpy(out, rest.data(), n);
  rest = rest.subspan(n);
  return static_cast<int>(n);
}

struct Close {
  void operator()(GifFileType* gif) const { DGifCloseFile(gif, nullptr); }
};
using Gif = std::unique_ptr<GifFileType, Close>;

void expect(int result) {
  if (result == GIF_ERROR) throw MediaError{MediaFault::damaged};
}

// Stands before the first picture. The index of the transparent colour, if there is one.
std::optional<int> skip_to_picture(GifFileType* gif) {
  std::optional<int> transparent;
  for (;;) {
    GifRecordType type = UNDEFINED_RECORD_TYPE;
    expect(DGifGetRecordType(gif, &type));
    if (type == IMAGE_DESC_RECORD_TYPE) return transparent;
    if (type != EXTENSION_RECORD_TYPE) throw MediaError{MediaFault::damaged};
    int code = 0;
    GifByteType* block = nullptr;
    expect(DGifGetExtension(gif, &code, &block));
    GraphicsControlBlock control;
    if (code == GRAPHICS_EXT_FUNC_CODE && block != nullptr &&
        DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK) {
      transparent.reset();
      if (control.TransparentColor != NO_TRANSPARENT_COLOR) transparent = control.TransparentColor;
    }
    while (block != nullptr) expect(DGifGetExtensionNext(gif, &block));
  }
}

// Black where a map has no such colour.
GifColorType colour(const ColorMapObject* map, int index) {
  if (map == nullptr || index < 0 || index >= map->ColorCount) return {0, 0, 0};
  return map->Colors[index];
}

class Canvas {
 public:
  Canvas(const GifFileType& gif, std::optional<int> transparent, DecodedImage& image)
      : place_(gif.Image),
        map_(gif.Image.ColorMap != nullptr ? gif.Image.ColorMap : gif.SColorMap),
        transparent_(transparent),
        image_(image) {
    const GifColorType background = colour(gif.SColorMap, gif.SBackGroundColor);
    for (size_t i = 0; i < image.rgb.size(); i += 3) put(&image.rgb[i], background);
  }

  // What lies outside the canvas is not seen.
  void draw(const std::vector<GifPixelType>& row, int row_of_picture) {
    const int64_t y = int64_t{place_.Top} + row_of_picture;
    if (y < 0 || y >= image_.height) return;
    for (int i = 0; i < place_.Width; ++i) {
      const int64_t x = int64_t{place_.Left} + i;
      if (x < 0 || x >= image_.width || transparent_ == row[static_cast<size_t>(i)]) continue;
      put(&image_.rgb[static_cast<size_t>(y * image_.width + x) * 3],
          colour(map_, row[static_cast<size_t>(i)]));
    }
  }

 private:
  static void put(uint8_t* rgb, const GifColorType& c) {
    rgb[0] = c.Red;
    rgb[1] = c.Green;
    rgb[2] = c.Blue;
  }

  const GifImageDesc& place_;
  const ColorMapObject* const map_;
  const std::optional<int> transparent_;
  DecodedImage& image_;
};

}  // namespace

DecodedImage decode_gif(std::span<const uint8_t> file, const MediaLimits& limits) {
  Bytes rest = file;
  int error = 0;
  const Gif gif(DGifOpen(&rest, on_read, &error));
  if (gif == nullptr) throw MediaError{MediaFault::damaged};
  const std::optional<int> transparent = skip_to_picture(gif.get());
  expect(DGifGetImageDesc(gif.get()));
  const GifImageDesc& place = gif->Image;
  if (place.Width < 1 || place.Height < 1) throw MediaError{MediaFault::damaged};
  DecodedImage image{std::max(gif->SWidth, place.Width), std::max(gif->SHeight, place.Height), {}};
  check_picture_size(image.width, image.height, limits);
  image.rgb.resize(size_t{3} * image.width * image.height);
  Canvas canvas(*gif, transparent, image);
  std::vector<GifPixelType> row(static_cast<size_t>(place.Width));
  const int n_rounds = place.Interlace ? 4 : 1;
  for (int round = 0; round < n_rounds; ++round) {
    const int step = place.Interlace ? kRowStep[round] : 1;
    for (int y = place.Interlace ? kFirstRow[round] : 0; y < place.Height; y += step) {
      expect(DGifGetLine(gif.get(), row.data(), place.Width));
      canvas.draw(row, y);
    }
  }
  return image;
}

}  // namespace lapidary
