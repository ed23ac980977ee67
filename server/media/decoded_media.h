// What decoding makes of a file, and how large the file and that may be.
#pragma once

#include <cstdint>
#include <vector>

namespace lapidary {

// As the official processor sees it: upright, alpha dropped, gray replicated.
struct DecodedImage {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;  // [height, width, 3]
};

// 16 kHz, one channel (the mean of all), nominally from -1 to 1; every sample is finite. Lossy
// formats may overshoot a little, as they do in FFmpeg.
struct DecodedAudio {
  std::vector<float> samples;
};

struct DecodedVideo {
  int width = 0, height = 0;
  double fps = 0;                // of the file; 24 where it says nothing
  int64_t n_file_frames = 0;     // in the file
  std::vector<int32_t> indices;  // [n_frames], rising; of the taken frames in the file
  std::vector<uint8_t> rgb;      // [n_frames, height, width, 3]
};

constexpr int kDecodedAudioRate = 16000;  // samples a second

// Plain data: goes to the worker as it is. A kind reads only what concerns it.
struct MediaLimits {
  int64_t max_bytes = 64 << 20;            // of the file
  int64_t max_pixels = 33'000'000;         // of an image, or of each frame of a video
  int64_t max_taken_pixels = 100'000'000;  // of all frames that are taken from a video
  int64_t max_audio_samples = 30 * kDecodedAudioRate;
  int64_t max_video_ms = 3'600'000;
  int32_t max_aspect = 200;           // longer side over shorter, images and videos
  int32_t max_frames = 32;            // to take from a video
  int32_t max_file_frames = 200'000;  // in the file of a video
  int32_t max_cpu_ms = 20'000;
};

}  // namespace lapidary
