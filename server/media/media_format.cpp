#include "server/media/media_format.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace lapidary {
namespace {

using std::string_view_literals::operator""sv;

struct Magic {
  size_t offset;
  std::string_view bytes;
  MediaFormat format;
};

// The first that fits counts.
constexpr Magic kMagics[] = {
    {0, "\x89PNG\r\n\x1a\n"sv, MediaFormat::png},
    {0, "\xff\xd8\xff"sv, MediaFormat::jpeg},
    {0, "GIF87a"sv, MediaFormat::gif},
    {0, "GIF89a"sv, MediaFormat::gif},
    {0, "fLaC"sv, MediaFormat::flac},
    {0, "OggS"sv, MediaFormat::ogg},
    {0, "\x1a\x45\xdf\xa3"sv, MediaFormat::webm},
    {0, "ID3"sv, MediaFormat::mp3},
    {4, "moov"sv, MediaFormat::mp4},
    {4, "mdat"sv, MediaFormat::mp4},
    {4, "wide"sv, MediaFormat::mp4},
    {0, "BM"sv, MediaFormat::bmp},
    {0, "II*\0"sv, MediaFormat::tiff},
    {0, "MM\0*"sv, MediaFormat::tiff},
    {0, "II+\0"sv, MediaFormat::tiff},
    {0, "MM\0+"sv, MediaFormat::tiff},
    {0, "\0\0\0\x0cjP  "sv, MediaFormat::jpeg_2000},
    {0, "\xff\x4f\xff\x51"sv, MediaFormat::jpeg_2000},
    {0, "\0\0\0\x0cJXL "sv, MediaFormat::jpeg_xl},
    {0, "\xff\x0a"sv, MediaFormat::jpeg_xl},
    {0, "\0\0\1\0"sv, MediaFormat::icon},
    {0, "8BPS"sv, MediaFormat::photoshop},
    {0, "%PDF"sv, MediaFormat::pdf},
    {0, "#EXTM3U"sv, MediaFormat::playlist},
    {0, "ffconcat"sv, MediaFormat::playlist},
};

MediaFormat riff_format(std::string_view form) {
  if (form == "WEBP") return MediaFormat::webp;
  if (form == "WAVE") return MediaFormat::wav;
  if (form == "AVI ") return MediaFormat::avi;
  return MediaFormat::unknown;
}

MediaFormat brand_format(std::string_view brand) {
  constexpr std::array kHeif = {"heic"sv, "heix"sv, "heim"sv, "heis"sv,
                                "hevc"sv, "hevx"sv, "mif1"sv, "msf1"sv};
  if (brand == "avif" || brand == "avis") return MediaFormat::avif;
  if (std::find(kHeif.begin(), kHeif.end(), brand) != kHeif.end()) return MediaFormat::heif;
  return MediaFormat::mp4;
}

// A frame's first two bytes: eleven set bits, then version and layer; layer 0 is AAC's.
MediaFormat frame_sync_format(std::string_view text) {
  if (text.size() < 2 || text[0] != '\xff') return MediaFormat::unknown;
  const auto second = static_cast<uint8_t>(text[1]);
  if ((second & 0xF6) == 0xF0) return MediaFormat::aac;
  const bool is_frame = (second & 0xE0) == 0xE0 && (second & 0x18) != 0x08 && (second & 0x06) != 0;
  return is_frame ? MediaFormat::mp3 : MediaFormat::unknown;
}

bool is_xml(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  return text.starts_with("<?xml") || text.starts_with("<svg") || text.starts_with("<!DOCTYPE") ||
         text.starts_with("<!--") || text.starts_with("<MPD") || text.starts_with("<smil");
}

}  // namespace

MediaFormat find_media_format(std::span<const uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                              std::min<size_t>(bytes.size(), 64));
  if (text.size() >= 12 && text.starts_with("RIFF")) return riff_format(text.substr(8, 4));
  if (text.size() >= 12 && text.substr(4, 4) == "ftyp") return brand_format(text.substr(8, 4));
  for (const Magic& magic : kMagics) {
    if (text.size() > magic.offset && text.substr(magic.offset).starts_with(magic.bytes)) {
      return magic.format;
    }
  }
  if (is_xml(text)) return MediaFormat::xml;
  return frame_sync_format(text);
}

const char* media_format_name(MediaFormat format) {
  switch (format) {
    case MediaFormat::unknown:
      return "unknown";
    case MediaFormat::png:
      return "PNG";
    case MediaFormat::jpeg:
      return "JPEG";
    case MediaFormat::webp:
      return "WebP";
    case MediaFormat::gif:
      return "GIF";
    case MediaFormat::wav:
      return "WAV";
    case MediaFormat::mp3:
      return "MP3";
    case MediaFormat::flac:
      return "FLAC";
    case MediaFormat::ogg:
      return "OGG";
    case MediaFormat::mp4:
      return "MP4";
    case MediaFormat::webm:
      return "WebM";
    case MediaFormat::bmp:
      return "BMP";
    case MediaFormat::tiff:
      return "TIFF";
    case MediaFormat::xml:
      return "SVG or XML";
    case MediaFormat::jpeg_2000:
      return "JPEG 2000";
    case MediaFormat::jpeg_xl:
      return "JPEG XL";
    case MediaFormat::heif:
      return "HEIC";
    case MediaFormat::avif:
      return "AVIF";
    case MediaFormat::icon:
      return "ICO";
    case MediaFormat::photoshop:
      return "PSD";
    case MediaFormat::pdf:
      return "PDF";
    case MediaFormat::avi:
      return "AVI";
    case MediaFormat::aac:
      return "AAC without a container";
    case MediaFormat::playlist:
      return "a playlist";
  }
  return "unknown";
}

bool is_format_of(MediaFormat format, MediaKind kind) {
  switch (format) {
    case MediaFormat::png:
    case MediaFormat::jpeg:
    case MediaFormat::webp:
    case MediaFormat::gif:
      return kind == MediaKind::image;
    case MediaFormat::wav:
    case MediaFormat::mp3:
    case MediaFormat::flac:
    case MediaFormat::ogg:
      return kind == MediaKind::audio;
    case MediaFormat::mp4:
    case MediaFormat::webm:
      return kind == MediaKind::audio || kind == MediaKind::video;
    default:
      return false;
  }
}

}  // namespace lapidary
