#include "engine/media/resize.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/check.h"

namespace lapidary {
namespace {

constexpr int kChannels = 3;

// Keys' kernel with a = -0.5.
double bicubic(double x) {
  x = std::abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return -0.5 * (((x - 5) * x + 8) * x - 4);
  return 0;
}

// Which inputs make one output, and how much of each.
struct Taps {
  int first = 0;
  std::vector<double> weights;
};

std::vector<Taps> taps_of(int n_in, int n_out) {
  const double scale = static_cast<double>(n_in) / n_out;
  const double wide = std::max(scale, 1.0);
  std::vector<Taps> all(static_cast<size_t>(n_out));
  for (int i = 0; i < n_out; ++i) {
    const double center = scale * (i + 0.5);
    const int lo = std::max(static_cast<int>(center - 2 * wide + 0.5), 0);
    const int hi = std::min(static_cast<int>(center + 2 * wide + 0.5), n_in);
    Taps& taps = all[static_cast<size_t>(i)];
    taps.first = lo;
    double sum = 0;
    for (int j = lo; j < hi; ++j) {
      taps.weights.push_back(bicubic((j - center + 0.5) / wide));
      sum += taps.weights.back();
    }
    for (double& weight : taps.weights) weight /= sum;
  }
  return all;
}

// The same in whole numbers of 2^-bits, with as many bits as 16-bit weights have room for.
class Pass {
 public:
  Pass(int n_in, int n_out) {
    const std::vector<Taps> all = taps_of(n_in, n_out);
    double largest = 0;
    for (const Taps& taps : all) {
      for (const double weight : taps.weights) largest = std::max(largest, weight);
    }
    while (bits_ < 22 && static_cast<int>(0.5 + largest * (1 << (bits_ + 1))) < 1 << 15) ++bits_;
    for (const Taps& taps : all) {
      first_.push_back(taps.first);
      begin_.push_back(static_cast<int>(weights_.size()));
      for (const double weight : taps.weights) {
        const double whole = weight * (1 << bits_);
        weights_.push_back(static_cast<int>(whole < 0 ? whole - 0.5 : whole + 0.5));
      }
    }
    begin_.push_back(static_cast<int>(weights_.size()));
  }

  // Output `i` of a line of values `stride` apart, for `count` neighbouring lines.
  void apply(const uint8_t* line, size_t stride, int i, size_t count, uint8_t* out) const {
    constexpr size_t kTogether = 256;  // sums that stay close
    std::array<int, kTogether> sums;
    const auto at = static_cast<size_t>(i);
    for (size_t begin = 0; begin < count; begin += kTogether) {
      const size_t n = std::min(count - begin, kTogether);
      const uint8_t* values = line + static_cast<size_t>(first_[at]) * stride + begin;
      std::fill_n(sums.begin(), n, 1 << (bits_ - 1));
      for (int k = begin_[at]; k < begin_[at + 1]; ++k, values += stride) {
        const int weight = weights_[static_cast<size_t>(k)];
        for (size_t c = 0; c < n; ++c) sums[c] += weight * values[c];
      }
      for (size_t c = 0; c < n; ++c) {
        out[begin + c] = static_cast<uint8_t>(std::clamp(sums[c] >> bits_, 0, 255));
      }
    }
  }

 private:
  int bits_ = 0;
  std::vector<int> first_, begin_, weights_;
};

std::vector<uint8_t> resize_columns(std::span<const uint8_t> pixels, ImageSize from, int width) {
  const Pass pass(from.width, width);
  const size_t in_row = static_cast<size_t>(from.width) * kChannels;
  const size_t out_row = static_cast<size_t>(width) * kChannels;
  std::vector<uint8_t> out(static_cast<size_t>(from.height) * out_row);
  for (size_t y = 0; y < static_cast<size_t>(from.height); ++y) {
    for (int x = 0; x < width; ++x) {
      pass.apply(pixels.data() + y * in_row, kChannels, x, kChannels,
                 out.data() + y * out_row + static_cast<size_t>(x) * kChannels);
    }
  }
  return out;
}

std::vector<uint8_t> resize_rows(std::span<const uint8_t> pixels, ImageSize from, int height) {
  const Pass pass(from.height, height);
  const size_t row = static_cast<size_t>(from.width) * kChannels;
  std::vector<uint8_t> out(static_cast<size_t>(height) * row);
  for (int y = 0; y < height; ++y) {
    pass.apply(pixels.data(), row, y, row, out.data() + static_cast<size_t>(y) * row);
  }
  return out;
}

}  // namespace

std::vector<uint8_t> resize_bicubic(std::span<const uint8_t> pixels, ImageSize from, ImageSize to) {
  CHECK(from.height > 0 && from.width > 0 && to.height > 0 && to.width > 0);
  CHECK(pixels.size() ==
        static_cast<size_t>(from.height) * static_cast<size_t>(from.width) * kChannels);
  std::vector<uint8_t> made;
  if (from.width != to.width) {
    made = resize_columns(pixels, from, to.width);
    pixels = made;
    from.width = to.width;
  }
  if (from.height != to.height) {
    made = resize_rows(pixels, from, to.height);
    pixels = made;
  }
  return made.empty() ? std::vector<uint8_t>(pixels.begin(), pixels.end()) : made;
}

}  // namespace lapidary
