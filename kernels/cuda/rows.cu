// embed, gather_rows, copy_pages, rope_table, ple_inputs, ple_gate: what moves rows and does little
// arithmetic. Each verb is one launch; every thread writes what it read, 16 bytes at a time where
// rows allow it; there are no barriers and nothing is shared between threads but ple_inputs' sum.
//
// Bytes, by arithmetic at 4.3 TB/s (26B, hidden 2816): embed 2 + 4 a column, 17 KB a token;
// gather_rows 8 a column, 23 KB a row; a step of 256 tokens 1 us each, so the launch is what they
// cost. copy_pages moves each page twice. rope_table writes 8 bytes an angle.
// ple_inputs (E4B: 42 layers of 256) reads 21 KB of projection and writes as much a token, and
// takes 21 KB of table rows over the bus from the mapped file: at 50 GB/s 0.4 us a token, the
// limit.
#include <cstring>
#include <stdexcept>
#include <string>

#include "kernels/check.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/lanes.cuh"
#include "kernels/cuda/thread_each.cuh"

namespace lapidary::cuda {
namespace {

constexpr int kThreads = kThreadsEach;

// --- rows ---

// A thread: eight columns of a row.
__global__ void embed_kernel(const int32_t* ids, const bf16* table, float scale, int64_t n,
                             int64_t hidden, float* out) {
  const int64_t groups = hidden / 8;
  const int64_t i = thread_of_grid();
  if (i >= n * groups) return;
  const int64_t row = i / groups;
  const int64_t column = i % groups * 8;
  Float8 x = load8(table + int64_t{ids[row]} * hidden + column);
  for (float& v : x.v) v *= scale;
  store8(out + row * hidden + column, x);
}

// A thread: one Piece of a row of n_pieces.
template <typename Piece>
__global__ void gather_rows_kernel(const Piece* x, const int32_t* rows, int64_t n, int64_t n_pieces,
                                   Piece* out) {
  const int64_t i = thread_of_grid();
  if (i >= n * n_pieces) return;
  out[i] = x[int64_t{rows[i / n_pieces]} * n_pieces + i % n_pieces];
}

// Block (i, ..): a part of the i-th page, 16 bytes a thread. No page is in both lists.
__global__ void copy_pages_kernel(Bits128* pages, const int32_t* from, const int32_t* to,
                                  int64_t page_pieces) {
  const int64_t i = int64_t{blockIdx.y} * blockDim.x + threadIdx.x;
  if (i >= page_pieces) return;
  pages[int64_t{to[blockIdx.x]} * page_pieces + i] =
      pages[int64_t{from[blockIdx.x]} * page_pieces + i];
}

// A thread: one angle. sincosf is the accurate one, also where an angle is 262144.
__global__ void rope_table_kernel(const int32_t* positions, const float* inv_freq, int64_t n,
                                  int64_t n_angles, float* out) {
  const int64_t i = thread_of_grid();
  if (i >= n * n_angles) return;
  const int64_t row = i / n_angles;
  const int64_t angle = i % n_angles;
  float sine = 0.0F;
  float cosine = 0.0F;
  sincosf(static_cast<float>(positions[row]) * inv_freq[angle], &sine, &cosine);
  out[2 * row * n_angles + angle] = cosine;
  out[(2 * row + 1) * n_angles + angle] = sine;
}

// --- per-layer embeddings ---

struct PleInputs {
  const int32_t* ids;
  const void* table;  // [.., width], as it lies in the file
  float table_scale;
  const bf16* projected;  // [n_tokens, width]
  float proj_scale;
  const float* norm;  // [dim]
  float eps;
  int64_t dim, width;
  bf16* out;  // [n_tokens, width]
};

// n neighbouring elements of a row. One at a time they may lie at any address: read by bytes.
template <int n>
struct Elements {
  float v[n];
};

// The values of a word, in order. f32: one, else two of 16 bits.
template <DType dtype>
__device__ __forceinline__ void unpack_word(uint32_t word, float* to) {
  if constexpr (dtype == DType::f32) {
    to[0] = __uint_as_float(word);
  } else if constexpr (dtype == DType::bf16) {
    to[0] = low_float(word);
    to[1] = high_float(word);
  } else {
    to[0] = half_bits_to_float(static_cast<uint16_t>(word));
    to[1] = half_bits_to_float(static_cast<uint16_t>(word >> 16));
  }
}

template <int n, DType dtype>
__device__ __forceinline__ Elements<n> load_table(const void* table, int64_t at) {
  constexpr int kBytes = dtype == DType::f32 ? 4 : 2;
  constexpr int kInWord = 4 / kBytes;
  const unsigned char* from = static_cast<const unsigned char*>(table) + at * kBytes;
  Elements<n> out;
  if constexpr (n == 1) {
    uint32_t word = 0;
    for (int b = 0; b < kBytes; ++b) word |= uint32_t{from[b]} << (8 * b);
    float values[kInWord];
    unpack_word<dtype>(word, values);
    out.v[0] = values[0];
  } else {
    for (int i = 0; i < n; i += 2 * kInWord) {
      const uint2 words = *reinterpret_cast<const uint2*>(from + i * kBytes);
      unpack_word<dtype>(words.x, out.v + i);
      unpack_word<dtype>(words.y, out.v + i + kInWord);
    }
  }
  return out;
}

template <int n>
__device__ __forceinline__ Elements<n> load_projected(const bf16* from) {
  Elements<n> out;
  if constexpr (n == 4) {
    const uint2 words = *reinterpret_cast<const uint2*>(from);
    out = {low_float(words.x), high_float(words.x), low_float(words.y), high_float(words.y)};
  } else {
    out.v[0] = to_float(*from);
  }
  return out;
}

template <int n>
__device__ __forceinline__ void store_elements(bf16* to, const Elements<n>& x) {
  if constexpr (n == 4) {
    *reinterpret_cast<uint2*>(to) =
        make_uint2(bf16_pair(x.v[0], x.v[1]), bf16_pair(x.v[2], x.v[3]));
  } else {
    *to = from_float<bf16>(x.v[0]);
  }
}

// A warp: one token's slice of one layer, n elements a lane and pass.
template <int n, DType dtype>
__global__ void ple_inputs_kernel(PleInputs in) {
  const int64_t slice = int64_t{blockIdx.y} * (kThreads / kWarpSize) + threadIdx.x / kWarpSize;
  if (slice * in.dim >= in.width) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int64_t row = blockIdx.x;
  const int64_t begin = row * in.width + slice * in.dim;
  const int64_t table_begin = int64_t{in.ids[row]} * in.width + slice * in.dim;
  float sum = 0.0F;
  for (int64_t i = lane * n; i < in.dim; i += kWarpSize * n) {
    for (float v : load_projected<n>(in.projected + begin + i).v) {
      sum += v * in.proj_scale * (v * in.proj_scale);
    }
  }
  const float inverse =
      1.0F / sqrtf(warp_sum(sum) / static_cast<float>(in.dim) + in.eps) * in.proj_scale;
  for (int64_t i = lane * n; i < in.dim; i += kWarpSize * n) {
    const Elements<n> entry = load_table<n, dtype>(in.table, table_begin + i);
    Elements<n> x = load_projected<n>(in.projected + begin + i);
    for (int j = 0; j < n; ++j) {
      const float normed = x.v[j] * inverse * in.norm[i + j];
      x.v[j] = (normed + entry.v[j] * in.table_scale) * 0.70710678118F;
    }
    store_elements(in.out + begin + i, x);
  }
}

template <DType dtype>
void launch_ple_inputs(const PleInputs& in, int64_t n_tokens, cudaStream_t stream) {
  const LaunchShape shape{
      .grid = dim3(static_cast<unsigned>(n_tokens),
                   static_cast<unsigned>(div_up(in.width / in.dim, kThreads / kWarpSize))),
      .block = dim3(kThreads),
      .stream = stream};
  const bool is_aligned = in.dim % 4 == 0 && reinterpret_cast<uintptr_t>(in.table) % 8 == 0;
  launch(is_aligned ? ple_inputs_kernel<4, dtype> : ple_inputs_kernel<1, dtype>, shape, in);
}

// A thread: one element; gate and out may be the same.
__global__ void ple_gate_kernel(const bf16* gate, const bf16* ple, int64_t n, int64_t dim,
                                int64_t width, bf16* out) {
  const int64_t i = thread_of_grid();
  if (i >= n * dim) return;
  out[i] =
      from_float<bf16>(gelu_tanh(to_float(gate[i])) * to_float(ple[i / dim * width + i % dim]));
}

// The same for eight elements.
__global__ void ple_gate_wide_kernel(const bf16* gate, const bf16* ple, int64_t n, int64_t dim,
                                     int64_t width, bf16* out) {
  const int64_t i = thread_of_grid() * 8;
  if (i >= n * dim) return;
  Float8 x = load8(gate + i);
  const Float8 other = load8(ple + i / dim * width + i % dim);
  for (int j = 0; j < 8; ++j) x.v[j] = gelu_tanh(x.v[j]) * other.v[j];
  store8(out + i, x);
}

}  // namespace

void CudaBackend::embed(const EmbedArgs& args) {
  const Weight& table = *args.table;
  const int64_t n = args.ids.dim(0);
  CHECK(table.form == WeightForm::stacked && table.count == 1 && table.dtype == DType::bf16 &&
        table.cols % 8 == 0);
  expect_shape(args.ids, DType::i32, {n});
  expect_shape(args.out, DType::f32, {n, table.cols});
  if (n == 0) return;
  launch(embed_kernel, a_thread_each(n * table.cols / 8, stream_), args.ids.as<int32_t>(),
         static_cast<const bf16*>(table.buffer.data()), args.scale, n, table.cols,
         args.out.as<float>());
}

void CudaBackend::gather_rows(const GatherRowsArgs& args) {
  const int64_t n = args.rows.dim(0);
  const int64_t hidden = args.x.dim(1);
  expect_shape(args.x, DType::f32, {args.x.dim(0), hidden});
  expect_shape(args.rows, DType::i32, {n});
  expect_shape(args.out, DType::f32, {n, hidden});
  if (n == 0) return;
  const auto* rows = args.rows.as<int32_t>();
  if (hidden % 4 == 0) {
    launch(gather_rows_kernel<Bits128>, a_thread_each(n * hidden / 4, stream_),
           static_cast<const Bits128*>(args.x.data), rows, n, hidden / 4,
           static_cast<Bits128*>(args.out.data));
  } else {
    launch(gather_rows_kernel<float>, a_thread_each(n * hidden, stream_), args.x.as<float>(), rows,
           n, hidden, args.out.as<float>());
  }
}

void CudaBackend::copy_pages(const CopyPagesArgs& args) {
  const int64_t n = args.from.dim(0);
  expect_shape(args.from, DType::i32, {n});
  expect_shape(args.to, DType::i32, {n});
  if (n == 0) return;
  for (const Tensor* pages : {&args.k_pages, &args.v_pages}) {
    const int64_t page_bytes = static_cast<int64_t>(pages->bytes()) / pages->dim(0);
    CHECK(page_bytes % 16 == 0);
    const int64_t pieces = page_bytes / 16;
    const LaunchShape shape{
        .grid = dim3(static_cast<unsigned>(n), static_cast<unsigned>(div_up(pieces, kThreads))),
        .block = dim3(kThreads),
        .stream = stream_};
    launch(copy_pages_kernel, shape, static_cast<Bits128*>(pages->data), args.from.as<int32_t>(),
           args.to.as<int32_t>(), pieces);
  }
}

void CudaBackend::rope_table(const RopeTableArgs& args) {
  const int64_t n = args.positions.dim(0);
  const int64_t n_angles = args.inv_freq.dim(0);
  expect_shape(args.positions, DType::i32, {n});
  expect_shape(args.inv_freq, DType::f32, {n_angles});
  expect_shape(args.out, DType::f32, {n, 2, n_angles});
  if (n * n_angles == 0) return;
  launch(rope_table_kernel, a_thread_each(n * n_angles, stream_), args.positions.as<int32_t>(),
         args.inv_freq.as<float>(), n, n_angles, args.out.as<float>());
}

namespace {

// The pages that [data, data + bytes) lies in, pinned where they are; empty if the system does not
// allow that (a read-only mapping on many).
Buffer pin_in_place(const void* matrix, size_t bytes) {
  constexpr uintptr_t kHostPage = 4096;
  const auto data = reinterpret_cast<uintptr_t>(matrix);
  const uintptr_t begin = data / kHostPage * kHostPage;
  const uintptr_t end = (data + bytes + kHostPage - 1) / kHostPage * kHostPage;
  auto* pages = reinterpret_cast<void*>(begin);
  int knows_read_only = 0;
  CUDA_CHECK(cudaDeviceGetAttribute(&knows_read_only, cudaDevAttrHostRegisterReadOnlySupported, 0));
  const unsigned flags =
      cudaHostRegisterMapped | (knows_read_only != 0 ? cudaHostRegisterReadOnly : 0U);
  if (cudaHostRegister(pages, end - begin, flags) != cudaSuccess) {
    cudaGetLastError();  // it is dealt with by the caller
    return {};
  }
  void* on_device = nullptr;
  CUDA_CHECK(cudaHostGetDevicePointer(&on_device, pages, 0));
  return {static_cast<char*>(on_device) + (data - begin), bytes,
          [pages](void*) { CUDA_CHECK(cudaHostUnregister(pages)); }};
}

}  // namespace

// Kernels read the rows that a step takes over the bus: a table that would cost gigabytes of device
// memory. It is pinned where it lies, or copied to pinned memory where that cannot be.
Buffer CudaBackend::map_host(const HostMatrix& matrix) {
  const auto bytes = static_cast<size_t>(matrix.rows * matrix.cols) * dtype_bytes(matrix.dtype);
  Buffer in_place = pin_in_place(matrix.data, bytes);
  if (in_place) return in_place;
  void* copy = nullptr;
  const cudaError_t error = cudaHostAlloc(&copy, bytes, cudaHostAllocMapped);
  if (error != cudaSuccess) {
    cudaGetLastError();  // it is dealt with here
    throw std::runtime_error("The GPU cannot read the per-layer embeddings in main memory (" +
                             std::string(cudaGetErrorString(error)) +
                             "): " + std::to_string(bytes >> 20) +
                             " MiB of memory must be free to be locked.");
  }
  std::memcpy(copy, matrix.data, bytes);
  return {copy, bytes, [](void* data) { CUDA_CHECK(cudaFreeHost(data)); }};
}

void CudaBackend::ple_inputs(const PleInputsArgs& args) {
  const int64_t n = args.ids.dim(0);
  const int64_t dim = args.norm.dim(0);
  const int64_t width = args.table.cols;
  CHECK(dim > 0 && width % dim == 0 && args.table.count == 1);
  expect_shape(args.ids, DType::i32, {n});
  expect_shape(args.projected, DType::bf16, {n, width});
  expect_shape(args.norm, DType::f32, {dim});
  expect_shape(args.out, DType::bf16, {n, width});
  if (n == 0) return;
  const PleInputs in{args.ids.as<int32_t>(),
                     args.table.data,
                     args.table_scale,
                     args.projected.as<bf16>(),
                     args.proj_scale,
                     args.norm.as<float>(),
                     args.eps,
                     dim,
                     width,
                     args.out.as<bf16>()};
  switch (args.table.dtype) {
    case DType::bf16:
      return launch_ple_inputs<DType::bf16>(in, n, stream_);
    case DType::f16:
      return launch_ple_inputs<DType::f16>(in, n, stream_);
    case DType::f32:
      return launch_ple_inputs<DType::f32>(in, n, stream_);
    default:
      CHECK(false);
  }
}

void CudaBackend::ple_gate(const PleGateArgs& args) {
  const int64_t n = args.gate.dim(0);
  const int64_t dim = args.gate.dim(1);
  const int64_t width = args.ple.dim(1);
  expect_shape(args.gate, DType::bf16, {n, dim});
  expect_shape(args.ple, DType::bf16, {n, width});
  expect_shape(args.out, DType::bf16, {n, dim});
  CHECK(args.layer >= 0 && (args.layer + 1) * dim <= width);
  if (n == 0) return;
  const bool is_wide = dim % 8 == 0 && width % 8 == 0;
  const auto* ple = args.ple.as<bf16>() + args.layer * dim;
  launch(is_wide ? ple_gate_wide_kernel : ple_gate_kernel,
         a_thread_each(is_wide ? n * dim / 8 : n * dim, stream_), args.gate.as<bf16>(), ple, n, dim,
         width, args.out.as<bf16>());
}

}  // namespace lapidary::cuda
