// From what the user calls a model to a folder of files: a path that exists, else an id "org/name"
// in the Hugging Face cache, where the official tools download to. Never touches the network.
#pragma once

#include <filesystem>
#include <string>

#include "config/serve_config.h"

namespace lapidary {

// The cache's folder: $HF_HUB_CACHE, $HF_HOME/hub, $XDG_CACHE_HOME/huggingface/hub or
// ~/.cache/huggingface/hub.
std::filesystem::path hf_cache_folder(const Environment& environment);

// Throws StartupError, which names the download command when an id is not in the cache.
std::filesystem::path resolve_model(const std::string& model, const Environment& environment);

}  // namespace lapidary
