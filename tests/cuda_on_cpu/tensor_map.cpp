#include "tests/cuda_on_cpu/tensor_map.h"

#include <cstring>
#include <vector>

#include "tests/cuda_on_cpu/background.h"
#include "tests/cuda_on_cpu/block.h"
#include "tests/cuda_on_cpu/mbarrier.h"
#include "tests/cuda_on_cpu/proxies.h"
#include "tests/cuda_on_cpu/runtime_state.h"

namespace cuda_on_cpu {
namespace {

constexpr int kMaxRank = 5;
constexpr uint32_t kElementBytes = 2;  // bf16
constexpr uint32_t kMark = 0x746d6170U;

// What our maps hold: fits the driver's size.
struct Content {
  uint32_t mark;
  uint8_t rank, swizzle;
  uint16_t box[kMaxRank];
  const char* data;
  uint32_t dims[kMaxRank];
  uint32_t padding;
  uint64_t strides[kMaxRank - 1];  // bytes
};
static_assert(sizeof(Content) <= sizeof(CUtensorMap));

Content content_of(const CUtensorMap& map) {
  Content content;
  std::memcpy(&content, &map, sizeof(content));
  require(content.mark == kMark, "a bulk copy's tensor map was never encoded");
  return content;
}

uint32_t box_bytes(const Content& map) {
  uint32_t n = kElementBytes;
  for (int i = 0; i < map.rank; ++i) n *= map.box[i];
  return n;
}

// Calls row(offset in the box, first byte in memory or null, bytes inside the tensor) for each
// innermost row of the box.
template <typename Function>
void for_each_row(const Content& map, const std::vector<int>& coordinates, const Function& row) {
  const uint32_t row_bytes = map.box[0] * kElementBytes;
  const uint32_t n_rows = box_bytes(map) / row_bytes;
  for (uint32_t r = 0; r < n_rows; ++r) {
    const char* from = map.data;
    bool is_inside = true;
    uint32_t rest = r;
    for (int i = 1; i < map.rank; ++i) {
      const int64_t at = coordinates[i] + static_cast<int64_t>(rest % map.box[i]);
      rest /= map.box[i];
      is_inside = is_inside && at >= 0 && at < map.dims[i];
      if (is_inside) from += static_cast<uint64_t>(at) * map.strides[i - 1];
    }
    const int64_t left = is_inside ? int64_t{map.dims[0]} - coordinates[0] : 0;
    const auto n = static_cast<uint32_t>(std::clamp<int64_t>(left, 0, map.box[0])) * kElementBytes;
    row(r * row_bytes, n == 0 ? nullptr : from + int64_t{coordinates[0]} * kElementBytes, n);
  }
}

void land(const Content& map, const std::vector<int>& coordinates, unsigned char* shared) {
  const uint32_t first = shared_address(shared);
  const uint32_t row_bytes = map.box[0] * kElementBytes;
  std::vector<unsigned char> bytes(row_bytes);
  for_each_row(map, coordinates, [&](uint32_t offset, const char* from, uint32_t n) {
    if (n > 0) std::memcpy(bytes.data(), from, n);
    std::memset(bytes.data() + n, 0, row_bytes - n);
    for (uint32_t i = 0; i < row_bytes; i += 16) {
      const uint32_t address = first + offset + i;
      const bool is_swizzled = map.swizzle == CU_TENSOR_MAP_SWIZZLE_128B;
      const uint32_t place = is_swizzled ? swizzled_128(address) : address;
      async_write(shared + (place - first), bytes.data() + i, 16);
    }
  });
}

}  // namespace

void tensor_copy(void* shared, const CUtensorMap& map, uint64_t* barrier, const int* coordinates,
                 int rank) {
  const Content content = content_of(map);
  require(reinterpret_cast<uintptr_t>(&map) % 64 == 0, "a tensor map is not aligned to 64 bytes");
  require(content.rank == rank, "a bulk copy names another number of dims than its tensor map");
  const uint32_t unit = content.swizzle == CU_TENSOR_MAP_SWIZZLE_128B ? 1024 : 128;
  require(shared_address(shared) % unit == 0,
          "a bulk copy's place in shared memory is not aligned (128 bytes; swizzled 1024)");
  const uint32_t n = box_bytes(content);
  expect_async_write(shared, n);
  note_write(shared, n);
  const std::vector<int> first(coordinates, coordinates + rank);
  for_each_row(content, first, [](uint32_t, const char* from, uint32_t bytes) {
    if (bytes > 0) note_read(from, bytes);
  });
  mbarrier_begin(barrier);
  note_progress();
  auto* to = static_cast<unsigned char*>(shared);
  in_background(kNobody, [content, first, to, barrier, n] {
    land(content, first, to);
    mbarrier_complete_bytes(barrier, n);
  });
}

}  // namespace cuda_on_cpu

using namespace cuda_on_cpu;

// Refuses what the driver's documentation forbids, and what is not emulated.
CUresult cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank,
                                void* address, const cuuint64_t* dims, const cuuint64_t* strides,
                                const cuuint32_t* box, const cuuint32_t* element_strides,
                                CUtensorMapInterleave, CUtensorMapSwizzle swizzle,
                                CUtensorMapL2promotion, CUtensorMapFloatOOBfill) {
  const bool is_128 = swizzle == CU_TENSOR_MAP_SWIZZLE_128B;
  if (type != CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 || rank < 2 || rank > kMaxRank ||
      reinterpret_cast<uintptr_t>(map) % 64 != 0 ||
      reinterpret_cast<uintptr_t>(address) % 16 != 0 ||
      (swizzle != CU_TENSOR_MAP_SWIZZLE_NONE && !is_128)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  Content content{kMark,
                  static_cast<uint8_t>(rank),
                  static_cast<uint8_t>(swizzle),
                  {},
                  static_cast<const char*>(address),
                  {},
                  0,
                  {}};
  for (cuuint32_t i = 0; i < rank; ++i) {
    if (dims[i] == 0 || dims[i] > 0xffffffffU || box[i] == 0 || box[i] > 256 ||
        element_strides[i] != 1) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    content.dims[i] = static_cast<uint32_t>(dims[i]);
    content.box[i] = static_cast<uint16_t>(box[i]);
    if (i == 0) continue;
    if (strides[i - 1] % 16 != 0 || strides[i - 1] >= uint64_t{1} << 40) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    content.strides[i - 1] = strides[i - 1];
  }
  const uint32_t row_bytes = box[0] * kElementBytes;
  if (row_bytes % 16 != 0 || (is_128 && row_bytes > 128)) return CUDA_ERROR_INVALID_VALUE;
  std::memset(map, 0, sizeof(*map));
  std::memcpy(map, &content, sizeof(content));
  return CUDA_SUCCESS;
}

cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned,
                                             unsigned long long,
                                             cudaDriverEntryPointQueryResult* found) {
  const bool is_known = std::strcmp(symbol, "cuTensorMapEncodeTiled") == 0;
  *function = is_known ? reinterpret_cast<void*>(&cuTensorMapEncodeTiled) : nullptr;
  *found = is_known ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}
