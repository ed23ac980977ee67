#include "kernels/cuda/tensor_map.h"

#include <cuda_runtime.h>

#include "kernels/check.h"

namespace lapidary::cuda {
namespace {

using Encode = decltype(&cuTensorMapEncodeTiled);

Encode find_encode() {
  constexpr unsigned kVersion = 12000;  // of the driver's interface
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  const cudaError_t error = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function,
                                                             kVersion, cudaEnableDefault, &found);
  if (error != cudaSuccess) cudaGetLastError();  // it is dealt with here
  if (error != cudaSuccess || found != cudaDriverEntryPointSuccess) return nullptr;
  return reinterpret_cast<Encode>(function);
}

Encode encode() {
  static const Encode function = find_encode();
  return function;
}

}  // namespace

bool has_tensor_maps() { return encode() != nullptr; }

TensorMap make_tensor_map(const void* data, std::initializer_list<TensorDim> dims,
                          TensorSwizzle swizzle) {
  constexpr size_t kMaxRank = 5;
  CHECK(has_tensor_maps() && dims.size() >= 2 && dims.size() <= kMaxRank);
  cuuint64_t sizes[kMaxRank];
  cuuint64_t strides[kMaxRank];  // bytes; the innermost is not given
  cuuint32_t box[kMaxRank];
  cuuint32_t steps[kMaxRank];
  size_t rank = 0;
  for (const TensorDim& dim : dims) {
    sizes[rank] = static_cast<cuuint64_t>(dim.size);
    strides[rank] = static_cast<cuuint64_t>(dim.stride) * 2;
    box[rank] = static_cast<cuuint32_t>(dim.box);
    steps[rank] = 1;
    ++rank;
  }
  CHECK(strides[0] == 2);
  TensorMap map{};
  const CUresult result = encode()(
      &map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, static_cast<cuuint32_t>(rank),
      const_cast<void*>(data), sizes, strides + 1, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
      swizzle == TensorSwizzle::none ? CU_TENSOR_MAP_SWIZZLE_NONE : CU_TENSOR_MAP_SWIZZLE_128B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  CHECK(result == CUDA_SUCCESS);
  return map;
}

}  // namespace lapidary::cuda
