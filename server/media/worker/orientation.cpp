#include "server/media/worker/orientation.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace lapidary {
namespace {

constexpr uint32_t kOrientationTag = 0x0112;
constexpr size_t kEntryBytes = 12;

class ExifReader {
 public:
  explicit ExifReader(std::span<const uint8_t> bytes)
      : bytes_(bytes), little_(bytes.size() > 1 && bytes[0] == 'I') {}

  // 0 behind the end.
  uint32_t number(size_t at, size_t n_bytes) const {
    if (at > bytes_.size() || bytes_.size() - at < n_bytes) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < n_bytes; ++i) {
      value = value << 8 | bytes_[at + (little_ ? n_bytes - 1 - i : i)];
    }
    return value;
  }

 private:
  const std::span<const uint8_t> bytes_;
  const bool little_;
};

// Where a picture that is being turned finds its pixels in the stored one.
struct Walk {
  ptrdiff_t start = 0, next_column = 0, next_row = 0;  // pixels
};

// Of a stored picture of `width` x `height`.
Walk walk_of(int orientation, ptrdiff_t width, ptrdiff_t height) {
  const ptrdiff_t right = width - 1, bottom = (height - 1) * width;
  switch (orientation) {
    case 2:
      return {right, -1, width};
    case 3:
      return {bottom + right, -1, -width};
    case 4:
      return {bottom, 1, -width};
    case 5:
      return {0, width, 1};
    case 6:
      return {bottom, -width, 1};
    case 7:
      return {bottom + right, -width, -1};
    case 8:
      return {right, width, -1};
    default:
      return {0, 1, width};
  }
}

}  // namespace

int exif_orientation(std::span<const uint8_t> exif) {
  const ExifReader reader(exif);
  if (exif.size() < 8 || exif[0] != exif[1] || (exif[0] != 'I' && exif[0] != 'M')) return 1;
  if (reader.number(2, 2) != 42) return 1;
  const size_t folder = reader.number(4, 4);
  const size_t n_entries = reader.number(folder, 2);
  for (size_t i = 0; i < n_entries; ++i) {
    const size_t entry = folder + 2 + i * kEntryBytes;
    if (entry > exif.size()) return 1;
    if (reader.number(entry, 2) != kOrientationTag) continue;
    const uint32_t value = reader.number(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

DecodedImage upright(DecodedImage image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  DecodedImage turned{image.width, image.height, std::vector<uint8_t>(image.rgb.size())};
  if (orientation >= 5) std::swap(turned.width, turned.height);
  const Walk walk = walk_of(orientation, image.width, image.height);
  uint8_t* out = turned.rgb.data();
  for (int y = 0; y < turned.height; ++y) {
    ptrdiff_t from = walk.start + y * walk.next_row;
    for (int x = 0; x < turned.width; ++x, out += 3, from += walk.next_column) {
      std::copy_n(image.rgb.data() + from * 3, 3, out);
    }
  }
  return turned;
}

}  // namespace lapidary
