// What CudaBackend does without a kernel: memory, packing, refusals.
#include <cuda_runtime.h>

#include <algorithm>
#include <new>

#include "tests/cuda/device_data.h"
#include "tests/cuda/schedules.h"
#include "tests/catch.h"

namespace lapidary {
namespace {

std::unique_ptr<Backend> open_cuda() { return make_cuda_backend({}); }

uint16_t element(int64_t row, int64_t col) { return static_cast<uint16_t>(row * 131 + col); }

std::vector<uint16_t> matrix(int64_t first_row, int64_t rows, int64_t cols) {
  std::vector<uint16_t> values;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) values.push_back(element(first_row + r, c));
  }
  return values;
}

HostMatrix host(const std::vector<uint16_t>& values, int64_t rows, int64_t cols) {
  return {values.data(), DType::bf16, rows, cols};
}

std::vector<uint16_t> stored(Backend& backend, const Weight& weight) {
  std::vector<uint16_t> values(weight.buffer.bytes() / 2);
  backend.download(values.data(), weight.buffer.data(), weight.buffer.bytes());
  return values;
}

}  // namespace

TEST_CASE("a CUDA backend says what it is and refuses other types", "[cuda]") {
  const auto backend = open_cuda();
  CHECK(why_no_cuda().empty());
  CHECK(backend->description().find("bfloat16") != std::string::npos);
  CHECK(backend->free_bytes() > 0);
  CHECK_THROWS_WITH(make_cuda_backend({.compute = DType::f32}), Catch::Contains("--dtype"));
}

TEST_CASE("kernels for Hopper are taken only when asked for, and refused elsewhere", "[cuda]") {
  const auto rows = [](const Backend& backend, const std::string& word) {
    const std::vector<KernelPath> paths = backend.kernel_paths();
    return std::count_if(paths.begin(), paths.end(), [&](const KernelPath& path) {
      return path.path.find("wgmma") != std::string::npos &&
             path.verb.find(word) != std::string::npos;
    });
  };
  const auto portable = open_cuda();
  CHECK(rows(*portable, "instead") == 0);
#ifdef CUDA_ON_CPU
  CHECK(rows(*portable, "not run") > 0);
  const auto hopper = make_cuda_backend({.cuda_path = CudaPath::hopper});
  CHECK(rows(*hopper, "instead") > 0);
  CHECK(rows(*hopper, "not run") == 0);
  for (const int major : {8, 10}) {
    cuda_on_cpu::set_start({.major = major});
    CHECK_NOTHROW(open_cuda());
    CHECK_THROWS_WITH(make_cuda_backend({.cuda_path = CudaPath::hopper}),
                      Catch::Contains("9.0 is needed") && Catch::Contains("--cuda-path portable"));
  }
  cuda_on_cpu::set_start({});
#endif
}

#ifdef CUDA_ON_CPU
TEST_CASE("why no GPU can be used is said in words", "[cuda]") {
  const auto why = [](const cuda_on_cpu::Start& start) {
    cuda_on_cpu::set_start(start);
    std::string reason = why_no_cuda();
    CHECK_THROWS_WITH(open_cuda(), Catch::Contains(reason) && Catch::Contains("--device cpu"));
    cuda_on_cpu::set_start({});
    return reason;
  };
  CHECK(why({.count = cudaErrorNoDevice}) == "no NVIDIA GPU is visible");
  CHECK(why({.count = cudaErrorInsufficientDriver, .driver = 0}) == "the NVIDIA driver is missing");
  CHECK(why({.count = cudaErrorInsufficientDriver, .driver = 12020}) ==
        "the NVIDIA driver is for CUDA 12.2, this build needs 13.0");
  CHECK(why({.major = 7}) == "CUDA on the CPU has compute capability 7.0, 8.0 is needed");
  CHECK(why_no_cuda().empty());
}

TEST_CASE("a GPU that is busy or full ends the start in one sentence", "[cuda]") {
  cuda_on_cpu::set_start({.open = cudaErrorDevicesUnavailable});
  CHECK_THROWS_WITH(open_cuda(),
                    Catch::Contains("held by another process") && Catch::Contains("nvidia-smi"));
  cuda_on_cpu::set_start({.open = cudaErrorMemoryAllocation});
  CHECK_THROWS_WITH(open_cuda(),
                    Catch::Contains("memory is full") && Catch::Contains("nvidia-smi"));
  cuda_on_cpu::set_start({.open = cudaErrorInvalidDevice});
  CHECK_THROWS_WITH(open_cuda(), Catch::Contains("cannot be started: invalid device ordinal"));
  cuda_on_cpu::set_start({});
  CHECK(open_cuda()->free_bytes() > 0);
}

TEST_CASE("what is free of the device is what was not allocated", "[cuda]") {
  const auto backend = open_cuda();
  CHECK(backend->total_bytes() == int64_t{8} << 30);
  const int64_t free = backend->free_bytes();
  {
    const Buffer taken = backend->allocate(1 << 20);
    CHECK(backend->free_bytes() == free - (1 << 20));
    CHECK_THROWS_AS(backend->allocate(static_cast<size_t>(free)), std::bad_alloc);
  }
  CHECK(backend->free_bytes() == free);
}
#endif

