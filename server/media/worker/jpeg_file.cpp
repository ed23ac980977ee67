// JPEG by libjpeg-turbo at its defaults (accurate DCT, smooth chroma), CMYK as torchvision does it.
#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>

// After <cstdio>, which it needs.
#include <jerror.h>
#include <jpeglib.h>

#include "server/media/worker/image_files.h"
#include "server/media/worker/media_error.h"
#include "server/media/worker/orientation.h"

namespace lapidary {
namespace {

// Each may go over the whole picture; encoders write about ten.
constexpr int kMaxScans = 100;
constexpr char kExifHead[] = {'E', 'x', 'i', 'f', 0, 0};
constexpr size_t kExifHeadBytes = sizeof kExifHead;

struct Errors {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  MediaFault fault;
};

[[noreturn]] void fail(j_common_ptr decoder, MediaFault fault) {
  auto* errors = reinterpret_cast<Errors*>(decoder->err);
  errors->fault = fault;
  std::longjmp(errors->jump, 1);
}

[[noreturn]] void on_error(j_common_ptr decoder) {
  switch (decoder->err->msg_code) {
    case JERR_OUT_OF_MEMORY:
      fail(decoder, MediaFault::out_of_memory);
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_ARITH_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
      fail(decoder, MediaFault::unknown_coding);
    default:
      fail(decoder, MediaFault::damaged);
  }
}

void on_message(j_common_ptr, int) {}
void on_output(j_common_ptr) {}
void on_source(j_decompress_ptr) {}

// The whole file is in memory: whoever wants more has come to its end too early.
boolean on_more_input(j_decompress_ptr decoder) {
  fail(reinterpret_cast<j_common_ptr>(decoder), MediaFault::damaged);
}

void on_skip(j_decompress_ptr decoder, long n_bytes) {
  if (n_bytes <= 0) return;
  if (static_cast<size_t>(n_bytes) > decoder->src->bytes_in_buffer) on_more_input(decoder);
  decoder->src->next_input_byte += n_bytes;
  decoder->src->bytes_in_buffer -= static_cast<size_t>(n_bytes);
}

void on_progress(j_common_ptr decoder) {
  const auto* reader = reinterpret_cast<j_decompress_ptr>(decoder);
  if (reader->input_scan_number > kMaxScans) fail(decoder, MediaFault::too_complex);
}

// What is left of a channel under black ink. Source: Pillow, Convert.c, by way of torchvision.
uint8_t under_black(int black, int ink) {
  int value = black * ink + 128;
  value = ((value >> 8) + value) >> 8;
  return static_cast<uint8_t>(std::clamp(black - value, 0, 255));
}

// Files hold the inks inverted: Adobe's do, and torchvision takes all for Adobe's.
void inks_to_rgb(const uint8_t* inks, int width, uint8_t* rgb) {
  for (int x = 0; x < width; ++x, inks += 4, rgb += 3) {
    for (int c = 0; c < 3; ++c) rgb[c] = under_black(inks[3], 255 - inks[c]);
  }
}

// No member function that sets the jump has anything to destroy.
class JpegReader {
 public:
  explicit JpegReader(std::span<const uint8_t> file) {
    decoder_.err = jpeg_std_error(&errors_.manager);
    errors_.manager.error_exit = on_error;
    errors_.manager.emit_message = on_message;
    errors_.manager.output_message = on_output;
    source_.init_source = on_source;
    source_.term_source = on_source;
    source_.fill_input_buffer = on_more_input;
    source_.skip_input_data = on_skip;
    source_.resync_to_restart = jpeg_resync_to_restart;
    source_.next_input_byte = file.data();
    source_.bytes_in_buffer = file.size();
    progress_.progress_monitor = on_progress;
  }
  ~JpegReader() { jpeg_destroy_decompress(&decoder_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  bool read_head() {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_create_decompress(&decoder_);
    decoder_.src = &source_;
    decoder_.progress = &progress_;
    jpeg_save_markers(&decoder_, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(&decoder_, TRUE);
    has_inks_ = decoder_.jpeg_color_space == JCS_CMYK || decoder_.jpeg_color_space == JCS_YCCK;
    decoder_.out_color_space = has_inks_ ? JCS_CMYK : JCS_RGB;
    return true;
  }

  // `line`: [width, 4], for files with inks.
  bool read_rows(uint8_t* rgb, uint8_t* line) {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_start_decompress(&decoder_);
    while (decoder_.output_scanline < decoder_.output_height) {
      const size_t row = decoder_.output_scanline;
      uint8_t* const out = rgb + row * decoder_.output_width * 3;
      JSAMPROW to = has_inks_ ? line : out;
      jpeg_read_scanlines(&decoder_, &to, 1);
      if (has_inks_) inks_to_rgb(line, static_cast<int>(decoder_.output_width), out);
    }
    jpeg_finish_decompress(&decoder_);
    return true;
  }

  MediaFault fault() const { return errors_.fault; }
  int64_t width() const { return decoder_.image_width; }
  int64_t height() const { return decoder_.image_height; }
  bool has_inks() const { return has_inks_; }

  // Before read_rows, which forgets it.
  int orientation() const {
    for (auto* marker = decoder_.marker_list; marker != nullptr; marker = marker->next) {
      const std::span<const uint8_t> data(marker->data, marker->data_length);
      if (marker->marker == JPEG_APP0 + 1 && data.size() > kExifHeadBytes &&
          std::memcmp(data.data(), kExifHead, kExifHeadBytes) == 0) {
        return exif_orientation(data.subspan(kExifHeadBytes));
      }
    }
    return 1;
  }

 private:
  jpeg_decompress_struct decoder_{};
  Errors errors_{};
  jpeg_source_mgr source_{};
  jpeg_progress_mgr progress_{};
  bool has_inks_ = false;
};

}  // namespace

DecodedImage decode_jpeg(std::span<const uint8_t> file, const MediaLimits& limits) {
  JpegReader reader(file);
  if (!reader.read_head()) throw MediaError{reader.fault()};
  check_picture_size(reader.width(), reader.height(), limits);
  DecodedImage image{static_cast<int>(reader.width()), static_cast<int>(reader.height()), {}};
  image.rgb.resize(size_t{3} * image.width * image.height);
  std::vector<uint8_t> line(reader.has_inks() ? size_t{4} * image.width : 0);
  const int orientation = reader.orientation();
  if (!reader.read_rows(image.rgb.data(), line.data())) throw MediaError{reader.fault()};
  return upright(std::move(image), orientation);
}

}  // namespace lapidary
