// `lapidary bench`: the engine without HTTP. Decode at several batch sizes, prefill of several
// lengths, and the whole engine under load; each beside the read bandwidth and the arithmetic peak
// that the same run probes, so that figures of different machines can be compared. Prints a table
// and, with --json, the same as JSON.
#pragma once

#include <string>
#include <vector>

#include "config/serve_config.h"

namespace CLI {
class App;
}

namespace lapidary {

struct BenchOptions {
  std::vector<int> decode_batches = {1, 8, 32};
  std::vector<int> decode_contexts = {64};
  std::vector<int> prefill_lengths = {128, 512, 2048};
  // The load: as many runs as there are concurrencies.
  std::vector<int> n_requests = {32};  // of each run; 0: none
  std::vector<int> concurrency = {8};
  int prompt_tokens = 128;
  int output_tokens = 64;
  double range_ratio = 0;  // lengths are uniform in [1 - r, 1 + r] times those
  std::string json_file;
  bool list_kernels = false;  // print which code computes what, and leave
};

void add_bench_flags(CLI::App& app, BenchOptions& options);
int run_bench(const ServeConfig& config, const Environment& environment,
              const BenchOptions& options);

}  // namespace lapidary
