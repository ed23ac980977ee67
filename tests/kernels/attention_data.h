// A batch of sequences with random keys and values in scattered pages, for tests and benchmarks
// of attention.
#pragma once

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "tests/kernels/cases.h"
#include "tests/kernels/data.h"
#include "tests/kernels/pages.h"
#include "tests/tested_seed.h"

namespace lapidary {

struct AttentionData {
  std::vector<float> q, out;
  std::vector<int32_t> positions, last_visible, query_start{0}, block_start{0}, block_table;
  Buffer k_memory, v_memory;
  Tensor k_pages, v_pages;
  // [sequence][kv head][position][head_dim], as stored
  std::vector<std::vector<std::vector<std::vector<float>>>> keys, values;
  AttentionArgs args;
};

// Pages are in random order; those wholly behind the window are -1; slots beyond the last
// position hold NaN, which must never be read.
inline AttentionData attention_data(Backend& backend, const cases::Attention& c, DType dtype,
                                    uint32_t seed, bool keep_copy = true) {
  AttentionData data;
  std::mt19937 generator(tested_seed(seed));
  std::normal_distribution<float> normal;
  std::vector<int32_t> free_pages;
  int64_t n_pages = 0;
  for (const auto& s : c.sequences) n_pages += (s.n_before + s.n_tokens + 15) / 16;
  n_pages += 2;
  free_pages.resize(n_pages);
  std::iota(free_pages.begin(), free_pages.end(), 0);
  std::shuffle(free_pages.begin(), free_pages.end(), generator);
  const auto bytes =
      static_cast<size_t>(n_pages * c.n_kv_heads * kPageSize * c.head_dim) * dtype_bytes(dtype);
  data.k_memory = backend.allocate(bytes);
  data.v_memory = backend.allocate(bytes);
  data.k_pages = backend.kv_pages(data.k_memory.data(), dtype, n_pages, c.n_kv_heads, c.head_dim);
  data.v_pages = backend.kv_pages(data.v_memory.data(), dtype, n_pages, c.n_kv_heads, c.head_dim);
  std::memset(data.k_memory.data(), 0xff, bytes);
  std::memset(data.v_memory.data(), 0xff, bytes);

  for (const auto& s : c.sequences) {
    const int n_keys = s.n_before + s.n_tokens;
    const int first_seen = c.window > 0 ? std::max(0, s.n_before - c.window + 1) : 0;
    auto& keys = data.keys.emplace_back(c.n_kv_heads);
    auto& values = data.values.emplace_back(c.n_kv_heads);
    for (int first = 0; first < n_keys; first += kPageSize) {
      const bool dropped = first + kPageSize <= first_seen;
      data.block_table.push_back(dropped ? -1 : free_pages.back());
      if (!dropped) free_pages.pop_back();
    }
    for (int head = 0; head < c.n_kv_heads; ++head) {
      for (int j = 0; j < n_keys; ++j) {
        std::vector<float> k(c.head_dim, 0.0F);
        std::vector<float> v(c.head_dim, 0.0F);
        const int32_t page = data.block_table[data.block_start.back() + j / kPageSize];
        for (int d = 0; page >= 0 && d < c.head_dim; ++d) {
          const int64_t k_at = key_index(data.k_pages, page, head, j % kPageSize, d);
          const int64_t v_at = value_index(data.v_pages, page, head, j % kPageSize, d);
          set_page_element(data.k_pages, k_at, normal(generator));
          set_page_element(data.v_pages, v_at, normal(generator));
          k[d] = page_element(data.k_pages, k_at);
          v[d] = page_element(data.v_pages, v_at);
        }
        if (!keep_copy) continue;
        keys[head].push_back(k);
        values[head].push_back(v);
      }
    }
    for (int t = 0; t < s.n_tokens; ++t) {
      data.positions.push_back(s.n_before + t);
      data.last_visible.push_back(s.last_visible(s.n_before + t));
    }
    data.query_start.push_back(static_cast<int32_t>(data.positions.size()));
    data.block_start.push_back(static_cast<int32_t>(data.block_table.size()));
  }
  const auto n = static_cast<int64_t>(data.positions.size());
  const auto n_seqs = static_cast<int64_t>(c.sequences.size());
  const int64_t width = c.n_heads * c.head_dim;
  // Scores with a spread of a few units, as a trained model has.
  data.q = normals(n * width, seed + 1, 2 / std::sqrt(static_cast<float>(c.head_dim)));
  data.out.assign(n * width, -1);
  AttentionArgs& a = data.args;
  a.q = view(data.q, {n, width});
  a.k_pages = data.k_pages;
  a.v_pages = data.v_pages;
  a.positions = view(data.positions, {n});
  if (c.has_spans()) a.last_visible = view(data.last_visible, {n});
  a.query_start = view(data.query_start, {n_seqs + 1});
  a.block_start = view(data.block_start, {n_seqs + 1});
  a.block_table = view(data.block_table, {data.block_start.back()});
  a.n_heads = c.n_heads;
  a.n_kv_heads = c.n_kv_heads;
  a.head_dim = c.head_dim;
  a.window = c.window;
  a.out = view(data.out, {n, width});
  return data;
}

}  // namespace lapidary
