// Times the verbs on the shapes of tests/kernels/cases.h that are marked `timed`, and prints what
// share of this machine's read bandwidth and arithmetic peak each reaches, both probed in the
// same run. Weights rotate through enough copies that none is still in a cache.
//
//   kernel_bench [--threads N] [--isa NAME] [--dtype bf16|f32] [--only TEXT] [--seconds S]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "tests/kernels/attention_data.h"
#include "tests/kernels/cases.h"
#include "tests/kernels/data.h"
#include "tests/kernels/moe_data.h"

namespace lapidary {
namespace {

constexpr int64_t kColdBytes = int64_t{256} << 20;

struct Options {
  int n_threads = 0;
  std::string isa;
  DType dtype = DType::bf16;
  std::string only;
  double seconds = 0.5;
};

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    const std::string value = argv[i + 1];
    if (flag == "--threads") o.n_threads = std::stoi(value);
    if (flag == "--isa") o.isa = value;
    if (flag == "--dtype") o.dtype = value == "f32" ? DType::f32 : DType::bf16;
    if (flag == "--only") o.only = value;
    if (flag == "--seconds") o.seconds = std::stod(value);
  }
  return o;
}

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options),
        backend_(make_cpu_backend({options.dtype, options.n_threads, options.isa})),
        ceilings_(backend_->measure_ceilings()) {
    std::printf("%s; probed: read %.1f GB/s, peak %.0f GFLOP/s\n", backend_->description().c_str(),
                ceilings_.gb_per_s, ceilings_.gflop_per_s);
    std::printf("%-44s %11s %11s %8s %6s %9s %6s\n", "verb, case", "best us", "median us", "GB/s",
                "share", "GFLOP/s", "share");
  }

  Backend& backend() { return *backend_; }
  DType dtype() const { return options_.dtype; }
  int64_t copies(int64_t bytes) const { return std::clamp<int64_t>(kColdBytes / bytes, 1, 64); }
  bool wanted(const std::string& name) const {
    return name.find(options_.only) != std::string::npos;
  }

  // body(i) for i = 0, 1, ..; bytes and operations of one call.
  void row(const std::string& name, double bytes, double operations,
           const std::function<void(int64_t)>& body) {
    using Clock = std::chrono::steady_clock;
    for (int64_t i = 0; i < 3; ++i) body(i);
    std::vector<double> times;
    const auto end = Clock::now() + std::chrono::duration<double>(options_.seconds);
    for (int64_t i = 0; times.size() < 5 || Clock::now() < end; ++i) {
      const auto start = Clock::now();
      body(i);
      times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    }
    std::sort(times.begin(), times.end());
    // The probes keep their best moment too, so the share compares like with like.
    const double best = times[0];
    const double median = times[times.size() / 2];
    std::printf("%-44s %11.1f %11.1f %8.1f %5.0f%% %9.1f %5.0f%%\n", name.c_str(), best * 1e6,
                median * 1e6, bytes / best / 1e9, 100 * bytes / best / 1e9 / ceilings_.gb_per_s,
                operations / best / 1e9, 100 * operations / best / 1e9 / ceilings_.gflop_per_s);
    std::fflush(stdout);
  }

 private:
  Options options_;
  std::unique_ptr<Backend> backend_;
  const Ceilings ceilings_;
};

void bench_linear(Bench& bench, const char* verb, const std::vector<cases::Linear>& list) {
  for (const cases::Linear& c : list) {
    const std::string name = std::string(verb) + ", " + c.name;
    if (!c.timed || !bench.wanted(name)) continue;
    const bool pair = std::string(verb) == "geglu_linear";
    const bool head = std::string(verb) == "logits";
    const FileMatrix a(c.rows, c.cols, bench.dtype(), 1);
    const HostMatrix parts[] = {a.host(), a.host()};
    const int64_t bytes =
        a.rows() * a.cols() * (pair ? 2 : 1) * static_cast<int64_t>(dtype_bytes(bench.dtype()));
    std::vector<Weight> weights;
    for (int64_t i = 0; i < bench.copies(bytes); ++i) {
      weights.push_back(bench.backend().pack(std::span(parts, pair ? 2 : 1),
                                             pair ? WeightForm::gate_up : WeightForm::stacked));
    }
    auto x = normals(c.n_tokens * c.cols, 2);
    std::vector<float> out(c.n_tokens * c.rows);
    const Tensor x_view = view(x, {c.n_tokens, c.cols});
    const Tensor out_view = view(out, {c.n_tokens, c.rows});
    bench.row(name, static_cast<double>(bytes),
              2.0 * static_cast<double>(c.n_tokens * c.rows * c.cols) * (pair ? 2 : 1),
              [&](int64_t i) {
                const Weight& w = weights[i % static_cast<int64_t>(weights.size())];
                if (pair) {
                  bench.backend().geglu_linear({x_view, &w, out_view});
                } else if (head) {
                  bench.backend().logits({x_view, &w, 30, out_view});
                } else {
                  bench.backend().linear({x_view, &w, out_view});
                }
              });
  }
}

