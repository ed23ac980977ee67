#include "server/bench_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>

#include "config/startup_error.h"
#include "kernels/cpu/probe.h"
#include "server/decoder_bench.h"
#include "server/engine_options.h"
#include "server/loaded_model.h"

namespace lapidary {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What the machine can do, measured in this run.
struct Probe {
  double gb_per_s = 0;
  double gflop_per_s = 0;
};

double peak_memory_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

Json step_row(const char* kind, int size, const StepTime& time, const StepCost& cost, int n_tokens,
              const Probe& probe) {
  const double s = time.ms / 1e3;
  const double gb_per_s = cost.weight_bytes / s / 1e9, gflop_per_s = cost.flops / s / 1e9;
  std::printf("%-8s %6d %10.3f %11.1f %9.1f %7.0f%% %9.1f %7.0f%%\n", kind, size, time.ms,
              n_tokens / s, gb_per_s, 100 * gb_per_s / probe.gb_per_s, gflop_per_s,
              100 * gflop_per_s / probe.gflop_per_s);
  return {{"kind", kind},
          {"size", size},
          {"ms", time.ms},
          {"tokens_per_s", n_tokens / s},
          {"gb_per_s", gb_per_s},
          {"share_of_bandwidth", gb_per_s / probe.gb_per_s},
          {"gflop_per_s", gflop_per_s},
          {"share_of_peak", gflop_per_s / probe.gflop_per_s}};
}

Json bench_decoder(LoadedModel& loaded, const BenchOptions& options, const Probe& probe) {
  constexpr int kContext = 64, kSteps = 32, kPrefillRepeats = 3;
  const DType stored = loaded.backend->compute_dtype();
  const int max_batch =
      *std::max_element(options.decode_batches.begin(), options.decode_batches.end());
  const int max_length = std::max(
      2 * (kContext + kSteps),
      *std::max_element(options.prefill_lengths.begin(), options.prefill_lengths.end()) + 1);
  // A step must hold the largest batch.
  loaded.options.max_num_batched_tokens =
      std::max(loaded.options.max_num_batched_tokens, max_batch);
  loaded.decoder->reserve({loaded.options.max_num_batched_tokens,
                           std::max(loaded.options.max_num_seqs, max_batch), max_length});
  DecoderBench bench(*loaded.backend, *loaded.decoder, loaded.options, max_batch, max_length);
  Json rows = Json::array();
  std::printf("%-8s %6s %10s %11s %9s %8s %9s %8s\n", "step", "size", "ms", "tokens/s", "GB/s",
              "of probe", "GFLOP/s", "of probe");
  bench.decode(1, kContext, 4);  // pages and caches warm
  for (int batch : options.decode_batches) {
    const StepTime time = bench.decode(batch, kContext, kSteps);
    rows.push_back(step_row("decode", batch, time, step_cost(loaded.config, stored, batch, batch),
                            batch, probe));
  }
  for (int length : options.prefill_lengths) {
    const StepTime time = bench.prefill(length, kPrefillRepeats);
    rows.push_back(step_row("prefill", length, time, step_cost(loaded.config, stored, length, 1),
                            length, probe));
  }
  return rows;
}

// Closed loop: `concurrency` clients, each submits its next request when the last one ended.
Json bench_engine(Engine& engine, const BenchOptions& options) {
  std::atomic<int> next{0}, n_tokens{0}, n_refused{0};
  std::vector<double> first_ms(options.n_requests);
  const Clock::time_point start = Clock::now();
  const auto client = [&] {
    for (int i = next++; i < options.n_requests; i = next++) {
      Request request;
      for (int t = 0; t < options.prompt_tokens; ++t) {
        request.tokens.push_back((i * 131 + t * 17 + 3) % engine.config().vocab);
      }
      request.max_tokens = options.output_tokens;
      request.sampling.temperature = 0;
      const Clock::time_point submitted = Clock::now();
      const Submission submission = engine.submit(std::move(request));
      const auto* stream = std::get_if<std::shared_ptr<TokenStream>>(&submission);
      if (stream == nullptr) {
        ++n_refused;
        continue;
      }
      while (!(*stream)->done()) {
        for (const TokenEvent& event : (*stream)->take(std::chrono::seconds(1))) {
          if (event.token >= 0 && first_ms[i] == 0) first_ms[i] = 1e3 * seconds_since(submitted);
          n_tokens += event.token >= 0 ? 1 : 0;
        }
      }
    }
  };
  std::vector<std::thread> clients;
  for (int i = 0; i < options.concurrency; ++i) clients.emplace_back(client);
  for (std::thread& c : clients) c.join();
  const double seconds = seconds_since(start);
  std::sort(first_ms.begin(), first_ms.end());
  std::printf(
      "\n%d requests of %d + %d tokens, %d at once: %.1f requests/s, %.0f output tokens/s, "
      "first token %.0f ms (median), %d refused\n",
      options.n_requests, options.prompt_tokens, options.output_tokens, options.concurrency,
      options.n_requests / seconds, n_tokens / seconds, first_ms[first_ms.size() / 2],
      n_refused.load());
  return {{"requests", options.n_requests},
          {"prompt_tokens", options.prompt_tokens},
          {"output_tokens", options.output_tokens},
          {"concurrency", options.concurrency},
          {"requests_per_s", options.n_requests / seconds},
          {"output_tokens_per_s", n_tokens / seconds},
          {"first_token_ms_median", first_ms[first_ms.size() / 2]},
          {"refused", n_refused.load()}};
}

}  // namespace

