// Frames of a video, evenly taken: first its packets are counted, without decoding, then it is
// decoded up to the last frame that is wanted. Colours by libswscale, as the file says they are.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
}

#include "server/media/worker/av_file.h"
#include "server/media/worker/image_files.h"
#include "server/media/worker/media_error.h"

namespace lapidary {
namespace {

constexpr double kUnknownFps = 24, kMaxFps = 1000;  // the first is what the official processor says

struct FreeScaler {
  void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
};

double frames_per_second(const AVStream& stream) {
  for (const AVRational rate : {stream.avg_frame_rate, stream.r_frame_rate}) {
    if (rate.num > 0 && rate.den > 0 && av_q2d(rate) <= kMaxFps) return av_q2d(rate);
  }
  return kUnknownFps;
}

int64_t count_frames(AvTrack& track, const MediaLimits& limits) {
  int64_t n = 0;
  while (const AVPacket* packet = track.next_packet()) {
    if ((packet->flags & AV_PKT_FLAG_DISCARD) != 0 || packet->size == 0) continue;
    if (++n > limits.max_file_frames) throw MediaError{MediaFault::too_many_frames};
  }
  if (n == 0) throw MediaError{MediaFault::damaged};
  return n;
}

std::vector<int32_t> evenly(int64_t n_file_frames, int64_t n_frames) {
  std::vector<int32_t> indices;
  const int64_t n = std::min(n_file_frames, n_frames);
  for (int64_t i = 0; i < n; ++i) indices.push_back(static_cast<int32_t>(i * n_file_frames / n));
  return indices;
}

// All of one size and one pixel format.
class RgbWriter {
 public:
  explicit RgbWriter(const AVFrame& first)
      : width_(first.width), height_(first.height), format_(first.format), row_(new_frame()) {
    row_->width = width_;
    row_->height = height_;
    row_->format = AV_PIX_FMT_RGB24;
    // Rows are padded: libswscale writes behind their ends.
    if (av_frame_get_buffer(row_.get(), 0) < 0) throw std::bad_alloc();
    scaler_.reset(sws_getContext(width_, height_, static_cast<AVPixelFormat>(format_), width_,
                                 height_, AV_PIX_FMT_RGB24, SWS_BILINEAR, nullptr, nullptr,
                                 nullptr));
    if (scaler_ == nullptr) throw MediaError{MediaFault::unknown_coding};
    const int full_range = first.color_range == AVCOL_RANGE_JPEG ? 1 : 0;
    sws_setColorspaceDetails(scaler_.get(), sws_getCoefficients(first.colorspace), full_range,
                             sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
  }

  void append(const AVFrame& frame, std::vector<uint8_t>& rgb) {
    if (frame.width != width_ || frame.height != height_ || frame.format != format_) {
      throw MediaError{MediaFault::unknown_coding};
    }
    if (sws_scale(scaler_.get(), frame.data, frame.linesize, 0, height_, row_->data,
                  row_->linesize) != height_) {
      throw MediaError{MediaFault::damaged};
    }
    const size_t row_bytes = static_cast<size_t>(width_) * 3;
    for (int y = 0; y < height_; ++y) {
      const uint8_t* row = row_->data[0] + static_cast<ptrdiff_t>(y) * row_->linesize[0];
      rgb.insert(rgb.end(), row, row + row_bytes);
    }
  }

 private:
  const int width_, height_, format_;
  const Frame row_;
  std::unique_ptr<SwsContext, FreeScaler> scaler_;
};

void check_sizes(int64_t width, int64_t height, size_t n_frames, const MediaLimits& limits) {
  check_picture_size(width, height, limits);
  if (width * height > limits.max_taken_pixels / static_cast<int64_t>(n_frames)) {
    throw MediaError{MediaFault::too_many_together};
  }
}

// A decoder counts whole blocks, which reach over the picture's edges.
int64_t with_edges(int64_t max_pixels) { return max_pixels + max_pixels / 4 + (1 << 16); }

// Fills size and pixels; returns how many frames there were up to the last one that was wanted.
int64_t take_frames(std::span<const uint8_t> file, const MediaLimits& limits, DecodedVideo& video) {
  AvTrack track(file, MediaKind::video);
  track.open_decoder(with_edges(limits.max_pixels));
  const Frame frame = new_frame();
  std::unique_ptr<RgbWriter> writer;
  size_t n_taken = 0;
  int64_t n_seen = 0;
  video.rgb.clear();
  for (; n_taken < video.indices.size() && track.next_frame(*frame); ++n_seen) {
    if (n_seen != video.indices[n_taken]) continue;
    if (writer == nullptr) {
      check_sizes(frame->width, frame->height, video.indices.size(), limits);
      video.width = frame->width;
      video.height = frame->height;
      writer = std::make_unique<RgbWriter>(*frame);
      video.rgb.reserve(size_t{3} * video.width * video.height * video.indices.size());
    }
    writer->append(*frame, video.rgb);
    ++n_taken;
  }
  return n_taken == video.indices.size() ? video.n_file_frames : n_seen;
}

}  // namespace

DecodedVideo decode_video(std::span<const uint8_t> file, const MediaLimits& limits) {
  DecodedVideo video;
  {
    AvTrack track(file, MediaKind::video);
    const AVCodecParameters& coding = *track.stream().codecpar;
    if (coding.width > 0 && coding.height > 0) check_sizes(coding.width, coding.height, 1, limits);
    video.fps = frames_per_second(track.stream());
    video.n_file_frames = count_frames(track, limits);
  }
  if (static_cast<double>(video.n_file_frames) / video.fps * 1000 >
      static_cast<double>(limits.max_video_ms)) {
    throw MediaError{MediaFault::too_long};
  }
  video.indices = evenly(video.n_file_frames, limits.max_frames);
  const int64_t n_seen = take_frames(file, limits, video);
  if (n_seen == video.n_file_frames) return video;
  // Some packets made no frame: what was decoded is all there is.
  if (n_seen == 0) throw MediaError{MediaFault::damaged};
  video.n_file_frames = n_seen;
  video.indices = evenly(n_seen, limits.max_frames);
  if (take_frames(file, limits, video) != n_seen) throw MediaError{MediaFault::damaged};
  return video;
}

}  // namespace lapidary
