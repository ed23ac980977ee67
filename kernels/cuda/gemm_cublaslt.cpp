// cuBLASLt. In its column-major terms the product is out^T [rows, n] = weight [rows, cols]
// . x^T [cols, n]: the weight is the transposed first operand.
#include <cublasLt.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <tuple>

#include "kernels/check.h"
#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/gemm.h"

namespace lapidary::cuda {
namespace {

constexpr size_t kWorkspaceBytes = size_t{32} << 20;  // what cuBLAS recommends for Hopper

void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  std::fprintf(stderr, "cuBLASLt: %s (%s)\n", cublasLtGetStatusString(status), call);
  std::fflush(stderr);
  std::_Exit(70);
}

struct Layouts {
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t weight = nullptr, x = nullptr, out = nullptr;

  explicit Layouts(const GemmArgs& args) {
    const auto rows = static_cast<uint64_t>(args.rows);
    const auto cols = static_cast<uint64_t>(args.cols);
    const auto n = static_cast<uint64_t>(args.n);
    const cudaDataType_t out_type = args.out_dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F;
    check(cublasLtMatmulDescCreate(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F), "MatmulDescCreate");
    const cublasOperation_t transposed = CUBLAS_OP_T;
    check(cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                         sizeof(transposed)),
          "MatmulDescSetAttribute");
    check(cublasLtMatrixLayoutCreate(&weight, CUDA_R_16BF, cols, rows, args.cols), "layout");
    check(cublasLtMatrixLayoutCreate(&x, CUDA_R_16BF, cols, n, args.cols), "layout");
    check(cublasLtMatrixLayoutCreate(&out, out_type, rows, n, args.rows), "layout");
  }
  ~Layouts() {
    cublasLtMatrixLayoutDestroy(weight);
    cublasLtMatrixLayoutDestroy(x);
    cublasLtMatrixLayoutDestroy(out);
    cublasLtMatmulDescDestroy(product);
  }
  Layouts(const Layouts&) = delete;
  Layouts& operator=(const Layouts&) = delete;
};

using Shape = std::tuple<int64_t, int64_t, int64_t, DType>;

}  // namespace

struct Gemm::State {
  cublasLtHandle_t handle = nullptr;
  Buffer workspace = allocate_device(kWorkspaceBytes);
  std::map<Shape, cublasLtMatmulAlgo_t> chosen;

  State() {
    const cublasStatus_t status = cublasLtCreate(&handle);
    if (status == CUBLAS_STATUS_SUCCESS) return;
    throw std::runtime_error(
        std::string("cuBLASLt cannot be started: ") + cublasLtGetStatusString(status) +
        "; free memory on the GPU (nvidia-smi lists who holds it), or use --device cpu.");
  }
  ~State() { cublasLtDestroy(handle); }

  // The first proposal of the heuristic, kept: asking costs more than a small product.
  const cublasLtMatmulAlgo_t& algorithm(const GemmArgs& args, const Layouts& layouts) {
    const Shape shape{args.n, args.rows, args.cols, args.out_dtype};
    const auto found = chosen.find(shape);
    if (found != chosen.end()) return found->second;
    cublasLtMatmulPreference_t preference = nullptr;
    check(cublasLtMatmulPreferenceCreate(&preference), "PreferenceCreate");
    const size_t bytes = kWorkspaceBytes;
    check(cublasLtMatmulPreferenceSetAttribute(
              preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof(bytes)),
          "PreferenceSetAttribute");
    // Parts of k are added in float32, never in the output's type.
    const uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    check(cublasLtMatmulPreferenceSetAttribute(preference,
                                               CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                               &reductions, sizeof(reductions)),
          "PreferenceSetAttribute");
    // Activations and outputs lie where the engine put them; the default would be 256.
    const uint32_t alignment = 16;
    for (const cublasLtMatmulPreferenceAttributes_t of :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
      check(cublasLtMatmulPreferenceSetAttribute(preference, of, &alignment, sizeof(alignment)),
            "PreferenceSetAttribute");
    }
    cublasLtMatmulHeuristicResult_t best{};
    int n_found = 0;
    check(cublasLtMatmulAlgoGetHeuristic(handle, layouts.product, layouts.weight, layouts.x,
                                         layouts.out, layouts.out, preference, 1, &best, &n_found),
          "AlgoGetHeuristic");
    cublasLtMatmulPreferenceDestroy(preference);
    CHECK(n_found == 1);
    return chosen.emplace(shape, best.algo).first->second;
  }
};

Gemm::Gemm() : state_(std::make_unique<State>()) {}
Gemm::~Gemm() = default;

void Gemm::run(const GemmArgs& args, cudaStream_t stream) {
  CHECK(args.cols % 8 == 0 && args.n > 0 && args.rows > 0);
  CHECK(args.out_dtype == DType::bf16 || args.out_dtype == DType::f32);
  const Layouts layouts(args);
  const cublasLtMatmulAlgo_t& algorithm = state_->algorithm(args, layouts);
  const float one = 1.0F;
  const float zero = 0.0F;
  check(cublasLtMatmul(state_->handle, layouts.product, &one, args.weight, layouts.weight, args.x,
                       layouts.x, &zero, args.out, layouts.out, args.out, layouts.out, &algorithm,
                       state_->workspace.data(), kWorkspaceBytes, stream),
        "Matmul");
}

}  // namespace lapidary::cuda
