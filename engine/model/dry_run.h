// The largest steps once, on nothing: a backend that takes its workspaces at first use has all of
// them afterwards, so that what is free then may become KV pages.
#pragma once

#include "engine/model/gemma4.h"
#include "kernels/backend.h"

namespace lapidary {

// REQUIRES: decoder.reserve(limits). Throws std::bad_alloc when the workspaces do not fit.
void dry_run(Gemma4& decoder, Backend& backend, const StepLimits& limits, DType kv_dtype);

}  // namespace lapidary
