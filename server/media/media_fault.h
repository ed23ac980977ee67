// Why a file was not decoded, and how a client is told: sentences of ours with numbers of ours,
// never a word of a library or of the file. Pure, any thread.
#pragma once

#include <cstdint>
#include <string>

#include "server/media/decoded_media.h"
#include "server/media/media_format.h"

namespace lapidary {

enum class MediaFault : uint32_t {
  none,
  // What a worker may answer.
  damaged,            // or incomplete
  too_many_pixels,    // of an image or a frame
  too_many_together,  // pixels of the frames that would be taken
  too_elongated,
  too_long,         // audio or video
  too_many_frames,  // in the file
  no_track,         // no sound, or no picture, in the file
  unknown_coding,   // of the track; among it rates and channels that no recording has
  not_finite,       // samples
  too_complex,      // more work than such a file is worth
  out_of_memory,
  // What only the server finds.
  wrong_format,  // not one that is decoded here, or not for this kind
  empty,
  too_many_bytes,
  too_slow,     // the deadline, or the worker's processor time
  crashed,      // the worker ended while it had the file
  busy,         // no worker became free in time: the file is not at fault
  unavailable,  // a server without media: the file is not at fault
};
constexpr MediaFault kLastWorkerFault = MediaFault::out_of_memory;

// Whether trying again, or elsewhere, makes sense; otherwise the file is what is wrong.
constexpr bool is_fault_of_server(MediaFault fault) { return fault >= MediaFault::busy; }

// One sentence, for the client. `format` is what the bytes are, for wrong_format.
std::string media_fault_sentence(MediaFault fault, MediaKind kind, const MediaLimits& limits,
                                 MediaFormat format);

}  // namespace lapidary
