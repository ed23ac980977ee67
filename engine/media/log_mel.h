// The audio front end of E2B and E4B: what a listener's ear makes of samples, 100 frames a second.
// In double precision; the official extractor, partly in float32, is within 1e-5. Pure, any thread.
// Source: Gemma4AudioFeatureExtractor of transformers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lapidary {

constexpr int kAudioRate = 16000;  // samples a second, one channel
constexpr int64_t kMaxAudioSamples = 30 * kAudioRate;
constexpr int64_t kMinAudioSamples = 161;  // fewer make no frame
constexpr int kMelBins = 128;

// 0 below kMinAudioSamples.
int64_t n_mel_frames(int64_t n_samples);
// Of the tower behind: a quarter of the frames, each halving rounded up.
int64_t n_audio_tokens(int64_t n_frames);

// [n_mel_frames, kMelBins]: log(mel + 0.001). `samples` from -1 to 1. REQUIRES: at most
// kMaxAudioSamples; the official extractor cuts off what is longer.
std::vector<float> log_mel(std::span<const float> samples);

}  // namespace lapidary
