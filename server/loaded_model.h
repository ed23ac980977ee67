// A model made ready from the ServeConfig: its files, weights on a backend, the engine's sizes.
// `serve`, `chat` and `bench` all start from here. Used by the main thread at start; every function
// throws StartupError with a sentence that says what to do.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "config/model_config.h"
#include "config/serve_config.h"
#include "engine/engine.h"
#include "engine/model/gemma4.h"
#include "engine/text/tokenizer.h"
#include "kernels/backend.h"
#include "server/start_plan.h"

namespace lapidary {

// How the weights came: of the source's bytes.
struct LoadedWeights {
  int64_t bytes = 0;
  double seconds = 0;
};

// Not yet running: `bench` drives the decoder itself, others hand it to an Engine, which the
// backend must outlive:
//   LoadedModel loaded = load_model(config, environment);
//   Engine engine(*loaded.backend, std::move(loaded.decoder), loaded.options);
struct LoadedModel {
  ModelConfig config;
  EngineOptions options;
  StartPlan plan;
  std::string device_note;  // DeviceChoice::note
  std::string vision_note;  // that the model's vision tower is not computed; empty: it is, or none
  LoadedWeights read;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Gemma4> decoder;  // destroyed before the backend
};

// The folder that --model names. Cheap: for finding a wrong name, or a missing tokenizer, before
// gigabytes are read.
std::filesystem::path model_folder(const ServeConfig& config, const Environment& environment);

// What a start says of it, a line each: why the CPU computes, how fast the weights came, the memory
// plan.
std::vector<std::string> start_lines(const ServeConfig& config, const LoadedModel& loaded);

// Weights (or dummy ones); progress on standard error when that is a terminal.
LoadedModel load_model(const ServeConfig& config, const std::filesystem::path& folder);

// tokenizer.json of the folder; it must not have more entries than the model's vocabulary.
Tokenizer load_tokenizer(const std::filesystem::path& folder, const ModelConfig& config);

}  // namespace lapidary
