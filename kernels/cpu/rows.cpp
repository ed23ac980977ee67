// embed, gather_rows, copy_pages: what moves rows and does no arithmetic worth the name.
#include <cstring>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/pack.h"

namespace lapidary::cpu {

void CpuBackend::embed(const EmbedArgs& args) {
  const Weight& table = *args.table;
  const int64_t n = args.ids.dim(0);
  CHECK(table.form == WeightForm::stacked && table.count == 1);
  expect_shape(args.ids, DType::i32, {n});
  expect_shape(args.out, DType::f32, {n, table.cols});
  const auto* ids = args.ids.as<int32_t>();
  auto* out = args.out.as<float>();
  for (int64_t i = 0; i < n; ++i) CHECK(ids[i] >= 0 && ids[i] < table.rows);
  pool_.run_ranges(n, 2 * table.cols, [&](int, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      unpack_row(table, 0, ids[i], args.scale, out + i * table.cols);
    }
  });
}

void CpuBackend::gather_rows(const GatherRowsArgs& args) {
  const int64_t n = args.rows.dim(0);
  const int64_t hidden = args.x.dim(1);
  expect_shape(args.x, DType::f32, {args.x.dim(0), hidden});
  expect_shape(args.rows, DType::i32, {n});
  expect_shape(args.out, DType::f32, {n, hidden});
  const auto* rows = args.rows.as<int32_t>();
  for (int64_t i = 0; i < n; ++i) {
    CHECK(rows[i] >= 0 && rows[i] < args.x.dim(0));
    std::memcpy(args.out.as<float>() + i * hidden, args.x.as<float>() + rows[i] * hidden,
                static_cast<size_t>(hidden) * 4);
  }
}

void CpuBackend::copy_pages(const CopyPagesArgs& args) {
  const int64_t n = args.from.dim(0);
  expect_shape(args.from, DType::i32, {n});
  expect_shape(args.to, DType::i32, {n});
  const auto* from = args.from.as<int32_t>();
  const auto* to = args.to.as<int32_t>();
  for (const Tensor* pages : {&args.k_pages, &args.v_pages}) {
    const int64_t n_pages = pages->dim(0);
    const size_t bytes = pages->bytes() / static_cast<size_t>(n_pages);
    auto* data = static_cast<char*>(pages->data);
    for (int64_t i = 0; i < n; ++i) {
      CHECK(from[i] >= 0 && from[i] < n_pages && to[i] >= 0 && to[i] < n_pages);
      std::memcpy(data + to[i] * bytes, data + from[i] * bytes, bytes);
    }
  }
}

}  // namespace lapidary::cpu
