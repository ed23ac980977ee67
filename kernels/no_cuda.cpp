// What stands for the CUDA backend in a build without it.
#include <stdexcept>

#include "kernels/backend.h"

namespace lapidary {

std::string why_no_cuda() { return "this build has no CUDA"; }

std::unique_ptr<Backend> make_cuda_backend(const BackendOptions&) {
  throw std::runtime_error(
      "This build has no CUDA: build it where nvcc is found, or use --device cpu.");
}

}  // namespace lapidary