void add_bench_flags(CLI::App& app, BenchOptions& options) {
  app.add_option("--decode-batches", options.decode_batches, "Batch sizes of decode steps")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096));
  app.add_option("--prefill-lengths", options.prefill_lengths, "Lengths of prompts")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--num-prompts", options.n_requests, "Requests of the load; 0: no load")
      ->check(CLI::Range(0, 1 << 20));
  app.add_option("--input-len", options.prompt_tokens, "Prompt tokens of each")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--output-len", options.output_tokens, "Output tokens of each")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--max-concurrency", options.concurrency, "Requests at once")
      ->check(CLI::Range(1, 4096));
  app.add_option("--json", options.json_file, "Write the figures to this file as well");
}

int run_bench(const ServeConfig& config, const Environment& environment,
              const BenchOptions& options) {
  LoadedModel loaded = load_model(config, model_folder(config, environment));
  const int n_threads = loaded.backend->n_threads();
  const Probe probe{.gb_per_s = cpu::read_bandwidth(n_threads),
                    .gflop_per_s = cpu::peak_gflops(loaded.backend->compute_dtype(), n_threads)};
  std::printf("%s\nprobe: %.1f GB/s read, %.0f GFLOP/s %s\n\n",
              loaded.backend->description().c_str(), probe.gb_per_s, probe.gflop_per_s,
              dtype_name(loaded.backend->compute_dtype()));
  Json report = {{"backend", loaded.backend->description()},
                 {"probe_gb_per_s", probe.gb_per_s},
                 {"probe_gflop_per_s", probe.gflop_per_s}};
  report["steps"] = bench_decoder(loaded, options, probe);
  if (options.n_requests > 0) {
    Engine engine(*loaded.backend, std::move(loaded.decoder), loaded.options);
    report["load"] = bench_engine(engine, options);
  }
  report["peak_memory_mib"] = peak_memory_mib();
  std::printf("peak memory %.0f MiB\n", peak_memory_mib());
  if (!options.json_file.empty()) {
    std::ofstream file(options.json_file);
    file << report.dump(2) << "\n";
    if (!file) throw StartupError("Cannot write " + options.json_file + ".");
  }
  return 0;
}

}  // namespace lapidary
