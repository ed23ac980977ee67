// What goes through the socket between the server and a worker: a request's head and the file's
// bytes, then an answer's head and what was decoded. Heads are plain data of fixed size in the
// machine's own byte order, since both ends are of one build. Neither side believes the other: both
// check a head before they take memory for what follows it. Pure, any thread.
#pragma once

#include <cstdint>
#include <type_traits>

#include "server/media/decoded_media.h"
#include "server/media/media_fault.h"
#include "server/media/media_format.h"

namespace lapidary {

constexpr uint32_t kMediaMagic = 0x4C4D4431;  // changes with every change of this file
// A worker then ends and is replaced, so that what a library leaks or a file broke does not stay.
constexpr int kRequestsOfAWorker = 100;

// The largest limits that can be asked for; products of them cannot overflow.
constexpr int64_t kMaxMediaBytes = int64_t{1} << 30;
constexpr int64_t kMaxMediaPixels = int64_t{1} << 29;
constexpr int64_t kMaxMediaSamples = int64_t{1} << 28;
constexpr int32_t kMaxMediaFrames = 1 << 20;

// The first thing a worker says: whether its sandbox holds.
struct MediaHello {
  uint32_t magic = kMediaMagic;
  uint32_t sandbox = 0;  // a SandboxFault
};

struct MediaRequestHead {
  uint32_t magic = kMediaMagic;
  MediaKind kind = MediaKind::image;
  int64_t n_bytes = 0;  // of the file, which follows
  MediaLimits limits;
};

// Behind it, n_bytes in all: an image's rgb; the samples; a video's indices, then its rgb.
struct MediaAnswerHead {
  uint32_t magic = kMediaMagic;
  MediaFault fault = MediaFault::none;  // if any, nothing follows and nothing else counts
  int64_t n_bytes = 0;
  int32_t width = 0, height = 0, n_frames = 0;  // of images, of videos; 0 elsewhere
  uint32_t unused = 0;
  int64_t n_file_frames = 0, n_samples = 0;
  double fps = 0;
};

static_assert(std::is_trivially_copyable_v<MediaRequestHead> &&
              std::has_unique_object_representations_v<MediaRequestHead>);
static_assert(std::is_trivially_copyable_v<MediaAnswerHead> && sizeof(MediaAnswerHead) == 56);

// Whether such a request can be asked: a known kind, bytes within the limits, limits in range.
bool is_valid(const MediaRequestHead& request);

// Whether such an answer obeys what was asked for; `n_bytes` is then what its other fields say.
bool is_valid(const MediaAnswerHead& answer, const MediaRequestHead& request);

}  // namespace lapidary
