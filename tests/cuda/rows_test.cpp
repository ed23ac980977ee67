// embed, gather_rows, copy_pages, rope_table, ple_inputs and ple_gate of the CUDA backend.
#include "tests/cuda/device_data.h"
#include "tests/cuda/schedules.h"
#include "tests/kernels/data.h"
#include "tests/reference/norm.h"
#include "tests/reference/rope.h"

namespace lapidary {
namespace {

reference::Bounded rounded_to_bf16(reference::Bounded x) {
  return {x.value, x.error + (std::fabs(x.value) + x.error) / 256};
}

}  // namespace

TEST_CASE("CUDA embed returns the scaled row of the packed table", "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (int64_t hidden : {8, 96, 520}) {
    const FileMatrix table(37, hidden, DType::bf16, 1);
    const HostMatrix host = table.host();
    const Weight packed = backend->pack({&host, 1}, WeightForm::stacked);
    const std::vector<int32_t> ids = {36, 0, 16, 15, 0};
    const OnDevice ids_there = to_device(*backend, ids, {5});
    each_schedule([&] {
      const OnDevice out = unwritten(*backend, DType::f32, {5, hidden});
      backend->embed({ids_there, &packed, 1.5F, out});
      const auto rows = from_device(*backend, out);
      for (int64_t i = 0; i < 5 * hidden; ++i) {
        REQUIRE(rows[i] == 1.5F * table.row(ids[i / hidden])[i % hidden]);
      }
    });
  }
}

TEST_CASE("CUDA gather_rows takes rows in the order given", "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (int64_t hidden : {1, 10, 96, 1028}) {
    const auto x = normals(4 * hidden, 1);
    const std::vector<int32_t> rows = {3, 0, 3};
    const OnDevice x_there = to_device(*backend, x, DType::f32, {4, hidden});
    const OnDevice rows_there = to_device(*backend, rows, {3});
    each_schedule([&] {
      const OnDevice out = unwritten(*backend, DType::f32, {3, hidden});
      backend->gather_rows({x_there, rows_there, out});
      const auto taken = from_device(*backend, out);
      for (int64_t i = 0; i < 3 * hidden; ++i) {
        REQUIRE(taken[i] == x[rows[i / hidden] * hidden + i % hidden]);
      }
    });
  }
}

TEST_CASE("CUDA copy_pages copies K and V of whole pages and nothing else", "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (DType dtype : {DType::bf16, DType::f8e4m3}) {
    const int64_t k_page = 3 * kPageSize * 48 * static_cast<int64_t>(dtype_bytes(dtype));
    const int64_t v_page = 3 * kPageSize * 16 * static_cast<int64_t>(dtype_bytes(dtype));
    std::vector<uint8_t> before(5 * k_page);
    for (size_t i = 0; i < before.size(); ++i) before[i] = static_cast<uint8_t>(i * 167 >> 3);
    const OnDevice from = to_device(*backend, std::vector<int32_t>{0, 3}, {2});
    const OnDevice to = to_device(*backend, std::vector<int32_t>{2, 4}, {2});
    each_schedule([&] {
      const Buffer k = backend->allocate(5 * k_page);
      const Buffer v = backend->allocate(5 * v_page);
      backend->upload(k.data(), before.data(), k.bytes());
      backend->upload(v.data(), before.data(), v.bytes());
      backend->copy_pages({from, to, backend->kv_pages(k.data(), dtype, 5, 3, 48),
                           backend->kv_pages(v.data(), dtype, 5, 3, 16)});
      const int source[] = {0, 1, 0, 3, 3};
      for (const auto& [pages, page] : {std::pair{&k, k_page}, std::pair{&v, v_page}}) {
        std::vector<uint8_t> after(pages->bytes());
        backend->download(after.data(), pages->data(), after.size());
        for (int64_t i = 0; i < 5 * page; ++i) {
          REQUIRE(after[i] == before[source[i / page] * page + i % page]);
        }
      }
    });
  }
}

