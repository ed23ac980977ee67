// add_embeddings, clip, pool_rows and widen against plain loops.
#include "tests/kernels/data.h"
#include "tests/reference/media.h"

namespace lapidary {

TEST_CASE("add_embeddings adds several rows of a table", "[kernels]") {
  each_backend([](Backend& backend) {
    for (int64_t hidden : {1, 33, 64}) {
      const FileMatrix table(37, hidden, DType::bf16, 1);
      const HostMatrix host = table.host();
      const Weight packed = backend.pack({&host, 1}, WeightForm::stacked);
      auto x = normals(3 * hidden, 2);
      std::vector<int32_t> ids = {36, 0, 16, 16, 0, 5};
      std::vector<float> out(3 * hidden);
      backend.add_embeddings(
          {view(x, {3, hidden}), view(ids, {3, 2}), &packed, view(out, {3, hidden})});
      require_close(out, [&](int64_t i) {
        const int64_t t = i / hidden;
        return reference::sum_of(
            x[i], {table.row(ids[2 * t])[i % hidden], table.row(ids[2 * t + 1])[i % hidden]});
      });
    }
  });
}

TEST_CASE("clip writes its columns and nothing else, also in place", "[kernels]") {
  each_backend([](Backend& backend) {
    const int64_t n = 5;
    const int64_t width = 19;
    auto x = normals(n * width, 1, 3);
    x[7] = INFINITY;
    x[8] = -INFINITY;
    std::vector<float> out(n * 50, 7.0F);
    backend.clip({view(x, {n, width}), -1.5F, 2.0F, 30, view(out, {n, 50})});
    for (int64_t i = 0; i < n * 50; ++i) {
      const int64_t column = i % 50 - 30;
      const bool inside = column >= 0 && column < width;
      const float in = inside ? x[i / 50 * width + column] : 7.0F;
      REQUIRE(out[i] == (inside ? std::fmin(std::fmax(in, -1.5F), 2.0F) : 7.0F));
    }
    const auto before = x;
    backend.clip({view(x, {n, width}), -INFINITY, 0.5F, 0, view(x, {n, width})});
    for (int64_t i = 0; i < n * width; ++i) REQUIRE(x[i] == std::fmin(before[i], 0.5F));
  });
}

TEST_CASE("pool_rows takes means of chosen rows, standardised or not", "[kernels]") {
  each_backend([](Backend& backend) {
    for (int64_t hidden : {1, 20, 64}) {
      auto h = normals(12 * hidden, 1, 4);
      auto shift = normals(hidden, 2);
      auto factor = normals(hidden, 3);
      std::vector<int32_t> rows = {0, 1, 2, 3, 11, 10, 9, 11, 5, 5, 5, 5};
      for (bool is_standardised : {false, true}) {
        PoolRowsArgs args;
        std::vector<float> out(3 * hidden);
        args.h = view(h, {12, hidden});
        args.rows = view(rows, {3, 4});
        args.scale = 5.5F;
        if (is_standardised) args.shift = view(shift, {hidden});
        if (is_standardised) args.factor = view(factor, {hidden});
        args.out = view(out, {3, hidden});
        backend.pool_rows(args);
        require_close(out, [&](int64_t i) {
          std::vector<double> values;
          const int64_t column = i % hidden;
          for (int j = 0; j < 4; ++j)
            values.push_back(h[rows[i / hidden * 4 + j] * hidden + column]);
          return reference::pooled(values, 5.5, is_standardised ? shift[column] : 0,
                                   is_standardised ? factor[column] : 1);
        });
      }
    }
  });
}

TEST_CASE("widen copies rows into a part of h and no further", "[kernels]") {
  each_backend([](Backend& backend) {
    auto x = normals(2 * 10, 1);
    auto h = normals(5 * 10, 2);
    const auto before = h;
    backend.widen({view(x, {2, 10}), view(h, {5, 10}).rows(1, 2)});
    for (int64_t i = 0; i < 50; ++i) {
      REQUIRE(h[i] == (i >= 10 && i < 30 ? x[i - 10] : before[i]));
    }
  });
}

}  // namespace lapidary
