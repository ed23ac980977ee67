// add_embeddings, clip, pool_rows and widen of the CUDA backend.
#include "tests/cuda/device_data.h"
#include "tests/cuda/schedules.h"
#include "tests/kernels/data.h"
#include "tests/reference/media.h"

namespace lapidary {
namespace {

float bf16(float x) { return static_cast<float>(reference::round_bf16(x)); }

}  // namespace

TEST_CASE("CUDA add_embeddings adds several rows of a table", "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (int64_t hidden : {8, 96, 520}) {
    const FileMatrix table(37, hidden, DType::bf16, 1);
    const HostMatrix host = table.host();
    const Weight packed = backend->pack({&host, 1}, WeightForm::stacked);
    const auto x = normals(3 * hidden, 2);
    const std::vector<int32_t> ids = {36, 0, 16, 16, 0, 5};
    const OnDevice x_there = to_device(*backend, x, DType::bf16, {3, hidden});
    const OnDevice ids_there = to_device(*backend, ids, {3, 2});
    each_schedule([&] {
      const OnDevice out = unwritten(*backend, DType::f32, {3, hidden});
      backend->add_embeddings({x_there, ids_there, &packed, out});
      require_close(from_device(*backend, out), [&](int64_t i) {
        const int64_t t = i / hidden;
        return reference::sum_of(
            bf16(x[i]), {table.row(ids[2 * t])[i % hidden], table.row(ids[2 * t + 1])[i % hidden]});
      });
    });
  }
}

TEST_CASE("CUDA clip writes its columns and nothing else, also in place", "[cuda]") {
  const auto backend = make_cuda_backend({});
  const int64_t n = 5;
  const int64_t width = 19;
  const auto x = normals(n * width, 1, 3);
  const OnDevice x_there = to_device(*backend, x, DType::bf16, {n, width});
  each_schedule([&] {
    const OnDevice out =
        to_device(*backend, std::vector<float>(n * 50, 7.0F), DType::bf16, {n, 50});
    backend->clip({x_there, -1.5F, 2.0F, 30, out});
    const auto clipped = from_device(*backend, out);
    for (int64_t i = 0; i < n * 50; ++i) {
      const int64_t column = i % 50 - 30;
      const bool inside = column >= 0 && column < width;
      const float in = inside ? bf16(x[i / 50 * width + column]) : 7.0F;
      REQUIRE(clipped[i] == (inside ? std::fmin(std::fmax(in, -1.5F), 2.0F) : 7.0F));
    }
    const OnDevice own = to_device(*backend, x, DType::bf16, {n, width});
    backend->clip({own, -INFINITY, 0.5F, 0, own});
    const auto in_place = from_device(*backend, own);
    for (int64_t i = 0; i < n * width; ++i) REQUIRE(in_place[i] == std::fmin(bf16(x[i]), 0.5F));
  });
}

TEST_CASE("CUDA pool_rows takes means of chosen rows, standardised or not", "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (int64_t hidden : {1, 20, 300}) {
    const auto h = normals(12 * hidden, 1, 4);
    const auto shift = normals(hidden, 2);
    const auto factor = normals(hidden, 3);
    const std::vector<int32_t> rows = {0, 1, 2, 3, 11, 10, 9, 11, 5, 5, 5, 5};
    const OnDevice h_there = to_device(*backend, h, DType::f32, {12, hidden});
    const OnDevice rows_there = to_device(*backend, rows, {3, 4});
    const OnDevice shift_there = to_device(*backend, shift, DType::f32, {hidden});
    const OnDevice factor_there = to_device(*backend, factor, DType::f32, {hidden});
    for (bool is_standardised : {false, true}) {
      each_schedule([&] {
        const OnDevice out = unwritten(*backend, DType::f32, {3, hidden});
        PoolRowsArgs args;
        args.h = h_there;
        args.rows = rows_there;
        args.scale = 5.5F;
        if (is_standardised) args.shift = shift_there;
        if (is_standardised) args.factor = factor_there;
        args.out = out;
        backend->pool_rows(args);
        require_close(from_device(*backend, out), [&](int64_t i) {
          std::vector<double> values;
          const int64_t column = i % hidden;
          for (int j = 0; j < 4; ++j)
            values.push_back(h[rows[i / hidden * 4 + j] * hidden + column]);
          return reference::pooled(values, 5.5, is_standardised ? shift[column] : 0,
                                   is_standardised ? factor[column] : 1);
        });
      });
    }
  }
}

TEST_CASE("CUDA widen writes bf16 rows as float32, into a part of h and no further", "[cuda]") {
  const auto backend = make_cuda_backend({});
  const auto x = normals(2 * 300, 1);
  const auto before = normals(5 * 300, 2);
  const OnDevice x_there = to_device(*backend, x, DType::bf16, {2, 300});
  each_schedule([&] {
    const OnDevice h = to_device(*backend, before, DType::f32, {5, 300});
    backend->widen({x_there, h.tensor.rows(1, 2)});
    const auto after = from_device(*backend, h);
    for (int64_t i = 0; i < 1500; ++i) {
      REQUIRE(after[i] == (i >= 300 && i < 900 ? bf16(x[i - 300]) : before[i]));
    }
  });
}

}  // namespace lapidary
