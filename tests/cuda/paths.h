// The kernels that the device at hand can run: BackendOptions::cuda_path.
#pragma once

#include <stdexcept>
#include <vector>

#include "kernels/backend.h"
#include "tests/catch.h"

namespace lapidary {

inline std::vector<CudaPath> cuda_paths() {
  std::vector<CudaPath> paths = {CudaPath::portable};
  try {
    make_cuda_backend({.cuda_path = CudaPath::hopper});
    paths.push_back(CudaPath::hopper);
  } catch (const std::runtime_error& error) {
    WARN(error.what());
  }
  return paths;
}

inline const char* name_of(CudaPath path) {
  return path == CudaPath::hopper ? "kernels for Hopper" : "portable kernels";
}

}  // namespace lapidary
