// Audio of every format that is read, made here by FFmpeg's encoders.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "tests/catch.h"
#include "tests/server/av_maker.h"
#include "tests/server/media_world.h"

namespace lapidary {
namespace {

std::vector<float> tone(int rate, double seconds, double hertz = 440) {
  std::vector<float> samples;
  for (int i = 0; i < static_cast<int>(rate * seconds); ++i) {
    samples.push_back(static_cast<float>(0.5 * std::sin(2 * std::numbers::pi * hertz * i / rate)));
  }
  return samples;
}

std::vector<float> decoded(const Bytes& file, const MediaLimits& limits = {}) {
  auto answer = shared_decoder().audio(file, limits);
  CHECK(fault_of(answer) == MediaFault::none);
  if (std::holds_alternative<MediaRefusal>(answer)) return {};
  return std::get<DecodedAudio>(std::move(answer)).samples;
}

// The largest difference between the two, ends aside, where the first may be late by some samples.
double difference(const std::vector<float>& late, const std::vector<float>& wanted, int most_late) {
  const int margin = 2000;
  double best = 1e9;
  for (int shift = 0; shift <= most_late; ++shift) {
    double worst = 0;
    const size_t n = std::min(wanted.size(), late.size() - std::min<size_t>(shift, late.size()));
    for (size_t i = margin; i + margin < n; ++i) {
      worst = std::max(worst, std::abs(double{late[i + shift]} - wanted[i]));
    }
    best = std::min(best, worst);
  }
  return best;
}

std::vector<int16_t> levels(size_t n) {
  std::vector<int16_t> made;
  uint32_t state = 9;
  for (size_t i = 0; i < n; ++i) {
    state = state * 1664525U + 1013904223U;
    made.push_back(static_cast<int16_t>(state >> 16));
  }
  return made;
}

}  // namespace

TEST_CASE("16 kHz PCM comes out as it went in", "[server][media]") {
  std::vector<int16_t> pcm = levels(20'000);
  pcm[0] = -32768;
  pcm[1] = 32767;
  const std::vector<float> samples = decoded(wav(1, 16, 16'000, 1, raw(pcm)));
  REQUIRE(samples.size() == pcm.size());
  size_t n_wrong = 0;
  for (size_t i = 0; i < pcm.size(); ++i) n_wrong += samples[i] != pcm[i] / 32768.0F ? 1 : 0;
  CHECK(n_wrong == 0);
}

TEST_CASE("channels become their mean", "[server][media]") {
  for (const int channels : {2, 3, 6}) {
    INFO(channels);
    const std::vector<int16_t> pcm = levels(static_cast<size_t>(6000 * channels));
    const std::vector<float> samples = decoded(wav(1, 16, 16'000, channels, raw(pcm)));
    REQUIRE(samples.size() == 6000);
    double worst = 0;
    for (size_t i = 0; i < samples.size(); ++i) {
      double mean = 0;
      for (int c = 0; c < channels; ++c) mean += pcm[i * channels + c] / 32768.0 / channels;
      worst = std::max(worst, std::abs(samples[i] - mean));
    }
    CHECK(worst < 1e-6);  // a few roundings of float32
  }
}

TEST_CASE("other rates are resampled", "[server][media]") {
  const std::vector<float> wanted = tone(16'000, 1);
  for (const int rate : {8000, 22'050, 44'100, 48'000}) {
    INFO(rate);
    const std::vector<float> samples = decoded(wav(3, 32, rate, 1, raw(tone(rate, 1))));
    CHECK(std::abs(static_cast<int>(samples.size()) - 16'000) <= 2);
    CHECK(difference(samples, wanted, 0) < 2e-3);  // the filter's ripple
  }
}

TEST_CASE("every format of audio is read", "[server][media]") {
  struct Case {
    const char *muxer, *encoder;
    int rate, channels, most_late;
    double tolerance;
  };
  // Lossy ones lie within what their bit rate can do; none may be late by more than a frame.
  constexpr Case kCases[] = {
      {"flac", "flac", 16'000, 1, 0, 1e-4},      {"wav", "pcm_s24le", 48'000, 2, 0, 2e-3},
      {"mp3", "libmp3lame", 44'100, 2, 0, 0.05}, {"ogg", "libvorbis", 44'100, 2, 0, 0.05},
      {"ogg", "libopus", 48'000, 2, 0, 0.05},    {"mp4", "aac", 44'100, 2, 400, 0.05},
      {"ipod", "aac", 48'000, 1, 400, 0.05},     {"webm", "libopus", 48'000, 1, 0, 0.05},
      {"ogg", "flac", 16'000, 1, 0, 1e-4},
  };
  for (const Case& c : kCases) {
    INFO(c.muxer << " " << c.encoder);
    const Bytes file = make_audio_file(c.muxer, c.encoder, tone(c.rate, 1), c.rate, c.channels);
    if (file.empty()) {
      WARN("this FFmpeg has no encoder " << c.encoder);
      continue;
    }
    const std::vector<float> samples = decoded(file);
    CHECK(samples.size() >= 15'900);
    CHECK(samples.size() <= 17'700);
    CHECK(difference(samples, tone(16'000, 1), c.most_late) < c.tolerance);
  }
}

TEST_CASE("audio has a longest length", "[server][media]") {
  MediaLimits limits;
  limits.max_audio_samples = 16'000;
  const auto fault = [&](double seconds, int rate) {
    return fault_of(shared_decoder().audio(wav(3, 32, rate, 1, raw(tone(rate, seconds))), limits));
  };
  CHECK(fault(1, 16'000) == MediaFault::none);
  CHECK(fault(1.001, 16'000) == MediaFault::too_long);
  CHECK(fault(0.99, 48'000) == MediaFault::none);
  CHECK(fault(1.1, 48'000) == MediaFault::too_long);
  const auto answer = shared_decoder().audio(wav(3, 32, 16'000, 1, raw(tone(16'000, 2))), limits);
  CHECK(std::get<MediaRefusal>(answer).sentence == "The audio is longer than 1 s.");
}

TEST_CASE("tracks that are not of a known coding, or not there, are refused", "[server][media]") {
  const Bytes video = make_video_file("mp4", "mpeg4", 64, 48, 25, {90, 100});
  CHECK(fault_of(shared_decoder().audio(video, {})) == MediaFault::no_track);
  const Bytes adpcm = make_audio_file("wav", "adpcm_ima_wav", tone(16'000, 1), 16'000, 1);
  CHECK(fault_of(shared_decoder().audio(adpcm, {})) == MediaFault::unknown_coding);
}

}  // namespace lapidary
