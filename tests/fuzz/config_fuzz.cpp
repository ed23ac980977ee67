// Any text as config.json: refused with StartupError, or a config whose tensors can be counted and
// whose memory can be planned without overflow or division by zero.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "config/model_config.h"
#include "config/startup_error.h"
#include "engine/memory_plan.h"
#include "engine/model/tensor_table.h"

namespace {

// The loader reads files; a folder of this process's own, made once.
const std::filesystem::path& folder() {
  static const std::filesystem::path path = [] {
    const auto made = std::filesystem::temp_directory_path() /
                      ("lapidary_config_fuzz_" + std::to_string(::getpid()));
    std::filesystem::create_directories(made);
    std::atexit([] { std::filesystem::remove_all(folder()); });
    return made;
  }();
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lapidary;
  std::ofstream(folder() / "config.json", std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  try {
    const ModelConfig config = ModelConfig::load(folder());
    for (const TensorSpec& spec : expected_tensors(config)) {
      if (spec.count() <= 0) std::abort();
    }
    for (const LayerConfig& layer : config.layers) {
      if (layer.head_dim <= 0 || layer.n_heads % layer.n_kv_heads != 0) std::abort();
      if (config.rope(layer.kind).inv_freq(layer.head_dim).empty()) std::abort();
      if (layer.kv_layer < 0 || !config.layers[layer.kv_layer].owns_kv(layer.kv_layer))
        std::abort();
    }
    const KvDemand demand = {
        .max_model_len = config.max_positions, .max_num_seqs = 4, .step_tokens = 512};
    if (memory_plan_text(config, DType::f32, int64_t{1} << 34, demand).empty()) std::abort();
  } catch (const StartupError&) {
  }
  return 0;
}
