// The promise of backend.h: a row's result depends on that row's inputs alone, bit for bit. Each
// verb is run on a whole batch and on one row at a time, with one and with several threads, on
// every instruction set and in both compute types; all must agree.
#include <algorithm>

#include "tests/kernels/attention_data.h"
#include "tests/kernels/moe_data.h"

namespace lapidary {
namespace {

// Computes the rows [first, first + n) of the case and returns the outputs of these rows.
using Rows = std::function<std::vector<float>(Backend&, int64_t first, int64_t n)>;

void require_promise(int64_t n_rows, const Rows& rows) {
  for (const std::string& isa : runnable_isas()) {
    for (DType compute : {DType::bf16, DType::f32}) {
      const auto one = make_cpu_backend({compute, 1, isa});
      INFO(one->description());
      const auto all = rows(*one, 0, n_rows);
      const auto width = static_cast<int64_t>(all.size()) / n_rows;
      for (int n_threads : {1, 2, 5}) {
        const auto backend = make_cpu_backend({compute, n_threads, isa});
        INFO(n_threads << " threads");
        for (auto [first, n] : {std::pair<int64_t, int64_t>{0, n_rows},
                                {0, 1},
                                {1, 2},
                                {3, 5},
                                {8, 7},
                                {15, 1},
                                {n_rows - 1, 1},
                                {n_rows - 4, 4}}) {
          INFO("rows " << first << " to " << first + n);
          const auto part = rows(*backend, first, n);
          require_same_bits(part, {all.begin() + first * width, all.begin() + (first + n) * width});
        }
      }
    }
  }
}

constexpr int64_t kRows = 29;

Tensor rows_of(std::vector<float>& v, int64_t first, int64_t n, int64_t width) {
  return Tensor(v.data() + first * width, DType::f32, {n, width});
}

}  // namespace

TEST_CASE("promise: linear and logits", "[kernels]") {
  for (DType dtype : {DType::bf16, DType::f32}) {
    const FileMatrix w(150, 70, dtype, 1);
    const HostMatrix host = w.host();
    auto x = normals(kRows * 70, 2);
    for (bool logits : {false, true}) {
      require_promise(kRows, [&](Backend& backend, int64_t first, int64_t n) {
        const Weight packed = backend.pack({&host, 1}, WeightForm::stacked);
        std::vector<float> out(n * 150);
        if (logits) {
          backend.logits({rows_of(x, first, n, 70), &packed, 5, view(out, {n, 150})});
        } else {
          backend.linear({rows_of(x, first, n, 70), &packed, view(out, {n, 150})});
        }
        return out;
      });
    }
  }
}

TEST_CASE("promise: add_embeddings, clip and pool_rows", "[kernels]") {
  const FileMatrix table(31, 70, DType::bf16, 1);
  const HostMatrix host = table.host();
  auto x = normals(kRows * 70, 2);
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < 3 * kRows; ++i) ids.push_back(i * 7 % kRows);
  require_promise(kRows, [&](Backend& backend, int64_t first, int64_t n) {
    const Weight packed = backend.pack({&host, 1}, WeightForm::stacked);
    const Tensor part(ids.data() + 3 * first, DType::i32, {n, 3});
    std::vector<float> sum(n * 70), pooled(n * 70);
    backend.add_embeddings({rows_of(x, first, n, 70), part, &packed, view(sum, {n, 70})});
    backend.clip({view(sum, {n, 70}), -1.0F, 1.5F, 0, view(sum, {n, 70})});
    backend.pool_rows({view(x, {kRows, 70}), part, 3.0F, {}, {}, view(pooled, {n, 70})});
    for (int64_t i = 0; i < n * 70; ++i) sum[i] += pooled[i];
    return sum;
  });
}

TEST_CASE("promise: geglu_linear", "[kernels]") {
  const FileMatrix gate(56, 48, DType::bf16, 1, 1, 0.3F);
  const FileMatrix up(56, 48, DType::bf16, 2, 1, 0.3F);
  const HostMatrix parts[] = {gate.host(), up.host()};
  auto x = normals(kRows * 48, 3);
  require_promise(kRows, [&](Backend& backend, int64_t first, int64_t n) {
    const Weight packed = backend.pack(parts, WeightForm::gate_up);
    std::vector<float> out(n * 56);
    backend.geglu_linear({rows_of(x, first, n, 48), &packed, view(out, {n, 56})});
    return out;
  });
}

