// Errors while the device is being opened: they are the operator's to mend, so they are sentences
// that are thrown; later ones end the process (CUDA_CHECK). Any thread.
#pragma once

#include <string>

#include "kernels/cuda/launch.h"

namespace lapidary::cuda {

// Throws std::runtime_error, one sentence that says what to do, unless `error` is none. `wanted`
// continues "... while asking for": "page-locked memory".
void require_start(cudaError_t error, const char* wanted);

// Empty: the first device can be used. Else why not, in words that continue a sentence.
std::string why_unusable();

}  // namespace lapidary::cuda
