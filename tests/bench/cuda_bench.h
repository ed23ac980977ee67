// How cuda_bench measures: a verb again and again on inputs that take turns, so that none is still
// in the device's cache when its turn comes, as in a decoder of thirty layers. Calls are recorded
// and replayed as the engine does. What was measured so far is in the JSON file after every row.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "config/build_facts.h"
#include "tests/cuda/device_data.h"

namespace lapidary {

using Json = nlohmann::ordered_json;

// One decoder's shapes.
struct Shape {
  int64_t hidden, ffn, vocab, moe_ffn;
  int n_experts, top_k, n_heads;
  int sliding_kv_heads, sliding_dim, window;
  int global_kv_heads, global_dim, global_turned;
};
inline constexpr Shape kGemma26B = {2816, 2112, 262144, 704, 128, 8, 16, 8, 256, 1024, 2, 512, 128};
inline constexpr Shape kTiny = {64, 48, 331, 16, 16, 4, 4, 2, 32, 24, 1, 64, 16};

struct BenchFlags {
  std::string only, json_file;
  bool is_tiny = false;
};

// Ends the process with what is known when a flag is not.
inline BenchFlags parse(int argc, char** argv) {
  BenchFlags flags;
  const auto refuse = [](const std::string& what) {
    std::fprintf(stderr, "cuda_bench: %s; flags: --only TEXT, --shape 26b|tiny, --json FILE\n",
                 what.c_str());
    std::exit(2);
  };
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    if (i + 1 == argc) refuse(flag + " has no value");
    const std::string value = argv[i + 1];
    if (flag == "--only") {
      flags.only = value;
    } else if (flag == "--json") {
      flags.json_file = value;
    } else if (flag == "--shape" && (value == "26b" || value == "tiny")) {
      flags.is_tiny = value == "tiny";
    } else {
      refuse(flag + " " + value + " is not known");
    }
  }
  return flags;
}

// Random bf16 that many matrices may share: matrix e begins 64 elements behind matrix e - 1.
class SharedMatrix {
 public:
  SharedMatrix(int64_t rows, int64_t cols, int64_t count = 1)
      : rows_(rows), cols_(cols), count_(count), values_(rows * cols + 64 * count) {
    std::mt19937 random(static_cast<unsigned>(rows * 31 + cols));
    const float scale = 2.0F / std::sqrt(static_cast<float>(cols));
    for (uint16_t& v : values_) {
      const float x = static_cast<float>(random()) / 4294967296.0F - 0.5F;
      v = cpu::float_to_bf16(3 * scale * x);
    }
  }
  HostMatrix host() const { return {values_.data(), DType::bf16, rows_, cols_, count_, 64}; }

 private:
  int64_t rows_, cols_, count_;
  std::vector<uint16_t> values_;
};

inline std::unique_ptr<Backend> open_hopper() {
  try {
    return make_cuda_backend({.cuda_path = CudaPath::hopper});
  } catch (const std::runtime_error& error) {
    std::printf("%s\n", error.what());
    return nullptr;
  }
}

inline std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16];
  std::strftime(text, sizeof(text), "%Y-%m-%d", std::gmtime(&now));
  return text;
}

// A case: what a call reads and writes at least, what it computes, the best public timing (0:
// none).
struct Cost {
  double bytes = 0, operations = 0, public_us = 0;
};

class Bench {
 public:
  explicit Bench(const BenchFlags& flags)
      : flags_(flags),
        shape_(flags.is_tiny ? kTiny : kGemma26B),
        backend_(make_cuda_backend({.compute = DType::bf16})),
        ceilings_(backend_->measure_ceilings()),
        facts_(backend_->facts()) {
    std::printf("%s\nmeasured now: copy %.0f GB/s, matrix %.0f GFLOP/s\n\n",
                backend_->description().c_str(), ceilings_.gb_per_s, ceilings_.gflop_per_s);
    std::printf("%-46s %10s %10s %7s %10s\n", "verb, case", "us", "floor us", "share", "public us");
    report_ = {{"backend", backend_->description()},
               {"device", facts_.name},
               {"driver", facts_.driver},
               {"cuda_runtime", facts_.runtime},
               {"clock_mhz", facts_.clock_mhz},
               {"memory_mhz", facts_.memory_mhz},
               {"cache_bytes", facts_.cache_bytes},
               {"commit", build_commit()},
               {"date", today()},
               {"copy_gb_per_s", ceilings_.gb_per_s},
               {"matrix_gflop_per_s", ceilings_.gflop_per_s},
               {"rows", Json::array()}};
    save();
  }