void bench_moe(Bench& bench) {
  for (const cases::Moe& c : cases::moes()) {
    const std::string name = std::string("moe_ffn, ") + c.name;
    if (!c.timed || !bench.wanted(name)) continue;
    MoeData data(bench.backend(), c, bench.dtype());
    std::vector<std::vector<int32_t>> routings;
    for (uint32_t i = 0; i < 32; ++i) routings.push_back(routing_of(c, 100 + i));
    std::vector<bool> seen(c.n_experts);
    for (int32_t e : routings[0]) seen[e] = true;
    const auto active = static_cast<double>(std::count(seen.begin(), seen.end(), true));
    const auto expert = static_cast<double>(3 * c.hidden * c.ffn);
    const auto element = static_cast<double>(dtype_bytes(bench.dtype()));
    bench.row(name, active * expert * element,
              2.0 * expert * static_cast<double>(c.n_tokens * c.top_k), [&](int64_t i) {
                MoeFfnArgs args = data.args;
                args.experts = view(routings[i % 32], {c.n_tokens, c.top_k});
                bench.backend().moe_ffn(args);
              });
  }
}

void bench_attention(Bench& bench) {
  for (const cases::Attention& c : cases::attentions()) {
    const std::string name = std::string("attention, ") + c.name;
    if (!c.timed || !bench.wanted(name)) continue;
    AttentionData data = attention_data(bench.backend(), c, bench.dtype(), 1, false);
    double pairs = 0;  // of a query and a key it sees
    double keys = 0;   // that some query sees
    for (const auto& s : c.sequences) {
      const int last = s.n_before + s.n_tokens;
      for (int t = s.n_before; t < last; ++t) {
        pairs += c.window > 0 ? std::min(t + 1, c.window) : t + 1;
      }
      keys += c.window > 0 ? std::min(last, c.window + s.n_tokens - 1) : last;
    }
    const auto element = static_cast<double>(dtype_bytes(bench.dtype()));
    bench.row(name, keys * c.n_kv_heads * c.head_dim * 2 * element,
              4 * pairs * c.n_heads * c.head_dim,
              [&](int64_t) { bench.backend().attention(data.args); });
  }
}

void bench_rows(Bench& bench) {
  const int64_t hidden = 2816;
  for (int64_t n : {1, 512}) {
    const std::string tokens = std::to_string(n) + (n == 1 ? " token" : " tokens");
    auto h = normals(n * hidden, 1);
    auto x = normals(n * hidden, 2);
    auto weight = normals(hidden, 3);
    const Tensor h_view = view(h, {n, hidden});
    const Tensor x_view = view(x, {n, hidden});
    const auto size = static_cast<double>(n * hidden);
    if (bench.wanted("rms_norm")) {
      bench.row("rms_norm, " + tokens, size * 8, size * 4, [&](int64_t) {
        bench.backend().rms_norm({x_view, view(weight, {hidden}), 1e-6F, h_view});
      });
    }
    if (bench.wanted("add_norm")) {
      bench.row("add_norm, " + tokens, size * 12, size * 6, [&](int64_t) {
        bench.backend().add_norm({h_view, x_view, view(weight, {hidden}), 1e-6F, 0.5F});
      });
    }
    const FileMatrix proj(128, hidden, bench.dtype(), 4);
    const HostMatrix host = proj.host();
    const Weight packed = bench.backend().pack({&host, 1}, WeightForm::stacked);
    auto scale = normals(128, 5);
    std::vector<int32_t> experts(n * 8);
    std::vector<float> weights(n * 8);
    if (bench.wanted("moe_route")) {
      bench.row("moe_route, " + tokens, 128.0 * hidden * 2, 256 * size, [&](int64_t) {
        bench.backend().moe_route({x_view, view(weight, {hidden}), &packed, view(scale, {128}),
                                   1e-6F, 8, view(experts, {n, 8}), view(weights, {n, 8})});
      });
    }
    std::vector<int32_t> positions(n, 100000);
    std::vector<float> inv_freq(128, 0.1F);
    std::vector<float> rope(n * 256);
    if (bench.wanted("rope_table")) {
      bench.row("rope_table, " + tokens, static_cast<double>(n) * 1024, 0, [&](int64_t) {
        bench.backend().rope_table(
            {view(positions, {n}), view(inv_freq, {128}), view(rope, {n, 2, 128})});
      });
    }
  }
}

void bench_pack(Bench& bench) {
  if (!bench.wanted("pack")) return;
  const FileMatrix a(4096, 4096, bench.dtype(), 1);
  const HostMatrix host = a.host();
  bench.row("pack, 4096 x 4096",
            2.0 * 4096 * 4096 * static_cast<double>(dtype_bytes(bench.dtype())), 0, [&](int64_t) {
              bench.backend().pack({&host, 1}, WeightForm::stacked);
            });
}

}  // namespace
}  // namespace lapidary

int main(int argc, char** argv) {
  using namespace lapidary;
  Bench bench(parse(argc, argv));
  bench_linear(bench, "linear", cases::linears());
  bench_linear(bench, "geglu_linear", cases::geglus());
  bench_linear(bench, "logits", cases::logits());
  bench_moe(bench);
  bench_attention(bench);
  bench_rows(bench);
  bench_pack(bench);
}
