// embed, gather_rows, copy_pages, allocate, and the choice of the instruction set.
#include <stdexcept>

#include "tests/kernels/data.h"

namespace lapidary {

TEST_CASE("embed returns the scaled row of the packed table", "[kernels]") {
  each_backend([](Backend& backend) {
    for (int64_t hidden : {1, 33, 64}) {
      const FileMatrix table(37, hidden, DType::bf16, 1);
      const HostMatrix host = table.host();
      const Weight packed = backend.pack({&host, 1}, WeightForm::stacked);
      std::vector<int32_t> ids = {36, 0, 16, 15, 0};
      std::vector<float> out(5 * hidden);
      backend.embed({view(ids, {5}), &packed, 1.5F, view(out, {5, hidden})});
      for (int64_t i = 0; i < 5 * hidden; ++i) {
        REQUIRE(out[i] == 1.5F * table.row(ids[i / hidden])[i % hidden]);
      }
    }
  });
}

TEST_CASE("gather_rows takes rows in the order given", "[kernels]") {
  each_backend([](Backend& backend) {
    auto x = normals(4 * 10, 1);
    std::vector<int32_t> rows = {3, 0, 3};
    std::vector<float> out(3 * 10);
    backend.gather_rows({view(x, {4, 10}), view(rows, {3}), view(out, {3, 10})});
    for (int64_t i = 0; i < 30; ++i) REQUIRE(out[i] == x[rows[i / 10] * 10 + i % 10]);
  });
}

TEST_CASE("copy_pages copies K and V of whole pages and nothing else", "[kernels]") {
  each_backend([](Backend& backend) {
    const int64_t page = 2 * kPageSize * 16;
    auto k = normals(4 * page, 1);
    auto v = normals(4 * page, 2);
    const auto k_before = k;
    const auto v_before = v;
    std::vector<int32_t> from = {0, 3};
    std::vector<int32_t> to = {2, 1};
    backend.copy_pages({view(from, {2}), view(to, {2}),
                        backend.kv_pages(k.data(), DType::f32, 4, 2, 16),
                        backend.kv_pages(v.data(), DType::f32, 4, 2, 16)});
    const int source[] = {0, 3, 0, 3};
    for (int64_t i = 0; i < 4 * page; ++i) {
      REQUIRE(k[i] == k_before[source[i / page] * page + i % page]);
      REQUIRE(v[i] == v_before[source[i / page] * page + i % page]);
    }
  });
}

TEST_CASE("allocate returns zeroed, aligned memory of every size", "[kernels]") {
  const auto backend = make_cpu_backend({DType::f32, 1, ""});
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{4096}, size_t{1} << 20, size_t{5} << 20}) {
    const Buffer buffer = backend->allocate(bytes);
    REQUIRE(buffer.data() != nullptr);
    REQUIRE(reinterpret_cast<uintptr_t>(buffer.data()) % 64 == 0);
    for (size_t i = 0; i < bytes; i += 511) REQUIRE(static_cast<char*>(buffer.data())[i] == 0);
  }
}

TEST_CASE("an instruction set that is unknown is refused with the ones there are", "[kernels]") {
  REQUIRE_THROWS_AS(make_cpu_backend({DType::bf16, 1, "avx1024"}), std::invalid_argument);
  try {
    make_cpu_backend({DType::bf16, 1, "avx1024"});
  } catch (const std::invalid_argument& e) {
    CHECK(std::string(e.what()).find("avx1024") != std::string::npos);
    CHECK(std::string(e.what()).find("generic") != std::string::npos);
  }
  for (const std::string& isa : runnable_isas()) {
    const auto backend = make_cpu_backend({DType::bf16, 2, isa});
    CHECK(backend->n_threads() == 2);
    CHECK(backend->description().find(isa) != std::string::npos);
  }
}

}  // namespace lapidary
