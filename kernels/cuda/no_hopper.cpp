// What stands for the kernels for Hopper in a build without sm_90a: they are never chosen.
#include "kernels/check.h"
#include "kernels/cuda/hopper.h"

namespace lapidary::cuda {

bool has_hopper_kernels() { return false; }

}  // namespace lapidary::cuda