TEST_CASE("promise: norms", "[kernels]") {
  const int64_t width = 1000;
  auto x = normals(kRows * width, 1);
  auto y = normals(kRows * width, 2);
  auto weight = normals(width, 3);
  const auto h = normals(kRows * width, 4);
  const Tensor w = view(weight, {width});
  require_promise(kRows, [&](Backend& backend, int64_t first, int64_t n) {
    std::vector<float> out(h.begin() + first * width, h.begin() + (first + n) * width);
    std::vector<float> normed(out.size());
    const Tensor o = view(out, {n, width});
    backend.rms_norm({rows_of(x, first, n, width), w, 1e-6F, view(normed, {n, width})});
    backend.add_norm({o, view(normed, {n, width}), w, 1e-6F, 0.7F});
    backend.moe_combine(
        {o, rows_of(x, first, n, width), rows_of(y, first, n, width), w, w, w, 1e-6F, 0.3F});
    return out;
  });
}

TEST_CASE("promise: rope_table and qkv", "[kernels]") {
  const int64_t d = 32;
  const int heads = 4;
  const int kv_heads = 2;
  const int64_t width = (heads + 2 * kv_heads) * d;
  auto raw = normals(kRows * width, 1);
  auto norm = normals(d, 2);
  auto inv_freq = normals(16, 3);
  std::vector<int32_t> positions(kRows);
  for (int32_t i = 0; i < kRows; ++i) positions[i] = i * 911;
  for (DType dtype : {DType::bf16, DType::f32}) {
    require_promise(kRows, [&](Backend& backend, int64_t first, int64_t n) {
      std::vector<int32_t> at(positions.begin() + first, positions.begin() + first + n);
      std::vector<int32_t> slots(n);
      for (int64_t i = 0; i < n; ++i) slots[i] = static_cast<int32_t>(kPageSize * i + 3);
      std::vector<float> rope(n * 32);
      std::vector<float> q(n * heads * d);
      backend.rope_table({view(at, {n}), view(inv_freq, {16}), view(rope, {n, 2, 16})});
      const Buffer k = backend.allocate(n * kv_heads * kPageSize * d * 4);
      const Buffer v = backend.allocate(n * kv_heads * kPageSize * d * 4);
      QkvArgs args;
      args.qkv = rows_of(raw, first, n, width);
      args.q_norm = args.k_norm = view(norm, {d});
      args.rope = view(rope, {n, 2, 16});
      args.slots = view(slots, {n});
      args.n_heads = heads;
      args.n_kv_heads = kv_heads;
      args.head_dim = d;
      args.k_pages = backend.kv_pages(k.data(), dtype, n, kv_heads, d);
      args.v_pages = backend.kv_pages(v.data(), dtype, n, kv_heads, d);
      args.q = view(q, {n, heads * d});
      backend.qkv(args);
      std::vector<float> out;
      for (int64_t i = 0; i < n; ++i) {
        out.insert(out.end(), q.begin() + i * heads * d, q.begin() + (i + 1) * heads * d);
        for (int64_t j = 0; j < kv_heads * d; ++j) {
          out.push_back(page_element(args.k_pages, key_index(args.k_pages, i, j / d, 3, j % d)));
          out.push_back(page_element(args.v_pages, value_index(args.v_pages, i, j / d, 3, j % d)));
        }
      }
      return out;
    });
  }
}

TEST_CASE("promise: attention under any chunking, batch and thread count", "[kernels]") {
  for (const cases::Attention& c :
       {cases::Attention{"global", 4, 2, 32, 0, {{1010, 40}}},
        cases::Attention{"window", 6, 2, 48, 70, {{1010, 40}}},
        cases::Attention{"from the start", 2, 1, 16, 20, {{0, 50}}},
        cases::Attention{"one head a kv head", 2, 2, 16, 0, {{30, 20}}},
        cases::Attention{"three segments", 2, 1, 16, 0, {{2100, 33}}}}) {
    for (DType dtype : {DType::bf16, DType::f32}) {
      INFO(c.name << ", pages " << dtype_name(dtype));
      const auto maker = make_cpu_backend({DType::f32, 1, "generic"});
      AttentionData data = attention_data(*maker, c, dtype, 1, false);
      const int64_t width = c.n_heads * c.head_dim;
      require_promise(c.sequences[0].n_tokens, [&](Backend& backend, int64_t first, int64_t n) {
        std::vector<float> out(n * width);
        std::vector<int32_t> query_start = {0, static_cast<int32_t>(n)};
        AttentionArgs args = data.args;
        args.q = rows_of(data.q, first, n, width);
        args.positions = Tensor(data.positions.data() + first, DType::i32, {n});
        args.query_start = view(query_start, {2});
        args.out = view(out, {n, width});
        backend.attention(args);
        return out;
      });
    }
  }
}

