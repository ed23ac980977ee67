// Video: which frames are taken, how they look, and limits. Each frame's gray says which it is.
#include <cstdlib>

#include "tests/catch.h"
#include "tests/server/av_maker.h"
#include "tests/server/media_world.h"

namespace lapidary {
namespace {

constexpr int kWidth = 66, kHeight = 50;

std::vector<uint8_t> rising(int n_frames) {
  std::vector<uint8_t> lumas;
  for (int i = 0; i < n_frames; ++i) lumas.push_back(static_cast<uint8_t>(20 + i * 200 / n_frames));
  return lumas;
}

// Of limited range, as it is in videos.
int gray_of(int luma) { return (luma - 16) * 255 / 219; }

void check_frames(const DecodedVideo& video, const std::vector<uint8_t>& lumas) {
  const size_t frame_bytes = size_t{3} * kWidth * kHeight;
  REQUIRE(video.rgb.size() == frame_bytes * video.indices.size());
  size_t n_wrong = 0;
  for (size_t i = 0; i < video.indices.size(); ++i) {
    const int wanted = gray_of(lumas[static_cast<size_t>(video.indices[i])]);
    for (size_t j = 0; j < frame_bytes; j += 997) {
      n_wrong += std::abs(video.rgb[i * frame_bytes + j] - wanted) > 3 ? 1 : 0;
    }
  }
  CHECK(n_wrong == 0);
}

}  // namespace

TEST_CASE("frames are taken evenly from videos of every format", "[server][media]") {
  struct Case {
    const char *muxer, *encoder;
    int n_frames, n_taken;
  };
  constexpr Case kCases[] = {{"mp4", "libx264", 50, 32},     {"mov", "libx264", 10, 10},
                             {"mp4", "mpeg4", 33, 32},       {"webm", "libvpx", 40, 32},
                             {"webm", "libvpx-vp9", 12, 12}, {"mp4", "libaom-av1", 3, 3}};
  for (const Case& c : kCases) {
    INFO(c.muxer << " " << c.encoder);
    const std::vector<uint8_t> lumas = rising(c.n_frames);
    const Bytes file = make_video_file(c.muxer, c.encoder, kWidth, kHeight, 25, lumas);
    if (file.empty()) {
      WARN("this FFmpeg has no encoder " << c.encoder);
      continue;
    }
    const auto answer = shared_decoder().video(file, {});
    CHECK(fault_of(answer) == MediaFault::none);
    const auto* video = std::get_if<DecodedVideo>(&answer);
    if (video == nullptr) continue;
    CHECK(video->width == kWidth);
    CHECK(video->height == kHeight);
    CHECK(video->fps == Approx(25).epsilon(0.001));
    CHECK(video->n_file_frames == c.n_frames);
    REQUIRE(video->indices.size() == static_cast<size_t>(c.n_taken));
    for (int i = 0; i < c.n_taken; ++i) {
      CHECK(video->indices[static_cast<size_t>(i)] == i * c.n_frames / c.n_taken);
    }
    check_frames(*video, lumas);
  }
}

TEST_CASE("videos have limits", "[server][media]") {
  const Bytes file = make_video_file("mp4", "mpeg4", kWidth, kHeight, 25, rising(50));
  const auto fault = [&](const MediaLimits& limits) {
    return fault_of(shared_decoder().video(file, limits));
  };
  MediaLimits limits;
  limits.max_file_frames = 49;
  CHECK(fault(limits) == MediaFault::too_many_frames);
  limits = {};
  limits.max_pixels = kWidth * kHeight - 1;
  CHECK(fault(limits) == MediaFault::too_many_pixels);
  limits = {};
  limits.max_taken_pixels = kWidth * kHeight * 31;
  CHECK(fault(limits) == MediaFault::too_many_together);
  limits.max_frames = 31;
  CHECK(fault(limits) == MediaFault::none);
  limits = {};
  limits.max_video_ms = 1999;
  CHECK(fault(limits) == MediaFault::too_long);
  limits.max_video_ms = 2000;
  CHECK(fault(limits) == MediaFault::none);
}

TEST_CASE("a video that is cut short is refused or gives the frames that are there",
          "[server][media]") {
  const std::vector<uint8_t> lumas = rising(40);
  const Bytes file = make_video_file("webm", "libvpx", kWidth, kHeight, 25, lumas);
  int n_decoded = 0;
  for (int tenths = 1; tenths < 10; ++tenths) {
    const auto answer = shared_decoder().video(
        std::span(file).first(file.size() * static_cast<size_t>(tenths) / 10), {});
    CHECK(fault_of(answer) != MediaFault::crashed);
    const auto* video = std::get_if<DecodedVideo>(&answer);
    if (video == nullptr) continue;
    ++n_decoded;
    CHECK(video->n_file_frames <= 40);
  }
  CHECK(n_decoded > 0);
  const Bytes audio = make_audio_file("mp4", "aac", std::vector<float>(16'000), 16'000, 1);
  CHECK(fault_of(shared_decoder().video(audio, {})) == MediaFault::no_track);
}

}  // namespace lapidary
