// Reproducible random weights for any ModelConfig, so that speed and memory need no download. A
// value depends on the seed, the tensor's name and the element's index alone, not on threads or
// order. Scales keep logits finite and routing spread, whatever the config. The loading thread.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "config/model_config.h"
#include "engine/model/tensor_source.h"

namespace lapidary {

class DummyWeights : public TensorSource {
 public:
  // n_threads 0: one a core. Matrices have the type that the config declares.
  explicit DummyWeights(const ModelConfig& config, uint64_t seed = 0, int n_threads = 0);

  bool has(std::string_view name) const override;  // everything required; no lm_head when tied
  HostTensor get(const TensorSpec& spec) override;

 private:
  void fill_parallel(std::byte* out, const TensorSpec& spec) const;

  DType dtype_;
  std::set<std::string, std::less<>> names_;
  uint64_t seed_;
  int n_threads_;
};

}  // namespace lapidary
