// PNG by libpng: alpha dropped, gray replicated, the high byte of 16 bits. Of an APNG the picture
// that every PNG has.
#include <csetjmp>
#include <cstring>

#include <png.h>

#include "server/media/worker/image_files.h"
#include "server/media/worker/media_error.h"
#include "server/media/worker/orientation.h"

namespace lapidary {
namespace {

// Never read: text, profiles and suggestions could be bombs of their own.
constexpr char kPassedOver[] = "iCCP\0tEXt\0zTXt\0iTXt\0sPLT\0hIST\0tIME\0pCAL\0sCAL";
constexpr int kNPassedOver = sizeof kPassedOver / 5;
constexpr png_alloc_size_t kMaxChunkBytes = 8 << 20;

// No member function that sets the jump has anything to destroy.
class PngReader {
 public:
  explicit PngReader(std::span<const uint8_t> file) : rest_(file) {}
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  bool read_head() {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    info_ = png_ != nullptr ? png_create_info_struct(png_) : nullptr;
    if (info_ == nullptr) return false;
    if (setjmp(jump_) != 0) return false;
    png_set_read_fn(png_, this, on_read);
    png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_chunk_malloc_max(png_, kMaxChunkBytes);
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER,
                                reinterpret_cast<png_const_bytep>(kPassedOver), kNPassedOver);
    png_read_info(png_, info_);
    return true;
  }

  // `rgb`: [height, width, 3].
  bool read_rows(uint8_t* rgb) {
    if (setjmp(jump_) != 0) return false;
    const int type = png_get_color_type(png_, info_);
    if (png_get_bit_depth(png_, info_) == 16) png_set_strip_16(png_);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
    if ((type & PNG_COLOR_MASK_COLOR) == 0) {
      png_set_expand_gray_1_2_4_to_8(png_);
      png_set_gray_to_rgb(png_);
    }
    png_set_strip_alpha(png_);
    const int n_passes = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    const size_t row_bytes = static_cast<size_t>(width()) * 3;
    if (png_get_rowbytes(png_, info_) != row_bytes) return false;
    for (int pass = 0; pass < n_passes; ++pass) {
      for (int64_t y = 0; y < height(); ++y) png_read_row(png_, rgb + y * row_bytes, nullptr);
    }
    return true;
  }

  int64_t width() const { return png_get_image_width(png_, info_); }
  int64_t height() const { return png_get_image_height(png_, info_); }

  int orientation() const {
    png_uint_32 n_bytes = 0;
    png_bytep exif = nullptr;
    if (png_get_eXIf_1(png_, info_, &n_bytes, &exif) == 0) return 1;
    return exif_orientation({exif, n_bytes});
  }

 private:
  [[noreturn]] static void on_error(png_structp png, png_const_charp) {
    std::longjmp(static_cast<PngReader*>(png_get_error_ptr(png))->jump_, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}
  static void on_read(png_structp png, png_bytep out, size_t size) {
    auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
    if (size > reader->rest_.size()) png_error(png, "");
    std::memcpy(out, reader->rest_.data(), size);
    reader->rest_ = reader->rest_.subspan(size);
  }

  std::span<const uint8_t> rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::jmp_buf jump_;
};

}  // namespace

DecodedImage decode_png(std::span<const uint8_t> file, const MediaLimits& limits) {
  PngReader reader(file);
  if (!reader.read_head()) throw MediaError{MediaFault::damaged};
  check_picture_size(reader.width(), reader.height(), limits);
  DecodedImage image{static_cast<int>(reader.width()), static_cast<int>(reader.height()), {}};
  image.rgb.resize(size_t{3} * image.width * image.height);
  if (!reader.read_rows(image.rgb.data())) throw MediaError{MediaFault::damaged};
  return upright(std::move(image), reader.orientation());
}

}  // namespace lapidary