TEST_CASE("CUDA rope_table is right to float rounding at every position", "[cuda]") {
  const auto backend = make_cuda_backend({});
  const std::vector<int32_t> positions = {0, 1, 17, 1023, 65537, 262143};
  for (int64_t n_angles : {1, 37, 128}) {
    std::vector<float> inv_freq;
    for (int64_t i = 0; i < n_angles; ++i) {
      inv_freq.push_back(static_cast<float>(std::pow(1e4, -static_cast<double>(i) / 130)));
    }
    const OnDevice positions_there = to_device(*backend, positions, {6});
    const OnDevice inv_freq_there = to_device(*backend, inv_freq, DType::f32, {n_angles});
    each_schedule([&] {
      const OnDevice out = unwritten(*backend, DType::f32, {6, 2, n_angles});
      backend->rope_table({positions_there, inv_freq_there, out});
      require_close(from_device(*backend, out), [&](int64_t i) {
        const double angle =
            reference::rope_angle(positions[i / (2 * n_angles)], inv_freq[i % n_angles]);
        const double value = i / n_angles % 2 == 0 ? std::cos(angle) : std::sin(angle);
        return reference::Bounded{value, 2 * reference::kUnit * std::fabs(value) + 1e-12};
      });
    });
  }
}

TEST_CASE("CUDA ple_inputs joins the normed projection and the mapped table's row", "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (DType dtype : {DType::bf16, DType::f16, DType::f32}) {
    for (int64_t dim : {3, 20, 256}) {
      for (bool is_aligned : {false, true}) {
        INFO(dtype_name(dtype) << ", ple_dim " << dim << ", aligned " << is_aligned);
        const int64_t layers = 9;
        const int64_t width = layers * dim;
        const int64_t n = 4;
        const FileMatrix table(7, width, dtype, 1);
        HostMatrix host = table.host();
        std::vector<uint64_t> words(static_cast<size_t>(7 * width) * dtype_bytes(dtype) / 8 + 1);
        if (is_aligned) {
          std::memcpy(words.data(), host.data, static_cast<size_t>(7 * width) * dtype_bytes(dtype));
          host.data = words.data();
        }
        const Buffer mapped = backend->map_host(host);
        host.data = mapped.data();
        const std::vector<int32_t> ids = {0, 6, 3, 3};
        const auto projected = rounded_to_bf16(normals(n * width, 2, 5));
        const auto norm = normals(dim, 3);
        const OnDevice ids_there = to_device(*backend, ids, {n});
        const OnDevice projected_there = to_device(*backend, projected, DType::bf16, {n, width});
        const OnDevice norm_there = to_device(*backend, norm, DType::f32, {dim});
        each_schedule([&] {
          const OnDevice out = unwritten(*backend, DType::bf16, {n, width});
          backend->ple_inputs({.ids = ids_there,
                               .table = host,
                               .table_scale = 4,
                               .projected = projected_there,
                               .proj_scale = 0.125F,
                               .norm = norm_there,
                               .out = out});
          require_close(from_device(*backend, out), [&](int64_t i) {
            auto slice = reference::widen(projected.data() + i / dim * dim, dim);
            for (double& x : slice) x *= 0.125;
            const double a = reference::rms_norm(slice, norm.data(), 1e-6)[i % dim];
            const double b = 4.0 * table.row(ids[i / width])[i % width];
            return rounded_to_bf16(reference::Bounded{
                (a + b) * std::sqrt(0.5), 16 * reference::kUnit * (std::fabs(a) + std::fabs(b))});
          });
        });
      }
    }
  }
}

TEST_CASE("CUDA ple_gate multiplies the activated gate with its layer's slice, also in place",
          "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (int64_t dim : {3, 20, 264}) {
    const int64_t n = 5;
    const auto gate = rounded_to_bf16(normals(n * dim, 1, 3));
    const auto ple = rounded_to_bf16(normals(n * 4 * dim, 2));
    const OnDevice ple_there = to_device(*backend, ple, DType::bf16, {n, 4 * dim});
    each_schedule([&] {
      const OnDevice gate_there = to_device(*backend, gate, DType::bf16, {n, dim});
      const OnDevice out = unwritten(*backend, DType::bf16, {n, dim});
      PleGateArgs args{gate_there, ple_there, 2, out};
      backend->ple_gate(args);
      const auto apart = from_device(*backend, out);
      require_close(apart, [&](int64_t i) {
        const double up = ple[i / dim * 4 * dim + 2 * dim + i % dim];
        return rounded_to_bf16(reference::geglu({gate[i], 0}, {up, 0}));
      });
      args.out = args.gate;
      backend->ple_gate(args);
      require_same_bits(from_device(*backend, gate_there), apart);
    });
  }
}

}  // namespace lapidary
