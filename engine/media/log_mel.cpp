#include "engine/media/log_mel.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <numbers>

#include "kernels/check.h"

namespace lapidary {
namespace {

using Complex = std::complex<double>;

constexpr int kFrame = 320;    // samples, 20 ms
constexpr int kHop = 160;      // 10 ms
constexpr int kLeftPad = 160;  // zeros before the first sample
constexpr int kFft = 512;
constexpr int kBins = kFft / 2 + 1;
constexpr double kTopHertz = 8000;
constexpr double kFloor = 0.001;

// The discrete Fourier transform of kFft values: in place, radix 2, decimation in time.
class Fft {
 public:
  Fft() {
    for (int i = 0; i < kFft / 2; ++i) {
      roots_[static_cast<size_t>(i)] = std::polar(1.0, -2 * std::numbers::pi * i / kFft);
    }
    for (size_t i = 1; i < kFft; ++i) reversed_[i] = reversed_[i / 2] / 2 + (i % 2) * (kFft / 2);
  }

  void transform(std::array<Complex, kFft>& x) const {
    for (size_t i = 0; i < kFft; ++i) {
      if (i < reversed_[i]) std::swap(x[i], x[reversed_[i]]);
    }
    for (size_t half = 1; half < kFft; half *= 2) {
      const size_t stride = kFft / (2 * half);
      for (size_t begin = 0; begin < kFft; begin += 2 * half) {
        for (size_t i = 0; i < half; ++i) {
          const Complex a = x[begin + i], b = x[begin + half + i] * roots_[i * stride];
          x[begin + i] = a + b;
          x[begin + half + i] = a - b;
        }
      }
    }
  }

 private:
  std::array<Complex, kFft / 2> roots_{};
  std::array<size_t, kFft> reversed_{};
};

// Triangles between neighbours of kMelBins + 2 points that lie equally far apart in mel (HTK).
class MelFilters {
 public:
  MelFilters() {
    const auto mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
    const auto hertz = [](double m) { return 700 * (std::pow(10, m / 2595) - 1); };
    std::array<double, kMelBins + 2> points{};
    for (size_t i = 0; i < points.size(); ++i) {
      points[i] = hertz(mel(kTopHertz) * static_cast<double>(i) / (kMelBins + 1));
    }
    for (size_t m = 0; m < kMelBins; ++m) {
      for (size_t k = 0; k < kBins; ++k) {
        const double at = static_cast<double>(k) * kAudioRate / kFft;
        const double up = (at - points[m]) / (points[m + 1] - points[m]);
        const double down = (points[m + 2] - at) / (points[m + 2] - points[m + 1]);
        weights_[m][k] = std::max(0.0, std::min(up, down));
      }
    }
  }

  double apply(size_t filter, const std::array<double, kBins>& magnitudes) const {
    double sum = 0;
    for (size_t k = 0; k < kBins; ++k) sum += weights_[filter][k] * magnitudes[k];
    return sum;
  }

 private:
  std::array<std::array<double, kBins>, kMelBins> weights_{};
};

std::array<double, kFrame> hann_window() {
  std::array<double, kFrame> window{};
  for (int i = 0; i < kFrame; ++i) {
    window[static_cast<size_t>(i)] = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * i / kFrame);
  }
  return window;
}

}  // namespace

// The official unfolding takes one sample more than a frame has, and drops it.
int64_t n_mel_frames(int64_t n_samples) {
  if (n_samples < kMinAudioSamples) return 0;
  return (n_samples + kLeftPad - (kFrame + 1)) / kHop + 1;
}

int64_t n_audio_tokens(int64_t n_frames) { return ((n_frames + 1) / 2 + 1) / 2; }

std::vector<float> log_mel(std::span<const float> samples) {
  static const Fft fft;
  static const MelFilters filters;
  static const std::array<double, kFrame> window = hann_window();
  CHECK(samples.size() <= kMaxAudioSamples);
  const int64_t n_frames = n_mel_frames(static_cast<int64_t>(samples.size()));
  std::vector<float> features;
  features.reserve(static_cast<size_t>(n_frames) * kMelBins);
  for (int64_t t = 0; t < n_frames; ++t) {
    std::array<Complex, kFft> x{};
    for (size_t i = 0; i < kFrame; ++i) {
      const int64_t at = t * kHop + static_cast<int64_t>(i) - kLeftPad;
      if (at >= 0) x[i] = window[i] * static_cast<double>(samples[static_cast<size_t>(at)]);
    }
    fft.transform(x);
    std::array<double, kBins> magnitudes{};
    for (size_t k = 0; k < kBins; ++k) magnitudes[k] = std::abs(x[k]);
    for (size_t m = 0; m < kMelBins; ++m) {
      features.push_back(static_cast<float>(std::log(filters.apply(m, magnitudes) + kFloor)));
    }
  }
  return features;
}

}  // namespace lapidary