TEST_CASE("device memory starts as zeros and keeps what is uploaded", "[cuda]") {
  const auto backend = open_cuda();
  const Buffer buffer = backend->allocate(1001);
  std::vector<uint8_t> seen(1001, 7);
  backend->download(seen.data(), buffer.data(), seen.size());
  CHECK(seen == std::vector<uint8_t>(1001, 0));
  for (size_t i = 0; i < seen.size(); ++i) seen[i] = static_cast<uint8_t>(i * 7);
  backend->upload(buffer.data(), seen.data(), seen.size());
  std::vector<uint8_t> back(1001);
  backend->download(back.data(), buffer.data(), back.size());
  CHECK(back == seen);
}

TEST_CASE("stacked parts lie after one another, of every expert", "[cuda]") {
  const auto backend = open_cuda();
  const auto first = matrix(0, 6, 16);      // two experts of 3 rows
  const auto second = matrix(100, 10, 16);  // of 5
  HostMatrix parts[] = {host(first, 3, 16), host(second, 5, 16)};
  for (HostMatrix& part : parts) {
    part.count = 2;
    part.count_stride = part.rows * part.cols;
  }
  const Weight weight = backend->pack(parts, WeightForm::stacked);
  CHECK(weight.rows == 8);
  CHECK(weight.cols == 16);
  CHECK(weight.count == 2);
  CHECK(weight.dtype == DType::bf16);
  const auto values = stored(*backend, weight);
  REQUIRE(values.size() == 2 * 8 * 16);
  for (int64_t i = 0; i < 16; ++i) {
    const int64_t expert = i / 8;
    const int64_t row = i % 8 < 3 ? expert * 3 + i % 8 : 100 + expert * 5 + i % 8 - 3;
    for (int64_t c = 0; c < 16; ++c) REQUIRE(values[i * 16 + c] == element(row, c));
  }
}

TEST_CASE("gate and up alternate by eight rows, filled up with zeros", "[cuda]") {
  const auto backend = open_cuda();
  constexpr int64_t kFfn = 21;
  const auto gate = matrix(0, kFfn, 8);
  const auto up = matrix(1000, kFfn, 8);
  const HostMatrix parts[] = {host(gate, kFfn, 8), host(up, kFfn, 8)};
  const Weight weight = backend->pack(parts, WeightForm::gate_up);
  CHECK(weight.rows == 2 * kFfn);
  CHECK(weight.form == WeightForm::gate_up);
  const auto values = stored(*backend, weight);
  REQUIRE(values.size() == 48 * 8);
  for (int64_t stored_row = 0; stored_row < 48; ++stored_row) {
    const int64_t row = stored_row / 16 * 8 + stored_row % 8;
    const int64_t start = stored_row / 8 % 2 * 1000;
    for (int64_t c = 0; c < 8; ++c) {
      REQUIRE(values[stored_row * 8 + c] == (row < kFfn ? element(start + row, c) : 0));
    }
  }
}

TEST_CASE("weights of other types are rounded to bf16", "[cuda]") {
  const auto backend = open_cuda();
  const std::vector<float> floats = {1.0F, -1.00390625F, 1.01171875F, 3e38F, 0.0F, -0.0F, 1e-3F, 7};
  const HostMatrix wide{floats.data(), DType::f32, 1, 8};
  const auto values = stored(*backend, backend->pack({&wide, 1}, WeightForm::stacked));
  for (size_t i = 0; i < 8; ++i) CHECK(values[i] == cpu::float_to_bf16(floats[i]));
  const std::vector<uint16_t> halves = {0x3c00, 0xc000, 0x3555, 0, 0x0001, 0x7bff, 0x8000, 0x4248};
  const HostMatrix half{halves.data(), DType::f16, 1, 8};
  const auto narrowed = stored(*backend, backend->pack({&half, 1}, WeightForm::stacked));
  for (size_t i = 0; i < 8; ++i) {
    CHECK(narrowed[i] == cpu::float_to_bf16(cpu::half_to_float(halves[i])));
  }
}

TEST_CASE("weights arrive whole, though nobody waits and their source is gone at once", "[cuda]") {
  constexpr int64_t kRows = 1100, kCols = 4104;  // 9 MB: three fills, the last one partial
  constexpr int64_t kWeights = 6;                // more than all staging buffers hold
  each_schedule([&] {
    const auto backend = open_cuda();
    std::vector<Weight> weights;
    for (int64_t i = 0; i < kWeights; ++i) {
      std::vector<uint16_t> values = matrix(i * kRows, kRows, kCols);
      const HostMatrix part = host(values, kRows, kCols);
      weights.push_back(backend->pack({&part, 1}, WeightForm::stacked));
      std::fill(values.begin(), values.end(), uint16_t{0x7fc0});
    }
    for (int64_t i = 0; i < kWeights; ++i) {
      REQUIRE(stored(*backend, weights[i]) == matrix(i * kRows, kRows, kCols));
    }
  });
}

TEST_CASE("rows that do not start on 16 bytes are refused in one sentence", "[cuda]") {
  const auto backend = open_cuda();
  const auto values = matrix(0, 2, 12);
  const HostMatrix part = host(values, 2, 12);
  CHECK_THROWS_WITH(backend->pack({&part, 1}, WeightForm::stacked),
                    Catch::Contains("12 columns") && Catch::Contains("multiple of 8"));
}

TEST_CASE("KV pages keep a head's row contiguous", "[cuda]") {
  const auto backend = open_cuda();
  const Tensor pages = backend->kv_pages(nullptr, DType::bf16, 3, 2, 64);
  CHECK(pages.bytes() == 3 * 2 * kPageSize * 64 * 2);
  CHECK(backend->kv_pages(nullptr, DType::f8e4m3, 3, 2, 64).bytes() == pages.bytes() / 2);
}

}  // namespace lapidary
