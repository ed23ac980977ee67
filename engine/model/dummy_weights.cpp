#include "engine/model/dummy_weights.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <new>
#include <thread>
#include <vector>

#include "kernels/check.h"

namespace lapidary {
namespace {

// Stafford's variant 13 of the 64-bit finaliser: every bit of the input moves every bit out.
uint64_t mixed(uint64_t x) {
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ x >> 27) * 0x94D049BB133111EBULL;
  return x ^ x >> 31;
}

// FNV-1a, so that a tensor's values do not depend on the others.
uint64_t name_key(uint64_t seed, const std::string& name) {
  uint64_t h = 0xCBF29CE484222325ULL;
  for (char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return mixed(h ^ mixed(seed + 0x9E3779B97F4A7C15ULL));
}

uint16_t to_bf16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// Rounds to nearest; magnitudes are far below f16's maximum.
uint16_t to_f16(float x) {
  const auto sign = static_cast<uint16_t>(std::bit_cast<uint32_t>(x) >> 16 & 0x8000);
  const float a = std::fabs(x);
  if (a < 6.103515625e-5F) {  // subnormal: a multiple of 2^-24
    return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::lrintf(a * 16777216.0F)));
  }
  const auto bits = std::bit_cast<uint32_t>(a);
  const uint32_t rounded = bits + 0xFFF + (bits >> 13 & 1);
  return static_cast<uint16_t>(sign | static_cast<uint16_t>((rounded >> 13) - (112U << 10)));
}

// How the values of a role spread: matrices 1 / sqrt(inputs), so that each layer keeps the size of
// what it is given.
float standard_deviation(const TensorSpec& spec) {
  const auto inputs = static_cast<float>(spec.shape.back());
  switch (spec.role) {
    // With a final norm of 1 the logits get a deviation of 3: neither flat nor one-hot.
    case TensorRole::embedding:
      return 3.0F / std::sqrt(inputs);
    // Scaled by sqrt(ple_dim) when read, then as large as the projection beside it.
    case TensorRole::ple_table:
      return 0.0625F;
    // The router's input has length 1, so this gives router logits of deviation 1.
    case TensorRole::router:
      return 1.0F;
    default:
      return 1.0F / std::sqrt(inputs);
  }
}

void store(std::byte* out, DType dtype, int64_t i, float x) {
  if (dtype == DType::f32) {
    reinterpret_cast<float*>(out)[i] = x;
  } else {
    reinterpret_cast<uint16_t*>(out)[i] = dtype == DType::bf16 ? to_bf16(x) : to_f16(x);
  }
}

// Elements [begin, end), uniform in [-limit, limit]: element i has 16 bits of hash i / 4.
// REQUIRES: begin is a multiple of 4.
void fill(std::byte* out, DType dtype, uint64_t key, float limit, int64_t begin, int64_t end) {
  const float step = limit / 32768.0F;
  for (int64_t i = begin; i < end; i += 4) {
    const uint64_t word = mixed(key + static_cast<uint64_t>(i / 4) * 0x9E3779B97F4A7C15ULL);
    const int64_t n = std::min<int64_t>(4, end - i);
    for (int64_t k = 0; k < n; ++k) {
      store(out, dtype, i + k, static_cast<float>(static_cast<int16_t>(word >> k * 16)) * step);
    }
  }
}

DType declared(const ModelConfig& config) {
  if (config.dtype == "bfloat16") return DType::bf16;
  if (config.dtype == "float16") return DType::f16;
  CHECK(config.dtype == "float32");
  return DType::f32;
}

}  // namespace

DummyWeights::DummyWeights(const ModelConfig& config, uint64_t seed, int n_threads)
    : dtype_(declared(config)), seed_(seed), n_threads_(n_threads) {
  for (const TensorSpec& spec : expected_tensors(config)) {
    if (!spec.optional) names_.insert(spec.name);
  }
  if (n_threads_ == 0) {
    n_threads_ = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }
}

bool DummyWeights::has(std::string_view name) const { return names_.find(name) != names_.end(); }

HostTensor DummyWeights::get(const TensorSpec& spec) {
  const int64_t count = spec.count();
  const int64_t bytes = count * static_cast<int64_t>(dtype_bytes(dtype_));
  std::shared_ptr<std::byte> memory(static_cast<std::byte*>(std::malloc(bytes)), &std::free);
  if (!memory) throw std::bad_alloc();

  const bool is_vector = spec.role == TensorRole::norm || spec.role == TensorRole::qk_norm ||
                         spec.role == TensorRole::layer_scalar;
  if (is_vector) {
    // Attention scores are q . k unscaled: unit vectors on average need head_dim^-0.25 each.
    const float x = spec.role == TensorRole::qk_norm
                        ? std::pow(static_cast<float>(spec.shape[0]), -0.25F)
                        : 1.0F;
    for (int64_t i = 0; i < count; ++i) store(memory.get(), dtype_, i, x);
  } else {
    fill_parallel(memory.get(), spec);
  }
  return {
      .dtype = dtype_, .shape = spec.shape, .data = memory.get(), .bytes = bytes, .owner = memory};
}

void DummyWeights::fill_parallel(std::byte* out, const TensorSpec& spec) const {
  const int64_t count = spec.count();
  const uint64_t key = name_key(seed_, spec.name);
  // A uniform distribution of half width L has deviation L / sqrt(3).
  const float limit = standard_deviation(spec) * 1.7320508F;
  constexpr int64_t kLeastShare = 1 << 16;  // below, a thread costs more than it gives
  const int64_t n = std::clamp<int64_t>(count / kLeastShare, 1, n_threads_);
  const int64_t share = count / n / 4 * 4;
  std::vector<std::thread> threads;
  for (int64_t t = 1; t < n; ++t) {
    const int64_t end = t + 1 == n ? count : share * (t + 1);
    threads.emplace_back(fill, out, dtype_, key, limit, share * t, end);
  }
  fill(out, dtype_, key, limit, 0, n == 1 ? count : share);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace lapidary
