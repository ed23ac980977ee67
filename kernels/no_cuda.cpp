// What stands for the CUDA backend in a build without it.
#include <stdexcept>

#include "kernels/backend.h"

namespace lapidary {

std::string why_no_cuda() {
  return "this build has no CUDA, as no nvcc of 12.8 or newer was found for it (install one and "
         "build again)";
}

std::unique_ptr<Backend> make_cuda_backend(const BackendOptions&) {
  throw std::runtime_error(
      "This build has no CUDA, as no nvcc of 12.8 or newer was found for it: install one and build "
      "again, or use --device cpu.");
}

}  // namespace lapidary
