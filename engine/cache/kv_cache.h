// The bytes of the KV cache: for each layer that owns K and V, pages in its group's pool; layers
// that share read their donor's. Page ids come from the BlockPools. Memory is taken once, here.
// Engine thread only.
#pragma once

#include <cstdint>
#include <vector>

#include "config/model_config.h"
#include "engine/scheduler.h"
#include "kernels/backend.h"

namespace lapidary {

class KvCache {
 public:
  // Throws StartupError when the memory cannot be had.
  KvCache(Backend& backend, const ModelConfig& config, DType dtype, int sliding_pages,
          int global_pages);

  // Of the layer's own pages or its donor's.
  const Tensor& k_pages(int layer) const { return k_[config_.layers[layer].kv_layer]; }
  const Tensor& v_pages(int layer) const { return v_[config_.layers[layer].kv_layer]; }

  // No other cache of this process has had or will have it.
  uint64_t serial() const { return serial_; }

  // Copies one page of a group in all of its layers. -1: nothing to copy.
  void copy_page(LayerKind group, PageTable::Copy copy);

 private:
  const uint64_t serial_;
  Backend& backend_;
  const ModelConfig& config_;
  std::vector<Buffer> buffers_;
  std::vector<Tensor> k_, v_;  // empty at layers that own no KV
  Buffer copy_ids_;            // [2] i32
};

}  // namespace lapidary
