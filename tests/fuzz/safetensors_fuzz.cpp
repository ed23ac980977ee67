// Any bytes as a safetensors file: refused with StartupError, or every view lies in the file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "config/startup_error.h"
#include "engine/model/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* file = reinterpret_cast<const std::byte*>(data);
  try {
    const auto tensors = lapidary::parse_safetensors(file, static_cast<int64_t>(size), "fuzz");
    int64_t sum = 0;
    for (const auto& [name, view] : tensors) {
      if (view.bytes < 0 || view.data < file || view.bytes > file + size - view.data) std::abort();
      for (int64_t i = 0; i < view.bytes; ++i) sum += static_cast<int64_t>(view.data[i]);
    }
    if (sum < 0) std::abort();
  } catch (const lapidary::StartupError&) {
  }
  return 0;
}
