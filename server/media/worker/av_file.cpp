#include "server/media/worker/av_file.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>
#include <sstream>
#include <string>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/mem.h>
}

#include "server/media/worker/media_error.h"

namespace lapidary {
namespace {

constexpr int kBufferBytes = 64 << 10;
constexpr int kMaxStreams = 16;
constexpr size_t kMaxBlockBytes = size_t{512} << 20;
constexpr int64_t kProbeBytes = 4 << 20;
constexpr int64_t kProbeTime = 5 * AV_TIME_BASE;

constexpr const char* kAudioDecoders =
    "mp3float,flac,vorbis,opus,aac,pcm_u8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,"
    "pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be,pcm_mulaw,pcm_alaw";
constexpr const char* kVideoDecoders = "h264,hevc,vp8,vp9,libdav1d,mpeg4";

const char* decoders_of(MediaKind kind) {
  return kind == MediaKind::audio ? kAudioDecoders : kVideoDecoders;
}

const char* demuxer_of(MediaFormat format) {
  switch (format) {
    case MediaFormat::wav:
      return "wav";
    case MediaFormat::mp3:
      return "mp3";
    case MediaFormat::flac:
      return "flac";
    case MediaFormat::ogg:
      return "ogg";
    case MediaFormat::mp4:
      return "mov";
    case MediaFormat::webm:
      return "matroska";
    default:
      throw MediaError{MediaFault::damaged};  // the server asks for no other
  }
}

int refuse_to_open(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) {
  return AVERROR(EPERM);
}

void check(int result, MediaFault fault) {
  if (result == AVERROR(ENOMEM)) throw MediaError{MediaFault::out_of_memory};
  if (result < 0) throw MediaError{fault};
}

// The first of the list that decodes this.
const AVCodec* find_decoder(AVCodecID id, MediaKind kind) {
  std::istringstream names(decoders_of(kind));
  for (std::string name; std::getline(names, name, ',');) {
    const AVCodec* const codec = avcodec_find_decoder_by_name(name.c_str());
    if (codec != nullptr && codec->id == id) return codec;
  }
  throw MediaError{MediaFault::unknown_coding};
}

}  // namespace

struct AvTrack::Parts {
  AVIOContext* io = nullptr;
  AVFormatContext* format = nullptr;
  AVCodecContext* decoder = nullptr;
  AVPacket* packet = nullptr;
  bool drained = false;

