#include "server/media/worker/orientation.h"

#include <algorithm>
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

// Where the pixel at (x, y) of an upright picture of `width` x `height` lies in the stored one.
std::pair<int, int> stored_at(int orientation, int x, int y, int width, int height) {
  const int right = width - 1 - x, below = height - 1 - y;
  switch (orientation) {
    case 2:
      return {right, y};
    case 3:
      return {right, below};
    case 4:
      return {x, below};
    case 5:
      return {y, x};
    case 6:
      return {y, right};
    case 7:
      return {below, right};
    case 8:
      return {below, x};
    default:
      return {x, y};
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
  uint8_t* out = turned.rgb.data();
  for (int y = 0; y < turned.height; ++y) {
    for (int x = 0; x < turned.width; ++x, out += 3) {
      const auto [from_x, from_y] = stored_at(orientation, x, y, turned.width, turned.height);
      const size_t from = (static_cast<size_t>(from_y) * image.width + from_x) * 3;
      std::copy_n(&image.rgb[from], 3, out);
    }
  }
  return turned;
}

}  // namespace lapidary
