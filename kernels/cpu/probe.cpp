#include "kernels/cpu/probe.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/memory.h"
#include "kernels/cpu/thread_pool.h"

namespace lapidary::cpu {
namespace {

template <typename Body>
double seconds(const Body& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

double read_bandwidth(int n_threads, const std::string& isa) {
  constexpr int64_t kBytes = int64_t{512} << 20;
  // Timed in windows, so that a moment without other load is enough.
  constexpr int64_t kWindow = int64_t{64} << 20;
  constexpr int64_t kPiece = int64_t{1} << 20;
  constexpr int kPasses = 8;
  const Kernels& kernels = choose_kernels(isa.c_str());
  ThreadPool pool(n_threads);
  const Buffer buffer = allocate_zeroed(kBytes);
  auto* data = static_cast<char*>(buffer.data());
  pool.run(kBytes / kPiece, [&](int, int64_t i) {
    auto* x = reinterpret_cast<float*>(data + i * kPiece);
    std::fill_n(x, kPiece / 4, 1.0F);
  });
  std::vector<float> sums(kBytes / kPiece);
  double best = 0;
  for (int64_t window = 0; window < kPasses * kBytes / kWindow; ++window) {
    const int64_t first = window * kWindow % kBytes / kPiece;
    const double time = seconds([&] {
      pool.run(kWindow / kPiece, [&](int, int64_t i) {
        sums[first + i] = kernels.stream(data + (first + i) * kPiece, kPiece);
      });
    });
    best = std::max(best, kWindow / time / 1e9);
  }
  for (float sum : sums) CHECK(sum > 0);
  return best;
}

double peak_gflops(DType dtype, int n_threads, const std::string& isa) {
  constexpr int64_t kRounds = 64 * 1000;
  constexpr int kPieces = 64;
  const Kernels& kernels = choose_kernels(isa.c_str());
  const auto product = dtype == DType::bf16 ? Product::bf16_bf16 : Product::f32_f32;
  ThreadPool pool(n_threads);
  std::vector<float> sinks(kPieces * 16);
  std::vector<int64_t> operations(kPieces);
  double best = 0;
  for (int pass = 0; pass < 300; ++pass) {
    const double time = seconds([&] {
      pool.run(kPieces, [&](int, int64_t i) {
        operations[i] = kernels.peak[static_cast<int>(product)](kRounds / kPieces, &sinks[i * 16]);
      });
    });
    best = std::max(best, static_cast<double>(operations[0]) * kPieces / time / 1e9);
  }
  return best;
}

}  // namespace lapidary::cpu
