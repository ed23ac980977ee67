// A batch of sequences with random queries, keys and values in scattered pages of the CUDA
// backend's layout, [page][kv head][slot][width], on the host and on the device.
#pragma once

#include <cuda_fp8.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "tests/cuda/device_data.h"
#include "tests/kernels/cases.h"
#include "tests/kernels/data.h"
#include "tests/tested_seed.h"

namespace lapidary {

// K or V pages on the host. Every slot that is not set holds ones in all bits: NaN.
class HostPages {
 public:
  HostPages(DType dtype, int64_t n_pages, int n_kv_heads, int width)
      : dtype_(dtype),
        n_pages_(n_pages),
        n_kv_heads_(n_kv_heads),
        width_(width),
        bytes_(static_cast<size_t>(n_pages * n_kv_heads * kPageSize * width) * dtype_bytes(dtype),
               0xff) {}

  // Returns x as it is stored.
  float set(int64_t page, int kv_head, int slot, int dim, float x) {
    const int64_t at = index(page, kv_head, slot, dim);
    if (dtype_ == DType::f8e4m3) {
      const __nv_fp8_e4m3 stored(x);
      bytes_[at] = stored.__x;
      return static_cast<float>(stored);
    }
    const uint16_t stored = cpu::float_to_bf16(x);
    std::memcpy(&bytes_[2 * at], &stored, 2);
    return cpu::bf16_to_float(stored);
  }
  float get(int64_t page, int kv_head, int slot, int dim) const {
    const int64_t at = index(page, kv_head, slot, dim);
    if (dtype_ == DType::bf16) return cpu::read_float(bytes_.data(), dtype_, at);
    __nv_fp8_e4m3 stored;
    stored.__x = bytes_[at];
    return static_cast<float>(stored);
  }

  OnDevice to_device(Backend& backend) const {
    OnDevice out =
        device_bytes(backend, bytes_.data(), dtype_, {n_pages_, n_kv_heads_, kPageSize, width_});
    out.tensor = backend.kv_pages(out.buffer.data(), dtype_, n_pages_, n_kv_heads_, width_);
    return out;
  }
  void read(Backend& backend, const Tensor& pages) {
    backend.download(bytes_.data(), pages.data, bytes_.size());
  }
  const std::vector<uint8_t>& bytes() const { return bytes_; }
  DType dtype() const { return dtype_; }

 private:
  int64_t index(int64_t page, int kv_head, int slot, int dim) const {
    return ((page * n_kv_heads_ + kv_head) * kPageSize + slot) * width_ + dim;
  }

  DType dtype_;
  int64_t n_pages_;
  int n_kv_heads_, width_;
  std::vector<uint8_t> bytes_;
};

// Pages are in random order; those wholly behind the window are -1 in the table, and hold NaN.
struct PagedBatch {
  cases::Attention shape;
  int n_angles;  // V stored once: K pages hold the turned dims; 0: K pages hold all
  std::vector<float> q;
  std::vector<int32_t> positions, last_visible, query_start{0}, block_start{0}, block_table;
  // [sequence][kv head][position][head_dim]: what q meets, as stored
  std::vector<std::vector<std::vector<std::vector<float>>>> keys, values;
  OnDevice k_pages, v_pages;

  int n_seqs() const { return static_cast<int>(shape.sequences.size()); }

  // The arguments' arrays, and the memory that they point to.
  struct Call {
    std::vector<OnDevice> memory;
    AttentionArgs args;
  };

