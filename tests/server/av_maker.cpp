#include "tests/server/av_maker.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
}

namespace lapidary {
namespace {

void expect(int result, const char* what) {
  if (result < 0) throw std::runtime_error(what);
}

// One track, from frames to a file in memory.
class Maker {
 public:
  Maker(const std::string& muxer, const AVCodec* codec) : encoder_(avcodec_alloc_context3(codec)) {
    av_log_set_level(AV_LOG_ERROR);
    expect(avformat_alloc_output_context2(&format_, nullptr, muxer.c_str(), nullptr), "muxer");
    expect(avio_open_dyn_buf(&format_->pb), "memory");
    if ((format_->oformat->flags & AVFMT_GLOBALHEADER) != 0) {
      encoder_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    }
    encoder_->strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL;
    encoder_->thread_count = 1;
  }
  ~Maker() {
    av_packet_free(&packet_);
    avcodec_free_context(&encoder_);
    avformat_free_context(format_);
  }
  Maker(const Maker&) = delete;
  Maker& operator=(const Maker&) = delete;

  AVCodecContext& encoder() { return *encoder_; }

  void begin(const char* options) {
    AVDictionary* parsed = nullptr;
    av_dict_parse_string(&parsed, options, "=", ",", 0);
    expect(avcodec_open2(encoder_, nullptr, &parsed), "encoder");
    av_dict_free(&parsed);
    stream_ = avformat_new_stream(format_, nullptr);
    stream_->time_base = encoder_->time_base;
    stream_->avg_frame_rate = encoder_->framerate;
    avcodec_parameters_from_context(stream_->codecpar, encoder_);
    expect(avformat_write_header(format_, nullptr), "head");
  }

  void add(const AVFrame* frame) {
    expect(avcodec_send_frame(encoder_, frame), "frame");
    while (avcodec_receive_packet(encoder_, packet_) == 0) {
      av_packet_rescale_ts(packet_, encoder_->time_base, stream_->time_base);
      if (encoder_->codec_type == AVMEDIA_TYPE_VIDEO && packet_->duration == 0) {
        packet_->duration = av_rescale_q(1, encoder_->time_base, stream_->time_base);
      }
      expect(av_interleaved_write_frame(format_, packet_), "packet");
    }
  }

  std::vector<uint8_t> finish() {
    add(nullptr);
    expect(av_write_trailer(format_), "end");
    uint8_t* bytes = nullptr;
    const int n = avio_close_dyn_buf(format_->pb, &bytes);
    std::vector<uint8_t> file(bytes, bytes + n);
    av_free(bytes);
    return file;
  }

 private:
  AVCodecContext* encoder_;
  AVFormatContext* format_ = nullptr;
  AVStream* stream_ = nullptr;
  AVPacket* packet_ = av_packet_alloc();
};

// Levels in whatever form the encoder takes.
void fill(AVFrame& frame, const float* samples, int channels, int rate) {
  SwrContext* converter = nullptr;
  swr_alloc_set_opts2(&converter, &frame.ch_layout, static_cast<AVSampleFormat>(frame.format), rate,
                      &frame.ch_layout, AV_SAMPLE_FMT_FLT, rate, 0, nullptr);
  expect(swr_init(converter), "converter");
  std::vector<float> repeated;
  for (int i = 0; i < frame.nb_samples; ++i) repeated.insert(repeated.end(), channels, samples[i]);
  const auto* in = reinterpret_cast<const uint8_t*>(repeated.data());
  expect(swr_convert(converter, frame.extended_data, frame.nb_samples, &in, frame.nb_samples),
         "samples");
  swr_free(&converter);
}

}  // namespace

std::vector<uint8_t> make_audio_file(const std::string& muxer, const std::string& encoder,
                                     const std::vector<float>& samples, int rate, int channels) {
  const AVCodec* codec = avcodec_find_encoder_by_name(encoder.c_str());
  if (codec == nullptr) return {};
  Maker maker(muxer, codec);
  AVCodecContext& context = maker.encoder();
  context.sample_fmt = codec->sample_fmts[0];
  context.sample_rate = rate;
  context.bit_rate = 128'000;
  context.time_base = {1, rate};
  av_channel_layout_default(&context.ch_layout, channels);
  maker.begin("");
  const int step = context.frame_size > 0 ? context.frame_size : 1024;
  const int n_samples = static_cast<int>(samples.size());
  for (int at = 0; at < n_samples; at += step) {
    AVFrame* frame = av_frame_alloc();
    frame->nb_samples = std::min(step, n_samples - at);
    frame->format = context.sample_fmt;
    frame->sample_rate = rate;
    frame->pts = at;
    av_channel_layout_copy(&frame->ch_layout, &context.ch_layout);
    expect(av_frame_get_buffer(frame, 0), "memory");
    fill(*frame, samples.data() + at, channels, rate);
    maker.add(frame);
    av_frame_free(&frame);
  }
  return maker.finish();
}

std::vector<uint8_t> make_video_file(const std::string& muxer, const std::string& encoder,
                                     int width, int height, int fps,
                                     const std::vector<uint8_t>& lumas) {
  const AVCodec* codec = avcodec_find_encoder_by_name(encoder.c_str());
  if (codec == nullptr) return {};
  Maker maker(muxer, codec);
  AVCodecContext& context = maker.encoder();
  context.pix_fmt = AV_PIX_FMT_YUV420P;
  context.width = width;
  context.height = height;
  context.time_base = {1, fps};
  context.framerate = {fps, 1};
  context.bit_rate = 400'000;
  maker.begin(encoder == "libx264" ? "preset=ultrafast,crf=10"
                                   : "cpu-used=8,deadline=realtime,usage=realtime,lag-in-frames=0");
  for (size_t i = 0; i < lumas.size(); ++i) {
    AVFrame* frame = av_frame_alloc();
    frame->format = context.pix_fmt;
    frame->width = width;
    frame->height = height;
    frame->pts = static_cast<int64_t>(i);
    expect(av_frame_get_buffer(frame, 0), "memory");
    std::memset(frame->data[0], lumas[i], static_cast<size_t>(frame->linesize[0]) * height);
    for (int plane : {1, 2}) {
      std::memset(frame->data[plane], 128,
                  static_cast<size_t>(frame->linesize[plane]) * ((height + 1) / 2));
    }
    maker.add(frame);
    av_frame_free(&frame);
  }
  return maker.finish();
}

}  // namespace lapidary
