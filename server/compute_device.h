// From --device to a Backend: a CUDA device where one is visible and can compute what is asked,
// else the CPU. Main thread, at start.
#pragma once

#include <memory>
#include <string>

#include "config/model_config.h"
#include "config/serve_config.h"
#include "kernels/backend.h"

namespace lapidary {

struct DeviceChoice {
  bool is_cuda = false;
  // For the log, where --device auto took the CPU: why; and which share of memory it passed over.
  std::string note;
};

// Opens nothing: for --device cuda a GPU need not be there. Throws StartupError when the device
// that is named does not know a type or a shape that is asked for; nothing is replaced silently.
DeviceChoice choose_device(const ServeConfig& config, const ModelConfig& model);

// The backend of that choice. Throws StartupError when the device is not there, is busy or full.
std::unique_ptr<Backend> open_backend(const ServeConfig& config, const ModelConfig& model);

// Towers are computed on the CPU only: takes it out of the config, and says so. Empty: there is
// none.
std::string leave_out_vision(ModelConfig& model);

}  // namespace lapidary
