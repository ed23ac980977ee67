// Audio and video by FFmpeg, as little of it as these formats need: the demuxer is chosen by the
// file's first bytes, decoders are those of a list, input is memory, nothing else can be opened,
// no threads. Throw MediaError. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "server/media/decoded_media.h"
#include "server/media/media_format.h"

struct AVCodecContext;
struct AVFormatContext;
struct AVFrame;
struct AVIOContext;
struct AVPacket;
struct AVStream;

namespace lapidary {

// Once, before anything else: FFmpeg says nothing, and takes no large block at once.
void prepare_av();

DecodedAudio decode_audio(std::span<const uint8_t> file, const MediaLimits& limits);
DecodedVideo decode_video(std::span<const uint8_t> file, const MediaLimits& limits);

struct FreeFrame {
  void operator()(AVFrame* frame) const;
};
using Frame = std::unique_ptr<AVFrame, FreeFrame>;
Frame new_frame();

// One track of a file, read from its beginning.
class AvTrack {
 public:
  // `file` must outlive this.
  AvTrack(std::span<const uint8_t> file, MediaKind kind);
  ~AvTrack();
  AvTrack(const AvTrack&) = delete;
  AvTrack& operator=(const AvTrack&) = delete;

  const AVStream& stream() const { return *stream_; }

  // The next packet of this track that makes a frame; nullptr at the end. Valid until the next
  // call.
  const AVPacket* next_packet();

  // Before next_frame. Frames above `max_pixels` are refused by the decoder.
  void open_decoder(int64_t max_pixels);
  // False at the end. What the decoder cannot make sense of is passed over.
  bool next_frame(AVFrame& frame);

 private:
  void open(MediaFormat format);
  static int read(void* track, uint8_t* out, int size);
  static int64_t seek(void* track, int64_t offset, int whence);

  const std::span<const uint8_t> file_;
  const MediaKind kind_;
  size_t at_ = 0;
  struct Parts;
  const std::unique_ptr<Parts> parts_;
  AVStream* stream_ = nullptr;
};

}  // namespace lapidary
