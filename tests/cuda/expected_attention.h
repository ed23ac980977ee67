// What attention of a batch must give, by the plain twin.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "tests/cuda/paged_batch.h"
#include "tests/reference/attention.h"

namespace lapidary {

constexpr double kWeightRounding = 1.0 / 256;  // weights become bf16

inline std::vector<reference::Bounded> expected_of(const PagedBatch& batch) {
  const cases::Attention& c = batch.shape;
  std::vector<reference::Bounded> out;
  for (int s = 0; s < batch.n_seqs(); ++s) {
    for (int t = batch.query_start[s]; t < batch.query_start[s + 1]; ++t) {
      for (int head = 0; head < c.n_heads; ++head) {
        const int kv_head = head / (c.n_heads / c.n_kv_heads);
        const auto row =
            reference::attend(batch.q.data() + (int64_t{t} * c.n_heads + head) * c.head_dim, false,
                              batch.keys[s][kv_head], batch.values[s][kv_head], batch.positions[t],
                              c.window, kWeightRounding, batch.last_visible[t]);
        for (reference::Bounded x : row) {
          x.error += (std::fabs(x.value) + x.error) / 256;
          out.push_back(x);
        }
      }
    }
  }
  return out;
}

}  // namespace lapidary
