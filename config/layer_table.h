// The per-layer part of a ModelConfig: kinds, heads, windows, KV donors and MLP widths, from the
// text part of a config.json in either spelling (global_head_dim or per_layer_config). Pure
// function, any thread. Refuses (StartupError) shapes that no Gemma 4 model can have.
#pragma once

#include <vector>

#include "config/checked_json.h"
#include "config/model_config.h"

namespace lapidary {

std::vector<LayerConfig> read_layers(const ConfigObject& text);

}  // namespace lapidary
