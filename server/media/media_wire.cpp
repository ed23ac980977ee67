#include "server/media/media_wire.h"

#include <algorithm>
#include <cmath>

namespace lapidary {
namespace {

bool is_between(int64_t value, int64_t low, int64_t high) { return value >= low && value <= high; }

// An answer's picture: its size is one that was allowed.
bool is_allowed_size(const MediaAnswerHead& answer, const MediaLimits& limits) {
  const int64_t width = answer.width, height = answer.height;
  return width >= 1 && height >= 1 && width * height <= limits.max_pixels &&
         std::max(width, height) <= std::min(width, height) * limits.max_aspect;
}

bool is_valid_image(const MediaAnswerHead& answer, const MediaLimits& limits) {
  return is_allowed_size(answer, limits) && answer.n_frames == 1 && answer.n_samples == 0 &&
         answer.n_bytes == int64_t{answer.width} * answer.height * 3;
}

bool is_valid_audio(const MediaAnswerHead& answer, const MediaLimits& limits) {
  return answer.width == 0 && answer.height == 0 && answer.n_frames == 0 &&
         is_between(answer.n_samples, 1, limits.max_audio_samples) &&
         answer.n_bytes == answer.n_samples * int64_t{sizeof(float)};
}

bool is_valid_video(const MediaAnswerHead& answer, const MediaLimits& limits) {
  if (!is_allowed_size(answer, limits) || answer.n_samples != 0) return false;
  if (!is_between(answer.n_frames, 1, limits.max_frames)) return false;
  if (!is_between(answer.n_file_frames, answer.n_frames, limits.max_file_frames)) return false;
  if (!std::isfinite(answer.fps) || answer.fps <= 0) return false;
  const int64_t pixels = int64_t{answer.width} * answer.height * answer.n_frames;
  return pixels <= limits.max_taken_pixels &&
         answer.n_bytes == pixels * 3 + answer.n_frames * int64_t{sizeof(int32_t)};
}

}  // namespace

bool is_valid(const MediaRequestHead& request) {
  const MediaLimits& limits = request.limits;
  return request.magic == kMediaMagic &&
         is_between(static_cast<int64_t>(request.kind), static_cast<int64_t>(MediaKind::image),
                    static_cast<int64_t>(MediaKind::video)) &&
         is_between(limits.max_bytes, 1, kMaxMediaBytes) &&
         is_between(request.n_bytes, 1, limits.max_bytes) &&
         is_between(limits.max_pixels, 1, kMaxMediaPixels) &&
         is_between(limits.max_taken_pixels, 1, kMaxMediaPixels) &&
         is_between(limits.max_audio_samples, 1, kMaxMediaSamples) &&
         is_between(limits.max_video_ms, 1, int64_t{1} << 40) &&
         is_between(limits.max_aspect, 1, 1 << 20) &&
         is_between(limits.max_frames, 1, kMaxMediaFrames) &&
         is_between(limits.max_file_frames, 1, INT32_MAX) &&
         is_between(limits.max_cpu_ms, 1, 3'600'000);
}

bool is_valid(const MediaAnswerHead& answer, const MediaRequestHead& request) {
  if (answer.magic != kMediaMagic || answer.unused != 0) return false;
  if (answer.fault != MediaFault::none) {
    return answer.fault <= kLastWorkerFault && answer.n_bytes == 0;
  }
  switch (request.kind) {
    case MediaKind::image:
      return is_valid_image(answer, request.limits);
    case MediaKind::audio:
      return is_valid_audio(answer, request.limits);
    case MediaKind::video:
      return is_valid_video(answer, request.limits);
  }
  return false;
}

}  // namespace lapidary
