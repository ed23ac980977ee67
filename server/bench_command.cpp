#include "server/bench_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "config/build_facts.h"
#include "config/startup_error.h"
#include "server/compute_device.h"
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

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16];
  std::strftime(text, sizeof(text), "%Y-%m-%d", std::gmtime(&now));
  return text;
}

double peak_memory_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

// Prints one row; `run` throws StartupError when its pages do not fit.
Json step_row(const char* kind, int size, int context, const StepCost& cost, int n_tokens,
              const Ceilings& ceilings, const std::function<StepTime()>& run) {
  Json row = {{"kind", kind}, {"size", size}, {"context", context}};
  std::printf("%-8s %7d %7d ", kind, size, context);
  try {
    const double s = run().ms / 1e3;
    const double gb_per_s = cost.bytes / s / 1e9, gflop_per_s = cost.flops / s / 1e9;
    const double bandwidth = gb_per_s / ceilings.gb_per_s;
    const double peak = gflop_per_s / ceilings.gflop_per_s;
    std::printf("%10.3f %11.1f %9.1f %7.0f%% %11.1f %7.0f%%\n", 1e3 * s, n_tokens / s, gb_per_s,
                100 * bandwidth, gflop_per_s, 100 * peak);
    row.update({{"ms", 1e3 * s},
                {"tokens_per_s", n_tokens / s},
                {"gb_per_s", gb_per_s},
                {"share_of_bandwidth", bandwidth},
                {"gflop_per_s", gflop_per_s},
                {"share_of_peak", peak}});
  } catch (const StartupError&) {
    std::printf("does not fit in memory\n");
    row["fits"] = false;
  }
  std::fflush(stdout);
  return row;
}

// What was measured so far is in the file after every row, whatever ends the run.
class Report {
 public:
  explicit Report(std::string file) : file_(std::move(file)) {}

  Json& operator[](const char* name) { return json_[name]; }
  void add(const char* list, Json row) {
    json_[list].push_back(std::move(row));
    save();
  }
  void save() const {
    if (file_.empty()) return;
    std::ofstream file(file_);
    file << json_.dump(2) << "\n";
    if (!file) throw StartupError("Cannot write " + file_ + ".");
  }

 private:
  const std::string file_;
  Json json_;
};

void bench_decoder(LoadedModel& loaded, const BenchOptions& options, const Ceilings& ceilings,
                   Report& report) {
  constexpr int kSteps = 32, kPrefillRepeats = 3;
  const ModelConfig& config = loaded.config;
  const DType stored = loaded.backend->compute_dtype();
  const KvForm kv = {loaded.options.kv_dtype, loaded.backend->stores_v_once()};
  DecoderBench bench(*loaded.backend, *loaded.decoder, loaded.options);
  std::printf("%-8s %7s %7s %10s %11s %9s %8s %11s %8s\n", "step", "size", "context", "ms",
              "tokens/s", "GB/s", "of probe", "GFLOP/s", "of probe");
  bench.decode(1, 64, 4);  // caches warm
  for (int context : options.decode_contexts) {
    for (int batch : options.decode_batches) {
      const StepCost cost =
          step_cost(config, stored, kv, {.n_seqs = batch, .context = context + kSteps / 2});
      report.add("steps", step_row("decode", batch, context, cost, batch, ceilings,
                                   [&] { return bench.decode(batch, context, kSteps); }));
    }
  }
  for (int length : options.prefill_lengths) {
    const StepCost cost = step_cost(config, stored, kv, {.n_tokens = length});
    report.add("steps", step_row("prefill", length, 0, cost, length, ceilings,
                                 [&] { return bench.prefill(length, kPrefillRepeats); }));
  }
}

// Lengths of request i, the same in every run.
int length_of(int mean, double range_ratio, int i, unsigned salt) {
  if (range_ratio == 0) return mean;
  std::mt19937 random(static_cast<unsigned>(i) * 2 + salt);
  std::uniform_real_distribution<double> factor(1 - range_ratio, 1 + range_ratio);
  return std::max(1, static_cast<int>(std::lround(mean * factor(random))));
}

// Closed loop: `concurrency` clients, each submits its next request when the last one ended.
Json bench_engine(Engine& engine, const BenchOptions& options, int n_requests, int concurrency) {
  std::atomic<int> next{0}, n_input{0}, n_output{0}, n_refused{0};
  std::vector<double> first_ms(n_requests);
  const Clock::time_point start = Clock::now();
  const auto client = [&] {
    for (int i = next++; i < n_requests; i = next++) {
      Request request;
      const int n_prompt = length_of(options.prompt_tokens, options.range_ratio, i, 0);
      for (int t = 0; t < n_prompt; ++t) {
        request.tokens.push_back((i * 131 + t * 17 + 3) % engine.config().vocab);
      }
      request.max_tokens = length_of(options.output_tokens, options.range_ratio, i, 1);
      request.sampling.temperature = 0;
      const Clock::time_point submitted = Clock::now();
      const Submission submission = engine.submit(std::move(request));
      const auto* stream = std::get_if<std::shared_ptr<TokenStream>>(&submission);
      if (stream == nullptr) {
        ++n_refused;
        continue;
      }
      n_input += n_prompt;
      while (!(*stream)->done()) {
        for (const TokenEvent& event : (*stream)->take(std::chrono::seconds(1))) {
          if (event.token >= 0 && first_ms[i] == 0) first_ms[i] = 1e3 * seconds_since(submitted);
          n_output += event.token >= 0 ? 1 : 0;
        }
      }
    }
  };
  std::vector<std::thread> clients;
  for (int i = 0; i < concurrency; ++i) clients.emplace_back(client);
  for (std::thread& c : clients) c.join();
  const double seconds = seconds_since(start);
  std::sort(first_ms.begin(), first_ms.end());
  std::printf(
      "\n%d requests, %d at once, %d prompt and %d output tokens in all: %.1f requests/s, %.0f "
      "output tokens/s, first token %.0f ms (median), %d refused\n",
      n_requests, concurrency, n_input.load(), n_output.load(), n_requests / seconds,
      n_output / seconds, first_ms[first_ms.size() / 2], n_refused.load());
  return {{"requests", n_requests},
          {"concurrency", concurrency},
          {"prompt_tokens", n_input.load()},
          {"output_tokens", n_output.load()},
          {"requests_per_s", n_requests / seconds},
          {"output_tokens_per_s", n_output / seconds},
          {"first_token_ms_median", first_ms[first_ms.size() / 2]},
          {"refused", n_refused.load()}};
}

