// Audio to 16 kHz and one channel: the mean of all channels, resampled by libswresample at its
// defaults, which is what FFmpeg and torchcodec do.
#include <cmath>
#include <memory>
#include <new>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
}

#include "server/media/worker/av_file.h"
#include "server/media/worker/media_error.h"

namespace lapidary {
namespace {

constexpr int kMinRate = 4000, kMaxRate = 384'000;  // of what recorders write
constexpr int kMaxChannels = 8;

struct FreeResampler {
  void operator()(SwrContext* resampler) const { swr_free(&resampler); }
};

// Takes frames of one rate, format and number of channels.
class Resampler {
 public:
  Resampler(const AVFrame& first, const MediaLimits& limits)
      : rate_(first.sample_rate),
        n_channels_(first.ch_layout.nb_channels),
        format_(first.format),
        max_samples_(limits.max_audio_samples) {
    if (rate_ < kMinRate || rate_ > kMaxRate || n_channels_ < 1 || n_channels_ > kMaxChannels) {
      throw MediaError{MediaFault::unknown_coding};
    }
    AVChannelLayout in{}, out{};
    av_channel_layout_default(&in, n_channels_);
    av_channel_layout_default(&out, 1);
    SwrContext* made = nullptr;
    swr_alloc_set_opts2(&made, &out, AV_SAMPLE_FMT_FLT, kDecodedAudioRate, &in,
                        static_cast<AVSampleFormat>(format_), rate_, 0, nullptr);
    swr_.reset(made);
    if (swr_ == nullptr) throw std::bad_alloc();
    const std::vector<double> mean(static_cast<size_t>(n_channels_), 1.0 / n_channels_);
    // Whole numbers would be rounded between the steps.
    const bool ready =
        av_opt_set_sample_fmt(swr_.get(), "internal_sample_fmt", AV_SAMPLE_FMT_FLTP, 0) >= 0 &&
        (n_channels_ == 1 || swr_set_matrix(swr_.get(), mean.data(), n_channels_) >= 0) &&
        swr_init(swr_.get()) >= 0;
    if (!ready) throw MediaError{MediaFault::unknown_coding};
  }

  void add(const AVFrame& frame) {
    if (frame.sample_rate != rate_ || frame.ch_layout.nb_channels != n_channels_ ||
        frame.format != format_) {
      throw MediaError{MediaFault::unknown_coding};
    }
    convert(const_cast<const uint8_t**>(frame.extended_data), frame.nb_samples);
  }

  std::vector<float> finish() {
    convert(nullptr, 0);
    if (static_cast<int64_t>(samples_.size()) > max_samples_)
      throw MediaError{MediaFault::too_long};
    return std::move(samples_);
  }

 private:
  void convert(const uint8_t** data, int n_samples) {
    const int room = swr_get_out_samples(swr_.get(), n_samples);
    const size_t before = samples_.size();
    if (room < 0) throw MediaError{MediaFault::damaged};
    // What waits in the resampler may turn out to be a little less than it says.
    if (static_cast<int64_t>(before) > max_samples_ || room > max_samples_ + kSlack) {
      throw MediaError{MediaFault::too_long};
    }
    samples_.resize(before + static_cast<size_t>(room));
    auto* out = reinterpret_cast<uint8_t*>(samples_.data() + before);
    const int n = swr_convert(swr_.get(), &out, room, data, n_samples);
    if (n < 0) throw MediaError{MediaFault::damaged};
    samples_.resize(before + static_cast<size_t>(n));
    for (size_t i = before; i < samples_.size(); ++i) {
      if (!std::isfinite(samples_[i])) throw MediaError{MediaFault::not_finite};
    }
  }

  static constexpr int64_t kSlack = 1 << 16;

  const int rate_, n_channels_, format_;
  const int64_t max_samples_;
  std::unique_ptr<SwrContext, FreeResampler> swr_;
  std::vector<float> samples_;
};

}  // namespace

DecodedAudio decode_audio(std::span<const uint8_t> file, const MediaLimits& limits) {
  AvTrack track(file, MediaKind::audio);
  track.open_decoder(1);
  const Frame frame = new_frame();
  std::unique_ptr<Resampler> resampler;
  while (track.next_frame(*frame)) {
    if (resampler == nullptr) resampler = std::make_unique<Resampler>(*frame, limits);
    resampler->add(*frame);
  }
  if (resampler == nullptr) throw MediaError{MediaFault::damaged};
  DecodedAudio audio{resampler->finish()};
  if (audio.samples.empty()) throw MediaError{MediaFault::damaged};
  return audio;
}

}  // namespace lapidary
