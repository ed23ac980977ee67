// What a file is, by its first bytes; what a client or a name says counts for nothing. Reads no
// more than the first 64 bytes. Pure, any thread.
#pragma once

#include <cstdint>
#include <span>

namespace lapidary {

enum class MediaKind : uint32_t { image = 1, audio = 2, video = 3 };

enum class MediaFormat {
  unknown,
  // Decoded here.
  png,
  jpeg,
  webp,
  gif,
  wav,
  mp3,
  flac,
  ogg,
  mp4,   // and MOV, M4A: the same boxes
  webm,  // and Matroska
  // Known so that a refusal can name them.
  bmp,
  tiff,
  xml,  // SVG among it
  jpeg_2000,
  jpeg_xl,
  heif,
  avif,
  icon,
  photoshop,
  pdf,
  avi,
  aac,
  playlist,
};

MediaFormat find_media_format(std::span<const uint8_t> bytes);

// As a sentence has it: "PNG".
const char* media_format_name(MediaFormat format);

// Whether files of this format are decoded where this kind is asked for.
bool is_format_of(MediaFormat format, MediaKind kind);

}  // namespace lapidary
