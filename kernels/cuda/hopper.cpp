// Part of builds for sm_90a: no_hopper.cu stands for it in others.
#include "kernels/cuda/hopper.h"

namespace lapidary::cuda {

bool has_hopper_kernels() { return true; }

}  // namespace lapidary::cuda