TEST_CASE("promise: attention with spans, under any chunking that cuts none", "[kernels]") {
  const cases::Attention c{"", 4, 2, 32, 24, {{1000, 60, {{1004, 1008}, {1009, 1047}}}}};
  auto maker = make_cpu_backend({DType::f32, 1, "generic"});
  for (DType dtype : {DType::bf16, DType::f32}) {
    AttentionData data = attention_data(*maker, c, dtype, 1, false);
    const int64_t width = c.n_heads * c.head_dim;
    const auto rows = [&](Backend& backend, int64_t first, int64_t n) {
      std::vector<float> out(n * width);
      std::vector<int32_t> query_start = {0, static_cast<int32_t>(n)};
      AttentionArgs args = data.args;
      args.q = rows_of(data.q, first, n, width);
      args.positions = Tensor(data.positions.data() + first, DType::i32, {n});
      args.last_visible = Tensor(data.last_visible.data() + first, DType::i32, {n});
      args.query_start = view(query_start, {2});
      args.out = view(out, {n, width});
      backend.attention(args);
      return out;
    };
    each_backend([&](Backend& backend) {
      const auto all = rows(backend, 0, 60);
      for (auto [first, n] : {std::pair<int64_t, int64_t>{0, 4},
                              {0, 9},
                              {4, 5},
                              {9, 39},
                              {4, 56},
                              {48, 12},
                              {59, 1}}) {
        INFO("rows " << first << " to " << first + n << ", pages " << dtype_name(dtype));
        require_same_bits(rows(backend, first, n),
                          {all.begin() + first * width, all.begin() + (first + n) * width});
      }
    });
  }
}

TEST_CASE("promise: attention of a sequence does not see its neighbours in the batch",
          "[kernels]") {
  each_backend([](Backend& backend) {
    const cases::Attention c{"batch", 4, 2, 32, 40, {{100, 9}, {3, 1}, {60, 30}, {0, 17}}};
    AttentionData data = attention_data(backend, c, DType::bf16, 1, false);
    backend.attention(data.args);
    const int64_t width = c.n_heads * c.head_dim;
    for (size_t s = 0; s < c.sequences.size(); ++s) {
      const int64_t first = data.query_start[s];
      const int64_t n = data.query_start[s + 1] - first;
      std::vector<float> out(n * width);
      std::vector<int32_t> query_start = {0, static_cast<int32_t>(n)};
      std::vector<int32_t> block_start = {data.block_start[s], data.block_start[s + 1]};
      AttentionArgs args = data.args;
      args.q = rows_of(data.q, first, n, width);
      args.positions = Tensor(data.positions.data() + first, DType::i32, {n});
      args.query_start = view(query_start, {2});
      args.block_start = view(block_start, {2});
      args.out = view(out, {n, width});
      backend.attention(args);
      require_same_bits(out,
                        {data.out.begin() + first * width, data.out.begin() + (first + n) * width});
    }
  });
}

TEST_CASE("promise: moe_route and moe_ffn", "[kernels]") {
  for (DType dtype : {DType::bf16, DType::f32}) {
    const cases::Moe c{"", kRows, 80, 24, 16, 4};
    const FileMatrix proj(16, 80, dtype, 9);
    const HostMatrix proj_host = proj.host();
    auto scale = normals(80, 10);
    auto per_expert = normals(16, 11);
    require_promise(kRows, [&](Backend& backend, int64_t first, int64_t n) {
      MoeData data(backend, c, dtype);
      const Weight packed = backend.pack({&proj_host, 1}, WeightForm::stacked);
      std::vector<int32_t> experts(n * 4);
      std::vector<float> weights(n * 4);
      std::vector<float> out(n * 80);
      MoeFfnArgs args = data.args;
      args.x = rows_of(data.x, first, n, 80);
      args.experts = view(experts, {n, 4});
      args.weights = view(weights, {n, 4});
      args.out = view(out, {n, 80});
      backend.moe_route({args.x, view(scale, {80}), &packed, view(per_expert, {16}), 1e-6F, 4,
                         args.experts, args.weights});
      backend.moe_ffn(args);
      return out;
    });
  }
}

TEST_CASE("promise: per-layer inputs and their gate", "[kernels]") {
  const FileMatrix table(20, 60, DType::bf16, 1);
  auto projected = normals(kRows * 60, 2);
  auto norm = normals(20, 3);
  auto gate = normals(kRows * 20, 4);
  require_promise(kRows, [&](Backend& backend, int64_t first, int64_t n) {
    std::vector<int32_t> ids(n);
    for (int64_t i = 0; i < n; ++i) ids[i] = static_cast<int32_t>((first + i) % 20);
    std::vector<float> ple(n * 60);
    std::vector<float> out(n * 20);
    backend.ple_inputs({view(ids, {n}), table.host(), 16, rows_of(projected, first, n, 60), 0.2F,
                        view(norm, {20}), 1e-6F, view(ple, {n, 60})});
    backend.ple_gate({rows_of(gate, first, n, 20), view(ple, {n, 60}), 1, view(out, {n, 20})});
    return out;
  });
}

}  // namespace lapidary