  // Of sequences [first, last) alone.
  Call call(Backend& backend, int first, int last) const {
    const int row = query_start[first];
    const int64_t n = query_start[last] - row;
    const int64_t width = int64_t{shape.n_heads} * shape.head_dim;
    const auto part = [](const std::vector<int32_t>& v, int from, int to, int minus) {
      std::vector<int32_t> out(v.begin() + from, v.begin() + to);
      for (int32_t& x : out) x -= minus;
      return out;
    };
    const std::vector<float> q_part(q.begin() + row * width, q.begin() + (row + n) * width);
    const int block = block_start[first];
    Call out;
    const auto keep = [&](OnDevice there) {
      out.memory.push_back(std::move(there));
      return out.memory.back().tensor;
    };
    const auto ints = [&](const std::vector<int32_t>& v) {
      return keep(to_device(backend, v, {static_cast<int64_t>(v.size())}));
    };
    AttentionArgs& a = out.args;
    a.q = keep(to_device(backend, q_part, DType::bf16, {n, width}));
    a.k_pages = k_pages;
    a.v_pages = v_pages;
    a.positions = ints(part(positions, row, row + static_cast<int>(n), 0));
    if (shape.has_spans()) {
      a.last_visible = ints(part(last_visible, row, row + static_cast<int>(n), 0));
    }
    a.query_start = ints(part(query_start, first, last + 1, row));
    a.block_start = ints(part(block_start, first, last + 1, block));
    a.block_table = ints(part(block_table, block, block_start[last], 0));
    a.n_heads = shape.n_heads;
    a.n_kv_heads = shape.n_kv_heads;
    a.head_dim = shape.head_dim;
    a.window = shape.window;
    for (int s = first; s < last; ++s) {
      a.max_keys = std::max(a.max_keys, shape.sequences[s].n_before + shape.sequences[s].n_tokens);
    }
    a.out = keep(unwritten(backend, DType::bf16, {n, width}));
    return out;
  }
};

inline PagedBatch paged_batch(Backend& backend, const cases::Attention& shape, DType dtype,
                              int n_angles, uint32_t seed) {
  PagedBatch batch;
  batch.shape = shape;
  batch.n_angles = n_angles;
  std::mt19937 generator(tested_seed(seed));
  std::normal_distribution<float> normal;
  int64_t n_pages = 2;
  for (const auto& s : shape.sequences) n_pages += (s.n_before + s.n_tokens + 15) / 16;
  std::vector<int32_t> free_pages(static_cast<size_t>(n_pages));
  std::iota(free_pages.begin(), free_pages.end(), 0);
  std::shuffle(free_pages.begin(), free_pages.end(), generator);
  const int d = shape.head_dim;
  const int half = d / 2;
  HostPages k(dtype, n_pages, shape.n_kv_heads, n_angles > 0 ? 2 * n_angles : d);
  HostPages v(dtype, n_pages, shape.n_kv_heads, d);
  for (const auto& s : shape.sequences) {
    const int n_keys = s.n_before + s.n_tokens;
    const int first_seen = shape.window > 0 ? std::max(0, s.n_before - shape.window + 1) : 0;
    const int first_block = batch.block_start.back();
    for (int first = 0; first < n_keys; first += kPageSize) {
      const bool dropped = first + kPageSize <= first_seen;
      batch.block_table.push_back(dropped ? -1 : free_pages.back());
      if (!dropped) free_pages.pop_back();
    }
    auto& keys = batch.keys.emplace_back(shape.n_kv_heads);
    auto& values = batch.values.emplace_back(shape.n_kv_heads);
    for (int head = 0; head < shape.n_kv_heads; ++head) {
      for (int j = 0; j < n_keys; ++j) {
        auto& key = keys[head].emplace_back(d, 0.0F);
        auto& value = values[head].emplace_back(d, 0.0F);
        const int32_t page = batch.block_table[first_block + j / kPageSize];
        for (int i = 0; page >= 0 && i < d; ++i) {
          value[i] = v.set(page, head, j % kPageSize, i, normal(generator));
          const bool turned = i % half < n_angles;
          const int at = n_angles == 0 ? i : i < half ? i : n_angles + i - half;
          key[i] = n_angles == 0 || turned ? k.set(page, head, j % kPageSize, at, normal(generator))
                                           : value[i];
        }
      }
    }
    for (int t = 0; t < s.n_tokens; ++t) {
      batch.positions.push_back(s.n_before + t);
      batch.last_visible.push_back(s.last_visible(s.n_before + t));
    }
    batch.query_start.push_back(static_cast<int32_t>(batch.positions.size()));
    batch.block_start.push_back(static_cast<int32_t>(batch.block_table.size()));
  }
  // Scores with a spread of a few units, as a trained model has.
  const auto n = static_cast<int64_t>(batch.positions.size());
  batch.q = rounded_to_bf16(
      normals(n * shape.n_heads * d, seed + 1, 2 / std::sqrt(static_cast<float>(d))));
  batch.k_pages = k.to_device(backend);
  batch.v_pages = v.to_device(backend);
  return batch;
}

}  // namespace lapidary
