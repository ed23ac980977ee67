// A tiny checkpoint of tests/golden/checkpoints, opened for a test.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "engine/engine.h"
#include "engine/model/checkpoint.h"
#include "engine/model/gemma4.h"
#include "engine/model/weights.h"
#include "kernels/backend.h"

namespace lapidary {

inline constexpr const char* kGoldenCheckpoints[] = {
    "moe", "e2b", "e4b", "dense31b", "unified12b", "moe_text", "dense_f32", "head_f16"};

struct GoldenModel {
  ModelConfig config;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Gemma4> decoder;

  static std::filesystem::path folder(const std::string& name) {
    // The variable: tests that were carried to another machine.
    const char* root = std::getenv("TESTED_REPOSITORY");
    return std::filesystem::path(root != nullptr ? root : LAPIDARY_SOURCE_DIR) /
           "tests/golden/checkpoints" / name;
  }

  // `isa` as BackendOptions has it; std::invalid_argument for one that this machine lacks.
  static GoldenModel open(const std::string& name, DType compute = DType::f32, int n_threads = 1,
                          const std::string& isa = "") {
    return open(name, make_cpu_backend({.compute = compute, .n_threads = n_threads, .isa = isa}));
  }

  static GoldenModel open(const std::string& name, std::unique_ptr<Backend> backend) {
    GoldenModel golden;
    golden.config = ModelConfig::load(folder(name));
    golden.backend = std::move(backend);
    const auto checkpoint = Checkpoint::open(folder(name), golden.config);
    golden.decoder = std::make_unique<Gemma4>(
        golden.config, load_weights(golden.config, *checkpoint, *golden.backend), *golden.backend);
    golden.decoder->reserve(
        {.max_tokens = 512, .max_seqs = 64, .max_keys = 4096, .max_image_tokens = 5 * 140});
    return golden;
  }
};

// Room for everything a test asks, unless it says otherwise.
inline EngineOptions roomy_options(DType kv = DType::f32) {
  return {.max_model_len = 512,
          .max_num_seqs = 16,
          .max_num_batched_tokens = 64,
          .max_queued_requests = 64,
          .sliding_pages = 600,
          .global_pages = 600,
          .kv_dtype = kv};
}

}  // namespace lapidary
