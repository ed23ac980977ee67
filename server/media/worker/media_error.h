// Thrown where a file turns out not to be decodable; decode_media catches it. Only in the worker.
#pragma once

#include "server/media/media_fault.h"

namespace lapidary {

struct MediaError {
  MediaFault fault;
};

}  // namespace lapidary