  Backend& backend() { return *backend_; }
  // The same device, --cuda-path hopper; null where it cannot be.
  Backend* hopper() { return hopper_.get(); }
  const Shape& shape() const { return shape_; }
  bool is_tiny() const { return flags_.is_tiny; }
  bool wanted(const std::string& name) const { return name.find(flags_.only) != std::string::npos; }
  // Sizes beyond are left out of the tiny run, which only shows that everything runs.
  std::vector<int64_t> sizes(const std::vector<int64_t>& list) const {
    std::vector<int64_t> kept;
    for (int64_t n : list) {
      if (!flags_.is_tiny || n <= 16) kept.push_back(n);
    }
    return kept;
  }

  // Copies of an input of so many bytes that take turns: between two uses of one, twice the cache's
  // size of others is read.
  int copies_of(double bytes) const {
    if (flags_.is_tiny) return 2;
    const auto cache = static_cast<double>(std::max<int64_t>(facts_.cache_bytes, int64_t{1} << 20));
    return static_cast<int>(std::clamp(std::ceil(2 * cache / bytes) + 1, 1.0, 512.0));
  }

  // call(i): the verb on the i-th of n_copies of its inputs.
  void row(const std::string& name, const Cost& cost, int n_copies,
           const std::function<void(int)>& call) {
    row(*backend_, name, cost, n_copies, call);
  }
  void row(Backend& backend, const std::string& name, const Cost& cost, int n_copies,
           const std::function<void(int)>& call) {
    const int n_calls = flags_.is_tiny ? n_copies : std::max(16, n_copies);
    const auto body = [&] {
      for (int i = 0; i < n_calls; ++i) call(i % n_copies);
    };
    const ReplayKey key{.n_tokens = ++n_rows_};
    std::vector<double> us;
    for (int i = 0; i < (flags_.is_tiny ? 3 : 15); ++i) {
      const auto start = std::chrono::steady_clock::now();
      backend.replay(key, body);
      int32_t waits = 0;
      backend.download(&waits, flag_.buffer.data(), sizeof(waits));
      const std::chrono::duration<double, std::micro> time =
          std::chrono::steady_clock::now() - start;
      if (i >= 2) us.push_back(time.count() / n_calls);  // run once, recorded once
    }
    print(name, cost, n_copies, us);
  }

  // The same for a verb that answers to the host, and so cannot be recorded: host time included.
  void answered_row(const std::string& name, double bytes, const std::function<void()>& call) {
    std::vector<double> us;
    for (int i = 0; i < (flags_.is_tiny ? 2 : 60); ++i) {
      const auto start = std::chrono::steady_clock::now();
      call();
      const std::chrono::duration<double, std::micro> time =
          std::chrono::steady_clock::now() - start;
      if (i >= 1) us.push_back(time.count());
    }
    print(name, {.bytes = bytes}, 1, us);
  }

  OnDevice act(int64_t rows, int64_t cols) { return random(DType::bf16, rows, cols); }
  OnDevice f32(int64_t rows, int64_t cols) { return random(DType::f32, rows, cols); }

 private:
  void print(const std::string& name, const Cost& cost, int n_copies, std::vector<double> us) {
    if (us.empty()) us.push_back(0);
    std::sort(us.begin(), us.end());
    const double median = us[us.size() / 2];
    const double floor =
        std::max(cost.bytes / ceilings_.gb_per_s, cost.operations / ceilings_.gflop_per_s) / 1e3;
    std::printf("%-46s %10.1f %10.1f %6.0f%% ", name.c_str(), median, floor, 100 * floor / median);
    if (cost.public_us > 0) std::printf("%10.1f", cost.public_us);
    std::printf("\n");
    std::fflush(stdout);
    report_["rows"].push_back({{"name", name},
                               {"us", median},
                               {"best_us", us.front()},
                               {"bytes", cost.bytes},
                               {"operations", cost.operations},
                               {"floor_us", floor},
                               {"public_us", cost.public_us},
                               {"inputs_in_turn", n_copies}});
    save();
  }

  void save() const {
    if (flags_.json_file.empty()) return;
    std::ofstream file(flags_.json_file);
    file << report_.dump(2) << "\n";
    if (file) return;
    std::fprintf(stderr, "cuda_bench: cannot write %s\n", flags_.json_file.c_str());
    std::exit(1);
  }

  OnDevice random(DType dtype, int64_t rows, int64_t cols) {
    std::vector<float> values(static_cast<size_t>(rows * cols));
    std::mt19937 generator(7);
    for (float& x : values) x = static_cast<float>(generator()) / 2147483648.0F - 1.0F;
    return to_device(*backend_, values, dtype, {rows, cols});
  }

  const BenchFlags flags_;
  const Shape shape_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Backend> hopper_ = open_hopper();
  const Ceilings ceilings_;
  const DeviceFacts facts_;
  OnDevice flag_ = unwritten(*backend_, DType::i32, {1});
  int n_rows_ = 0;
  Json report_;
};

}  // namespace lapidary