// The engine is as large as the largest case asks.
ServeConfig sized_for(ServeConfig config, const BenchOptions& options) {
  const auto largest = [](const std::vector<int>& list) {
    return list.empty() ? 0 : *std::max_element(list.begin(), list.end());
  };
  config.max_num_seqs = std::max<int64_t>(
      config.max_num_seqs, std::max(largest(options.decode_batches), largest(options.concurrency)));
  if (config.max_num_batched_tokens > 0) {
    config.max_num_batched_tokens = std::max(config.max_num_batched_tokens, config.max_num_seqs);
  }
  return config;
}

}  // namespace

void add_bench_flags(CLI::App& app, BenchOptions& options) {
  app.add_option("--decode-batches", options.decode_batches, "Batch sizes of decode steps")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096));
  app.add_option("--decode-contexts", options.decode_contexts, "Tokens before those steps")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--prefill-lengths", options.prefill_lengths, "Lengths of prompts")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--num-prompts", options.n_requests, "Requests of each load; 0: no load")
      ->delimiter(',')
      ->check(CLI::Range(0, 1 << 20));
  app.add_option("--input-len", options.prompt_tokens, "Prompt tokens of each")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--output-len", options.output_tokens, "Output tokens of each")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--max-concurrency", options.concurrency, "Requests at once, one load for each")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096));
  app.add_option("--random-range-ratio", options.range_ratio,
                 "Lengths vary by this share of --input-len and --output-len")
      ->check(CLI::Range(0.0, 1.0));
  app.add_flag("--list-kernels", options.list_kernels,
               "Print which code computes what on this device, and leave");
  app.add_option("--json", options.json_file, "Write the figures to this file as well");
}

namespace {

int list_kernels(const ServeConfig& config, const std::filesystem::path& folder) {
  const auto backend = open_backend(config, load_model_config(config, folder));
  std::printf("%s\n\n", backend->description().c_str());
  for (const KernelPath& kernel : backend->kernel_paths()) {
    std::printf("%-46s %-30s kernels/%s\n", kernel.verb.c_str(), kernel.path.c_str(),
                kernel.source.c_str());
  }
  return 0;
}

}  // namespace

int run_bench(const ServeConfig& config, const Environment& environment,
              const BenchOptions& options) {
  if (options.list_kernels) return list_kernels(config, model_folder(config, environment));
  if (options.n_requests.size() != options.concurrency.size()) {
    throw StartupError("--num-prompts and --max-concurrency need as many numbers each.");
  }
  const ServeConfig sized = sized_for(config, options);
  LoadedModel loaded = load_model(sized, model_folder(sized, environment));
  const Ceilings ceilings = loaded.backend->measure_ceilings();
  std::printf("%s\nprobe: %.1f GB/s, %.0f GFLOP/s %s\n\n", loaded.backend->description().c_str(),
              ceilings.gb_per_s, ceilings.gflop_per_s, dtype_name(loaded.backend->compute_dtype()));
  for (const std::string& line : start_lines(sized, loaded)) std::printf("%s\n", line.c_str());
  std::printf("\n");
  Report report(options.json_file);
  report["backend"] = loaded.backend->description();
  report["version"] = LAPIDARY_VERSION;
  const DeviceFacts facts = loaded.backend->facts();
  report["device"] = facts.name;
  report["driver"] = facts.driver;
  report["cuda_runtime"] = facts.runtime;
  report["clock_mhz"] = facts.clock_mhz;
  report["memory_mhz"] = facts.memory_mhz;
  report["commit"] = build_commit();
  report["date"] = today();
  report["probe_gb_per_s"] = ceilings.gb_per_s;
  report["probe_gflop_per_s"] = ceilings.gflop_per_s;
  bench_decoder(loaded, options, ceilings, report);
  if (options.n_requests[0] > 0) {
    Engine engine(*loaded.backend, std::move(loaded.decoder), loaded.options);
    for (size_t i = 0; i < options.n_requests.size(); ++i) {
      report.add("load",
                 bench_engine(engine, options, options.n_requests[i], options.concurrency[i]));
    }
  }
  report["peak_memory_mib"] = peak_memory_mib();
  report.save();
  std::printf("peak memory %.0f MiB\n", peak_memory_mib());
  return 0;
}

}  // namespace lapidary
