#include "engine/cache/kv_cache.h"

#include <atomic>
#include <new>
#include <string>

#include "config/startup_error.h"
#include "engine/memory_plan.h"

namespace lapidary {
namespace {

uint64_t next_serial() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

}  // namespace

KvCache::KvCache(Backend& backend, const ModelConfig& config, DType dtype, int sliding_pages,
                 int global_pages)
    : serial_(next_serial()), backend_(backend), config_(config), k_(config.n_layers()), v_(config.n_layers()) {
  const auto take = [&](const LayerConfig& layer, int width) {
    const int n = layer.kind == LayerKind::sliding ? sliding_pages : global_pages;
    Tensor pages = backend.kv_pages(nullptr, dtype, n, layer.n_kv_heads, width);
    buffers_.push_back(backend.allocate(pages.bytes()));
    pages.data = buffers_.back().data();
    return pages;
  };
  try {
    for (int l = 0; l < config.n_layers(); ++l) {
      if (!config.layers[l].owns_kv(l)) continue;
      const LayerConfig& layer = config.layers[l];
      k_[l] = take(layer, key_width(config, layer, {dtype, backend.stores_v_once()}));
      v_[l] = take(layer, layer.head_dim);
    }
    copy_ids_ = backend.allocate(2 * sizeof(int32_t));
  } catch (const std::bad_alloc&) {
    throw StartupError("The KV cache of " + std::to_string(sliding_pages) + " sliding and " +
                       std::to_string(global_pages) +
                       " global pages does not fit in memory; lower --kv-cache-memory-bytes.");
  }
}

void KvCache::copy_page(LayerKind group, PageTable::Copy copy) {
  if (copy.from < 0) return;
  const int32_t ids[2] = {copy.from, copy.to};
  backend_.upload(copy_ids_.data(), ids, sizeof(ids));
  auto* from = static_cast<int32_t*>(copy_ids_.data());
  for (int l = 0; l < config_.n_layers(); ++l) {
    if (config_.layers[l].kind != group || k_[l].empty()) continue;
    backend_.copy_pages({.from = Tensor(from, DType::i32, {1}),
                         .to = Tensor(from + 1, DType::i32, {1}),
                         .k_pages = k_[l],
                         .v_pages = v_[l]});
  }
}

}  // namespace lapidary