  Parts() = default;
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
  ~Parts() {
    av_packet_free(&packet);
    avcodec_free_context(&decoder);
    avformat_close_input(&format);
    if (io != nullptr) av_freep(&io->buffer);
    avio_context_free(&io);
  }
};

void prepare_av() {
  av_log_set_callback([](void*, int, const char*, va_list) {});
  av_max_alloc(kMaxBlockBytes);
}

void FreeFrame::operator()(AVFrame* frame) const { av_frame_free(&frame); }

Frame new_frame() {
  Frame frame(av_frame_alloc());
  if (frame == nullptr) throw std::bad_alloc();
  return frame;
}

AvTrack::AvTrack(std::span<const uint8_t> file, MediaKind kind)
    : file_(file), kind_(kind), parts_(std::make_unique<Parts>()) {
  open(find_media_format(file));
  const AVMediaType type = kind == MediaKind::audio ? AVMEDIA_TYPE_AUDIO : AVMEDIA_TYPE_VIDEO;
  check(avformat_find_stream_info(parts_->format, nullptr), MediaFault::damaged);
  const int index = av_find_best_stream(parts_->format, type, -1, -1, nullptr, 0);
  if (index < 0) throw MediaError{MediaFault::no_track};
  stream_ = parts_->format->streams[index];
  for (unsigned i = 0; i < parts_->format->nb_streams; ++i) {
    if (static_cast<int>(i) != index) parts_->format->streams[i]->discard = AVDISCARD_ALL;
  }
  if ((stream_->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0) {
    throw MediaError{MediaFault::no_track};  // a cover
  }
}

AvTrack::~AvTrack() = default;

void AvTrack::open(MediaFormat format) {
  const AVInputFormat* const demuxer = av_find_input_format(demuxer_of(format));
  if (demuxer == nullptr) throw MediaError{MediaFault::unknown_coding};
  parts_->packet = av_packet_alloc();
  parts_->format = avformat_alloc_context();
  auto* buffer = static_cast<uint8_t*>(av_malloc(kBufferBytes));
  parts_->io = avio_alloc_context(buffer, kBufferBytes, 0, this, read, nullptr, seek);
  if (parts_->io == nullptr) av_free(buffer);
  if (parts_->packet == nullptr || parts_->format == nullptr || parts_->io == nullptr) {
    throw std::bad_alloc();
  }
  AVFormatContext& context = *parts_->format;
  context.pb = parts_->io;
  context.io_open = refuse_to_open;
  context.flags |= AVFMT_FLAG_CUSTOM_IO;
  context.max_streams = kMaxStreams;
  context.probesize = kProbeBytes;
  context.max_analyze_duration = kProbeTime;
  context.protocol_whitelist = av_strdup("");
  context.format_whitelist = av_strdup(demuxer->name);
  context.codec_whitelist = av_strdup(decoders_of(kind_));
  // Frees the context where it fails.
  check(avformat_open_input(&parts_->format, "", demuxer, nullptr), MediaFault::damaged);
}

int AvTrack::read(void* track, uint8_t* out, int size) {
  auto& self = *static_cast<AvTrack*>(track);
  const size_t left = self.file_.size() - self.at_;
  const size_t n = std::min(left, static_cast<size_t>(std::max(size, 0)));
  if (n == 0) return AVERROR_EOF;
  std::memcpy(out, self.file_.data() + self.at_, n);
  self.at_ += n;
  return static_cast<int>(n);
}

int64_t AvTrack::seek(void* track, int64_t offset, int whence) {
  auto& self = *static_cast<AvTrack*>(track);
  const auto size = static_cast<int64_t>(self.file_.size());
  if ((whence & AVSEEK_SIZE) != 0) return size;
  int64_t base = 0;
  switch (whence & ~AVSEEK_FORCE) {
    case SEEK_SET:
      break;
    case SEEK_CUR:
      base = static_cast<int64_t>(self.at_);
      break;
    case SEEK_END:
      base = size;
      break;
    default:
      return AVERROR(EINVAL);
  }
  if (offset < -base || offset > size - base) return AVERROR(EINVAL);
  self.at_ = static_cast<size_t>(base + offset);
  return base + offset;
}

const AVPacket* AvTrack::next_packet() {
  for (;;) {
    av_packet_unref(parts_->packet);
    if (av_read_frame(parts_->format, parts_->packet) < 0) return nullptr;
    if (parts_->packet->stream_index == stream_->index) return parts_->packet;
  }
}

void AvTrack::open_decoder(int64_t max_pixels) {
  const AVCodec* const codec = find_decoder(stream_->codecpar->codec_id, kind_);
  parts_->decoder = avcodec_alloc_context3(codec);
  if (parts_->decoder == nullptr) throw std::bad_alloc();
  AVCodecContext& decoder = *parts_->decoder;
  check(avcodec_parameters_to_context(&decoder, stream_->codecpar), MediaFault::damaged);
  decoder.pkt_timebase = stream_->time_base;
  decoder.thread_count = 1;
  decoder.max_pixels = max_pixels;
  check(avcodec_open2(&decoder, codec, nullptr), MediaFault::damaged);
}

bool AvTrack::next_frame(AVFrame& frame) {
  for (;;) {
    const int result = avcodec_receive_frame(parts_->decoder, &frame);
    if (result == 0) return true;
    if (result == AVERROR(ENOMEM)) throw MediaError{MediaFault::out_of_memory};
    if (result == AVERROR_EOF) return false;
    if (parts_->drained) return false;
    const AVPacket* const packet = next_packet();
    parts_->drained = packet == nullptr;
    if (avcodec_send_packet(parts_->decoder, packet) == AVERROR(ENOMEM)) {
      throw MediaError{MediaFault::out_of_memory};
    }
  }
}

}  // namespace lapidary
