// What of the CUDA backend is written for Hopper's own instructions (wgmma, TMA), in files of their
// own that are compiled for sm_90a alone. A build without that architecture has none of it.
#pragma once

#include "kernels/cuda/tensor_map.h"

namespace lapidary::cuda {

bool has_hopper_kernels();

}  // namespace lapidary::cuda
