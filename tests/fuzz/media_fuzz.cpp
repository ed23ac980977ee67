// Files and what the two sides of a worker's socket say. The first byte, a digit, picks: 0 to 2 a
// file as image, audio or video, through the decoders as the worker calls them, but in this
// process, so that sanitizers see them; what comes out must be an answer that the server would
// accept. 3: a request's head and an answer's head, any bytes: what is accepted must be safe to
// take memory for.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <variant>

#include "kernels/check.h"
#include "server/media/media_wire.h"
#include "server/media/worker/decode_media.h"

namespace lapidary {
namespace {

MediaLimits limits() {
  MediaLimits limits;
  limits.max_pixels = 1 << 16;
  limits.max_taken_pixels = 1 << 18;
  limits.max_audio_samples = kDecodedAudioRate;
  limits.max_file_frames = 100;
  limits.max_frames = 4;
  return limits;
}

// As the worker's main writes it.
MediaAnswerHead head_of(const MediaResult& result) {
  MediaAnswerHead head;
  if (const auto* image = std::get_if<DecodedImage>(&result)) {
    head.width = image->width;
    head.height = image->height;
    head.n_frames = 1;
    head.n_bytes = static_cast<int64_t>(image->rgb.size());
  } else if (const auto* audio = std::get_if<DecodedAudio>(&result)) {
    head.n_samples = static_cast<int64_t>(audio->samples.size());
    head.n_bytes = head.n_samples * 4;
  } else if (const auto* video = std::get_if<DecodedVideo>(&result)) {
    head.width = video->width;
    head.height = video->height;
    head.n_frames = static_cast<int32_t>(video->indices.size());
    head.n_file_frames = video->n_file_frames;
    head.fps = video->fps;
    head.n_bytes = static_cast<int64_t>(video->rgb.size() + video->indices.size() * 4);
  } else {
    head.fault = std::get<MediaFault>(result);
    CHECK(head.fault != MediaFault::none);
  }
  return head;
}

void decode(MediaKind kind, std::span<const uint8_t> file) {
  if (!is_format_of(find_media_format(file), kind)) return;
  MediaRequestHead request;
  request.kind = kind;
  request.n_bytes = static_cast<int64_t>(file.size());
  request.limits = limits();
  CHECK(is_valid(request));
  CHECK(is_valid(head_of(decode_media(kind, file, request.limits)), request));
}

void read_heads(std::span<const uint8_t> bytes) {
  MediaRequestHead request;
  MediaAnswerHead answer;
  if (bytes.size() < sizeof request + sizeof answer) return;
  std::memcpy(&request, bytes.data(), sizeof request);
  std::memcpy(&answer, bytes.data() + sizeof request, sizeof answer);
  if (!is_valid(request)) return;
  CHECK(request.n_bytes > 0 && request.n_bytes <= kMaxMediaBytes);
  if (!is_valid(answer, request)) return;
  CHECK(answer.n_bytes >= 0 && answer.n_bytes <= kMaxMediaPixels * 3 + kMaxMediaFrames * 4);
  if (answer.fault == MediaFault::none) CHECK(answer.n_bytes > 0);
}

}  // namespace
}  // namespace lapidary

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using lapidary::MediaKind;
  static const bool prepared = (lapidary::prepare_decoders(), true);
  if (size < 2 || !prepared) return 0;
  const std::span<const uint8_t> rest(data + 1, size - 1);
  switch ((data[0] - '0') & 3) {
    case 0:
      lapidary::decode(MediaKind::image, rest);
      break;
    case 1:
      lapidary::decode(MediaKind::audio, rest);
      break;
    case 2:
      lapidary::decode(MediaKind::video, rest);
      break;
    default:
      lapidary::read_heads(rest);
      break;
  }
  return 0;
}
