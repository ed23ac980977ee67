// ple_inputs and ple_gate against the plain twin.
#include "tests/kernels/data.h"
#include "tests/reference/norm.h"

namespace lapidary {

TEST_CASE("ple_inputs joins the normed projection and the table row, layer by layer", "[kernels]") {
  each_backend([](Backend& backend) {
    for (DType dtype : {DType::bf16, DType::f16, DType::f32}) {
      for (int64_t dim : {16, 20}) {
        INFO(dtype_name(dtype) << ", ple_dim " << dim);
        const int64_t layers = 3;
        const int64_t width = layers * dim;
        const FileMatrix table(7, width, dtype, 1);
        std::vector<int32_t> ids = {0, 6, 3, 3};
        const int64_t n = 4;
        auto projected = normals(n * width, 2, 5);
        auto norm = normals(dim, 3);
        std::vector<float> out(n * width);
        PleInputsArgs args;
        args.ids = view(ids, {n});
        args.table = table.host();
        args.table_scale = 4;
        args.projected = view(projected, {n, width});
        args.proj_scale = 0.125F;
        args.norm = view(norm, {dim});
        args.out = view(out, {n, width});
        backend.ple_inputs(args);
        require_close(out, [&](int64_t i) {
          const int64_t from = i / dim * dim;
          auto slice = reference::widen(projected.data() + from, dim);
          for (double& x : slice) x *= 0.125;
          const double a = reference::rms_norm(slice, norm.data(), 1e-6)[i % dim];
          const double b = 4.0 * table.row(ids[i / width])[i % width];
          return reference::Bounded{(a + b) * std::sqrt(0.5),
                                    16 * reference::kUnit * (std::fabs(a) + std::fabs(b))};
        });
      }
    }
  });
}

TEST_CASE("ple_gate multiplies the activated gate with its layer's slice, also in place",
          "[kernels]") {
  each_backend([](Backend& backend) {
    for (int64_t dim : {16, 20, 256}) {
      const int64_t n = 5;
      auto gate = normals(n * dim, 1, 3);
      auto ple = normals(n * 4 * dim, 2);
      std::vector<float> out(n * dim);
      PleGateArgs args{view(gate, {n, dim}), view(ple, {n, 4 * dim}), 2, view(out, {n, dim})};
      backend.ple_gate(args);
      require_close(out, [&](int64_t i) {
        const double up = ple[i / dim * 4 * dim + 2 * dim + i % dim];
        return reference::geglu({gate[i], 0}, {up, 0});
      });
      args.out = args.gate;
      backend.ple_gate(args);
      require_same_bits(gate, out);
    }
  });
}

}  // namespace lapidary
