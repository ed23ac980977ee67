#include "server/media/media_fault.h"

namespace lapidary {
namespace {

std::string noun(MediaKind kind) {
  switch (kind) {
    case MediaKind::image:
      return "image";
    case MediaKind::audio:
      return "audio";
    case MediaKind::video:
      return "video";
  }
  return "file";
}

std::string taken_formats(MediaKind kind) {
  switch (kind) {
    case MediaKind::image:
      return "PNG, JPEG, WebP or GIF";
    case MediaKind::audio:
      return "WAV, MP3, FLAC, OGG or M4A";
    case MediaKind::video:
      return "MP4, WebM or MOV";
  }
  return "";
}

std::string format_sentence(MediaKind kind, MediaFormat format) {
  const std::string known = "; send " + taken_formats(kind) + ".";
  if (format == MediaFormat::unknown) {
    return "The data is no " + noun(kind) + " of a format that is read here" + known;
  }
  return "The data is " + std::string(media_format_name(format)) + ", which is not read as " +
         noun(kind) + known;
}

std::string seconds(int64_t ms) {
  std::string text = std::to_string(ms / 1000);
  if (ms % 1000 != 0) text += "." + std::to_string(ms % 1000 + 1000).substr(1);
  return text + " s";
}

std::string longest(MediaKind kind, const MediaLimits& limits) {
  return seconds(kind == MediaKind::audio ? limits.max_audio_samples * 1000 / kDecodedAudioRate
                                          : limits.max_video_ms);
}

std::string of_track(MediaKind kind) {
  return kind == MediaKind::audio ? "MP3, FLAC, Vorbis, Opus, AAC or PCM, 4 to 384 kHz, up to 8 "
                                    "channels"
                                  : "H.264, HEVC, VP8, VP9, AV1 or MPEG-4";
}

}  // namespace

std::string media_fault_sentence(MediaFault fault, MediaKind kind, const MediaLimits& limits,
                                 MediaFormat format) {
  const std::string the = "The " + noun(kind);
  switch (fault) {
    case MediaFault::none:
      break;
    case MediaFault::damaged:
      return the + " is damaged or incomplete.";
    case MediaFault::too_many_pixels:
      return the + " has more than " + std::to_string(limits.max_pixels) + " pixels" +
             (kind == MediaKind::video ? " a frame." : ".");
    case MediaFault::too_many_together:
      return "The frames taken from the video would have more than " +
             std::to_string(limits.max_taken_pixels) + " pixels together.";
    case MediaFault::too_elongated:
      return the + " has one side more than " + std::to_string(limits.max_aspect) +
             " times as long as the other.";
    case MediaFault::too_long:
      return the + " is longer than " + longest(kind, limits) + ".";
    case MediaFault::too_many_frames:
      return the + " has more than " + std::to_string(limits.max_file_frames) + " frames.";
    case MediaFault::no_track:
      return "The file has no " + noun(kind) + " track.";
    case MediaFault::unknown_coding:
      return the + " is coded in a way that is not read here" +
             (kind == MediaKind::image ? "." : "; it reads " + of_track(kind) + ".");
    case MediaFault::not_finite:
      return the + " has samples that are not finite numbers, or too large.";
    case MediaFault::too_complex:
      return the + " takes more work to decode than is allowed.";
    case MediaFault::out_of_memory:
      return the + " takes more memory to decode than is allowed.";
    case MediaFault::wrong_format:
      return format_sentence(kind, format);
    case MediaFault::empty:
      return the + " is empty.";
    case MediaFault::too_many_bytes:
      return the + " has more than " + std::to_string(limits.max_bytes) + " bytes.";
    case MediaFault::too_slow:
      return the + " takes longer to decode than is allowed.";
    case MediaFault::crashed:
      return the + " could not be decoded.";
    case MediaFault::busy:
      return "Too many files are being decoded; try again later.";
    case MediaFault::unavailable:
      return "This server does not decode images, audio and video.";
  }
  return the + " could not be decoded.";
}

}  // namespace lapidary
