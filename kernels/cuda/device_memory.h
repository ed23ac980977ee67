// Device memory as a Buffer. Any thread.
#pragma once

#include <cstddef>

#include "kernels/tensor.h"

namespace lapidary::cuda {

// Not zeroed; aligned to 256 bytes. Throws std::bad_alloc.
Buffer allocate_device(size_t bytes);

}  // namespace lapidary::cuda
