// Times the verbs of the CUDA backend on the shapes of Gemma 4 26B-A4B and prints each beside its
// floor (bytes over the copy rate, operations over the matrix rate, both measured in the same run)
// and beside the best public timing of that shape on an H200, where there is one. Steps are
// replayed as the engine replays them, so host time is out of the figures; inputs take turns, so
// that weights, K and V come from memory (cuda_bench.h). Where a Hopper GPU has kernels of its own
// for a verb, a row of theirs ("hopper") stands below the portable one's.
//
//   cuda_bench [--only TEXT] [--shape 26b|tiny] [--json FILE]
//
// Public timings: the per-kernel tables of ai-dynamo/aiconfigurator (vLLM 0.22/0.24, SGLang 0.5.14,
// TensorRT-LLM 1.3rc20 on one H200, bf16), the best engine of each row.
#include "tests/bench/cuda_bench.h"

#include <numeric>
#include <set>

namespace lapidary {
namespace {

std::string tokens(int64_t n) { return std::to_string(n) + (n == 1 ? " token" : " tokens"); }

// Enough copies of a weight that none is still in the cache when its turn comes.
std::vector<Weight> copies(Bench& bench, std::span<const HostMatrix> parts, WeightForm form) {
  double bytes = 0;
  for (const HostMatrix& m : parts) bytes += 2.0 * static_cast<double>(m.rows * m.cols * m.count);
  std::vector<Weight> weights;
  const int n = bench.copies_of(bytes);
  for (int i = 0; i < n; ++i) weights.push_back(bench.backend().pack(parts, form));
  return weights;
}

void bench_linear(Bench& bench, const char* name, int64_t rows, int64_t cols, double public_us_1) {
  const SharedMatrix m(rows, cols);
  const HostMatrix part = m.host();
  if (!bench.wanted(name)) return;
  const auto weights = copies(bench, {&part, 1}, WeightForm::stacked);
  for (int64_t n : bench.sizes({1, 8, 16, 64, 256, 8192})) {
    const OnDevice x = bench.act(n, cols);
    const OnDevice out = unwritten(bench.backend(), DType::bf16, {n, rows});
    const Cost cost{.bytes = 2.0 * static_cast<double>(rows * cols + n * (rows + cols)),
                    .operations = 2.0 * static_cast<double>(n * rows * cols),
                    .public_us = n == 1 ? public_us_1 : 0};
    bench.row(std::string("linear, ") + name + ", " + tokens(n), cost,
              static_cast<int>(weights.size()), [&](int i) {
                bench.backend().linear({x, &weights[i], out});
              });
  }
}

void bench_mlp(Bench& bench) {
  if (!bench.wanted("geglu_linear")) return;
  const Shape& s = bench.shape();
  const SharedMatrix gate(s.ffn, s.hidden);
  const HostMatrix parts[] = {gate.host(), gate.host()};
  const auto weights = copies(bench, parts, WeightForm::gate_up);
  for (int64_t n : bench.sizes({1, 8, 16, 64, 256, 8192})) {
    const OnDevice x = bench.act(n, s.hidden);
    const OnDevice out = unwritten(bench.backend(), DType::bf16, {n, s.ffn});
    const Cost cost{
        .bytes = 2.0 * static_cast<double>(2 * s.ffn * s.hidden + n * (s.ffn + s.hidden)),
        .operations = 4.0 * static_cast<double>(n * s.ffn * s.hidden)};
    bench.row("geglu_linear, " + tokens(n), cost, static_cast<int>(weights.size()), [&](int i) {
      bench.backend().geglu_linear({x, &weights[i], out});
    });
  }
}

void bench_logits(Bench& bench) {
  if (!bench.wanted("logits")) return;
  const Shape& s = bench.shape();
  const SharedMatrix table(s.vocab, s.hidden);
  const HostMatrix part = table.host();
  const Weight weight = bench.backend().pack({&part, 1}, WeightForm::stacked);
  for (int64_t n : bench.sizes({1, 8, 16, 64, 256})) {
    const OnDevice x = bench.act(n, s.hidden);
    const OnDevice out = unwritten(bench.backend(), DType::f32, {n, s.vocab});
    bench.row("logits, " + tokens(n),
              {.bytes = static_cast<double>(2 * s.vocab * s.hidden + 4 * n * s.vocab),
               .operations = 2.0 * static_cast<double>(n * s.vocab * s.hidden),
               .public_us = n == 1 ? 370.0 : 0.0},
              1, [&](int) {
                bench.backend().logits({x, &weight, 30, out});
              });
  }
}

std::vector<int32_t> random_routing(const Shape& s, int64_t n, unsigned seed) {
  std::mt19937 random(static_cast<unsigned>(n) + 1000000 * seed);
  std::vector<int32_t> all(s.n_experts), out;
  std::iota(all.begin(), all.end(), 0);
  for (int64_t t = 0; t < n; ++t) {
    std::shuffle(all.begin(), all.end(), random);
    out.insert(out.end(), all.begin(), all.begin() + s.top_k);
  }
  return out;
}

void bench_moe(Bench& bench) {
  if (!bench.wanted("moe_ffn")) return;
  const Shape& s = bench.shape();
  const SharedMatrix gate(s.moe_ffn, s.hidden, s.n_experts);
  const SharedMatrix down(s.hidden, s.moe_ffn, s.n_experts);
  const HostMatrix parts[] = {gate.host(), gate.host()};
  const HostMatrix down_host = down.host();
  const Weight gate_up = bench.backend().pack(parts, WeightForm::gate_up);
  const Weight packed_down = bench.backend().pack({&down_host, 1}, WeightForm::stacked);
  const std::vector<std::pair<int64_t, double>> cases = {
      {1, 41},   {2, 66},    {4, 111},   {8, 168},    {16, 208},   {32, 320},
      {64, 345}, {128, 379}, {256, 406}, {1024, 542}, {8192, 1886}};
  for (const auto& [n, public_us] : cases) {
    if (bench.sizes({n}).empty()) continue;
    // Other experts in each call: where few are chosen, few of them are still in the cache.
    constexpr int kRoutings = 16;
    std::vector<OnDevice> experts;
    double distinct = 0;  // in a call, on average
    for (int i = 0; i < kRoutings; ++i) {
      const std::vector<int32_t> routing = random_routing(s, n, static_cast<unsigned>(i));
      const std::set<int32_t> chosen(routing.begin(), routing.end());
      distinct += static_cast<double>(chosen.size()) / kRoutings;
      experts.push_back(to_device(bench.backend(), routing, {n, s.top_k}));
    }
    const OnDevice shares = bench.f32(n, s.top_k);
    const OnDevice x = bench.act(n, s.hidden);
    const OnDevice out = unwritten(bench.backend(), DType::bf16, {n, s.hidden});
    const auto expert = static_cast<double>(3 * s.hidden * s.moe_ffn);
    const auto run = [&](Backend& backend, const std::string& name) {
      const Cost cost{.bytes = 2.0 * distinct * expert + 4.0 * static_cast<double>(n * s.hidden),
                      .operations = 2.0 * expert * static_cast<double>(n * s.top_k),
                      .public_us = public_us};
      bench.row(backend, name + tokens(n), cost, kRoutings, [&](int i) {
        backend.moe_ffn({x, experts[i], shares, &gate_up, &packed_down, out});
      });
    };
    run(bench.backend(), "moe_ffn, ");
    constexpr int64_t kHopperPairs = 64;  // an expert's, from which on it has kernels of its own
    if (bench.hopper() != nullptr && n * s.top_k >= kHopperPairs * s.n_experts) {
      run(*bench.hopper(), "moe_ffn, hopper, ");
    }
  }
}

void bench_route(Bench& bench) {
  if (!bench.wanted("moe_route")) return;
  const Shape& s = bench.shape();
  const SharedMatrix proj(s.n_experts, s.hidden);
  const HostMatrix part = proj.host();
  const auto weights = copies(bench, {&part, 1}, WeightForm::stacked);
  const OnDevice scale = bench.f32(1, s.hidden);
  const OnDevice per_expert = bench.f32(1, s.n_experts);
  const Tensor scale_row(scale.tensor.data, DType::f32, {s.hidden});
  const Tensor expert_row(per_expert.tensor.data, DType::f32, {s.n_experts});
  for (int64_t n : bench.sizes({1, 8, 64, 256, 8192})) {
    const OnDevice h = bench.f32(n, s.hidden);
    const OnDevice experts = unwritten(bench.backend(), DType::i32, {n, s.top_k});
    const OnDevice shares = unwritten(bench.backend(), DType::f32, {n, s.top_k});
    const Cost cost{.bytes = static_cast<double>(2 * s.n_experts * s.hidden + 4 * n * s.hidden)};
    bench.row("moe_route, " + tokens(n), cost, static_cast<int>(weights.size()), [&](int i) {
      bench.backend().moe_route({.h = h,
                                 .scale = scale_row,
                                 .proj = &weights[i],
                                 .per_expert_scale = expert_row,
                                 .top_k = s.top_k,
                                 .experts = experts,
                                 .weights = shares});
    });
  }
}

// The engine's form of a batch of sequences of one length that compute their last n_queries.
struct Paged {
  OnDevice k, v, positions, query_start, block_start, block_table;
};

Paged paged(Bench& bench, int64_t n_seqs, int64_t n_queries, int64_t n_keys, int n_kv_heads,
            int k_width, int v_width, DType kv) {
  const int64_t blocks = (n_keys + kPageSize - 1) / kPageSize;
  std::vector<int32_t> positions, query_start{0}, block_start{0}, table(n_seqs * blocks);
  std::iota(table.begin(), table.end(), 0);
  std::shuffle(table.begin(), table.end(), std::mt19937(1));
  for (int64_t s = 0; s < n_seqs; ++s) {
    for (int64_t t = n_keys - n_queries; t < n_keys; ++t) {
      positions.push_back(static_cast<int32_t>(t));
    }
    query_start.push_back(static_cast<int32_t>(positions.size()));
    block_start.push_back(static_cast<int32_t>((s + 1) * blocks));
  }
  Backend& b = bench.backend();
  const auto pages = [&](int width) {
    OnDevice out;
    out.tensor = b.kv_pages(nullptr, kv, n_seqs * blocks, n_kv_heads, width);
    out.buffer = b.allocate(out.tensor.bytes());
    out.tensor.data = out.buffer.data();
    std::vector<uint16_t> bits(out.tensor.bytes() / 2);
    std::mt19937 random(3);
    // Finite in both types: exponents near zero.
    for (uint16_t& x : bits) x = static_cast<uint16_t>((random() & 0x8f8fU) | 0x3030U);
    b.upload(out.tensor.data, bits.data(), out.tensor.bytes());
    return out;
  };
  return {pages(k_width),
          pages(v_width),
          to_device(b, positions, {n_seqs * n_queries}),
          to_device(b, query_start, {n_seqs + 1}),
          to_device(b, block_start, {n_seqs + 1}),
          to_device(b, table, {n_seqs * blocks})};
}

struct AttentionCase {
  bool is_global;
  int64_t n_seqs, n_queries, n_keys;
  double public_us;
  DType kv = DType::bf16;
};

void bench_attention_case(Bench& bench, const AttentionCase& c) {
  const Shape& s = bench.shape();
  const int kv_heads = c.is_global ? s.global_kv_heads : s.sliding_kv_heads;
  const int dim = c.is_global ? s.global_dim : s.sliding_dim;
  const int k_width = c.is_global ? s.global_turned : dim;
  const std::string name = std::string("attention, ") + (c.is_global ? "global" : "sliding") +
                           (c.kv == DType::bf16 ? "" : " fp8") + ", " + std::to_string(c.n_seqs) +
                           " x " + std::to_string(c.n_queries) + " at " + std::to_string(c.n_keys);
  if (!bench.wanted(name)) return;
  const int64_t n = c.n_seqs * c.n_queries;
  const OnDevice q = bench.act(n, s.n_heads * dim);
  const OnDevice out = unwritten(bench.backend(), DType::bf16, {n, s.n_heads * dim});
  const int window = c.is_global ? 0 : s.window;
  double pairs = 0;  // of a query and a key it sees, in one sequence
  for (int64_t t = c.n_keys - c.n_queries; t < c.n_keys; ++t) {
    pairs += static_cast<double>(window > 0 ? std::min<int64_t>(t + 1, window) : t + 1);
  }
  const auto keys = static_cast<double>(
      window > 0 ? std::min<int64_t>(c.n_keys, window + c.n_queries - 1) : c.n_keys);
  const auto n_seqs = static_cast<double>(c.n_seqs);
  const double kv_bytes =
      n_seqs * keys * kv_heads * (k_width + dim) * static_cast<double>(dtype_bytes(c.kv));
  const Cost cost{.bytes = kv_bytes + 4.0 * static_cast<double>(n * s.n_heads * dim),
                  .operations = n_seqs * pairs * 4 * s.n_heads * dim,
                  .public_us = c.public_us};
  std::vector<Paged> caches;
  while (static_cast<int>(caches.size()) < bench.copies_of(kv_bytes)) {
    caches.push_back(paged(bench, c.n_seqs, c.n_queries, c.n_keys, kv_heads, k_width, dim, c.kv));
  }
  const auto run = [&](Backend& backend, const std::string& row) {
    bench.row(backend, row, cost, static_cast<int>(caches.size()), [&](int i) {
      const Paged& p = caches[i];
      backend.attention({.q = q,
                         .k_pages = p.k,
                         .v_pages = p.v,
                         .positions = p.positions,
                         .query_start = p.query_start,
                         .block_start = p.block_start,
                         .block_table = p.block_table,
                         .n_heads = s.n_heads,
                         .n_kv_heads = kv_heads,
                         .head_dim = dim,
                         .window = window,
                         .max_keys = static_cast<int>(c.n_keys),
                         .out = out});
    });
  };
  run(bench.backend(), name);
  constexpr int64_t kFewQueries = 64;  // of a sequence: up to here Hopper has no kernel of its own
  if (bench.hopper() != nullptr && c.kv == DType::bf16 && dim >= 256 &&
      c.n_queries > kFewQueries + 1) {
    run(*bench.hopper(), name + ", hopper");
  }
}

void bench_attention(Bench& bench) {
  if (bench.is_tiny()) {
    bench_attention_case(bench, {false, 2, 1, 40, 0});
    bench_attention_case(bench, {true, 1, 9, 40, 0});
    return;
  }
  const std::vector<AttentionCase> cases = {{false, 1, 1, 1024, 11.5},
                                            {false, 8, 1, 1024, 26},
                                            {false, 32, 1, 1024, 78},
                                            {false, 64, 1, 1024, 144},
                                            {false, 128, 1, 1024, 295},
                                            {false, 256, 1, 1024, 578},
                                            {true, 1, 1, 1024, 14},
                                            {true, 8, 1, 1024, 24.5},
                                            {true, 32, 1, 1024, 69},
                                            {true, 64, 1, 1024, 122},
                                            {true, 128, 1, 1024, 209},
                                            {true, 1, 1, 8192, 24},
                                            {true, 8, 1, 8192, 98},
                                            {true, 32, 1, 8192, 355},
                                            {true, 1, 1, 32768, 66},
                                            {true, 8, 1, 32768, 292},
                                            {false, 1, 8192, 8192, 244},
                                            {false, 1, 16384, 16384, 485},
                                            {true, 1, 8192, 8192, 2970},
                                            {true, 1, 16384, 16384, 11700},
                                            {false, 256, 1, 1024, 256, DType::f8e4m3}};
  for (const AttentionCase& c : cases) bench_attention_case(bench, c);
}

void bench_norms(Bench& bench) {
  if (!bench.wanted("add_norm")) return;
  const int64_t hidden = bench.shape().hidden;
  const OnDevice weight = bench.f32(1, hidden);
  const Tensor w(weight.tensor.data, DType::f32, {hidden});
  for (int64_t n : bench.sizes({1, 256, 8192})) {
    const OnDevice h = bench.f32(n, hidden);
    const OnDevice x = bench.act(n, hidden);
    const OnDevice next = unwritten(bench.backend(), DType::bf16, {n, hidden});
    const OnDevice next_2 = unwritten(bench.backend(), DType::bf16, {n, hidden});
    const Cost cost{.bytes = static_cast<double>(n * hidden * 14)};
    bench.row("add_norm and two norms, " + tokens(n), cost, 1, [&](int) {
      bench.backend().add_norm(
          {.h = h, .x = x, .weight = w, .next = {w, next}, .next_2 = {w, next_2}});
    });
  }
}

// Random rows of logits, which spread as a trained model's do; the whole call, from draws to
// tokens.
void bench_sample(Bench& bench) {
  if (!bench.wanted("sample")) return;
  const int64_t vocab = bench.shape().vocab;
  struct Way {
    const char* name;
    SampleDraw draw;
  };
  const Way ways[] = {{"greedy", {.temperature = 0}},
                      {"top_k 64, top_p 0.95", {.top_k = 64, .top_p = 0.95F}},
                      {"the same, 20 logprobs", {.top_k = 64, .top_p = 0.95F, .n_logprobs = 20}},
                      {"top_p 0.95", {.top_p = 0.95F}},
                      {"temperature", {}}};
  std::mt19937 random(3);
  std::normal_distribution<float> noise(0, 3);
  for (int64_t n : bench.sizes({1, 8, 64, 256})) {
    std::vector<float> logits(static_cast<size_t>(vocab));
    for (float& x : logits) x = noise(random);
    logits[static_cast<size_t>(vocab / 2)] = 15;
    std::vector<float> all;
    for (int64_t row = 0; row < n; ++row) all.insert(all.end(), logits.begin(), logits.end());
    const OnDevice rows = to_device(bench.backend(), all, DType::f32, {n, vocab});
    for (const Way& way : ways) {
      std::vector<SampleDraw> draws(static_cast<size_t>(n), way.draw);
      for (int64_t row = 0; row < n; ++row) {
        draws[row].row = row;
        draws[row].position = row;
      }
      bench.answered_row("sample " + std::string(way.name) + ", " + tokens(n),
                         static_cast<double>(n * vocab * 4),
                         [&] { bench.backend().sample({.logits = rows, .draws = draws}); });
    }
  }
}

}  // namespace
}  // namespace lapidary

int main(int argc, char** argv) {
  using namespace lapidary;
  Bench bench(parse(argc, argv));
  const Shape& s = bench.shape();
  const int64_t sliding_q = int64_t{s.n_heads} * s.sliding_dim;
  const int64_t global_q = int64_t{s.n_heads} * s.global_dim;
  bench_linear(bench, "sliding qkv", sliding_q + 2 * s.sliding_kv_heads * s.sliding_dim, s.hidden,
               14.9);
  bench_linear(bench, "global qk", global_q + s.global_kv_heads * s.global_dim, s.hidden, 0);
  bench_linear(bench, "sliding o", s.hidden, sliding_q, 10.9);
  bench_linear(bench, "global o", s.hidden, global_q, 0);
  bench_linear(bench, "dense down", s.hidden, s.ffn, 0);
  bench_mlp(bench);
  bench_moe(bench);
  bench_route(bench);
  bench_attention(bench);
  bench_norms(bench);
  bench_logits(bench);
  bench_sample(bench);
}
