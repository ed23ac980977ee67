// qkv: the per-head norms of q, k and v, RoPE on q and k, and the write of K and V into their
// pages, in one launch from the stacked projections.
//
// head_dim / 16 lanes for each (token, head): q heads first, then k heads, which with k_eq_v write
// V as well, else v heads. A lane holds eight neighbouring dims of the first half of the head and
// the same eight of the second, so that both of a pair are its own; the row stays in registers
// between the sum of squares, over the lanes by shuffles, and the rotation. Loads and stores are 16
// bytes (8 into fp8 pages). There is no barrier and no shared memory.
//
// Bytes, by arithmetic (26B, sliding layer): a token reads 16 KB of projections and 1 KB of angles
// and writes 8 KB of q and 8 KB of K and V; 256 tokens are 8.4 MB, 2 us at 4.3 TB/s. For few tokens
// the launch and one trip to memory are what it costs.
#include "kernels/check.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/lanes.cuh"

namespace lapidary::cuda {
namespace {

constexpr int kThreads = 128;

// QkvArgs on the device.
struct QkvView {
  const bf16* qkv;  // [n_tokens, row_size]
  const float *q_norm, *k_norm, *rope;
  const int32_t* slots;
  bf16* q;
  void *k_pages, *v_pages;
  int64_t n_heads_of_all;  // n_tokens * heads
  int row_size, heads;     // heads of a token that lanes are launched for
  int n_heads, n_kv_heads, n_angles, key_width;
  float eps;
  bool k_eq_v, v_once;
};

// Dims [8 lane, 8 lane + 8) of each half of a head.
struct HeadPart {
  Float8 low, high;
};

template <int kHeadDim>
__device__ __forceinline__ HeadPart load_part(const bf16* head, int lane) {
  return {load8(head + 8 * lane), load8(head + kHeadDim / 2 + 8 * lane)};
}

__device__ __forceinline__ void multiply(Float8& x, const Float8& y) {
#pragma unroll
  for (int i = 0; i < 8; ++i) x.v[i] *= y.v[i];
}

// 1 / sqrt(mean(x^2) + eps) of the head, the same bits in all of its lanes.
template <int kHeadDim>
__device__ __forceinline__ float norm_scale(const HeadPart& x, float eps) {
  float sum = 0.0F;
#pragma unroll
  for (int i = 0; i < 8; ++i) sum += x.low.v[i] * x.low.v[i] + x.high.v[i] * x.high.v[i];
#pragma unroll
  for (int step = kHeadDim / 32; step > 0; step /= 2) {
    sum += __shfl_xor_sync(kAllLanes, sum, step);
  }
  return rsqrtf(sum / kHeadDim + eps);
}

template <int kHeadDim>
__device__ __forceinline__ void scale_by(HeadPart& x, float scale, const float* weight, int lane) {
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    x.low.v[i] *= scale;
    x.high.v[i] *= scale;
  }
  if (weight == nullptr) return;
  multiply(x.low, load8(weight + 8 * lane));
  multiply(x.high, load8(weight + kHeadDim / 2 + 8 * lane));
}

// angles: the cosines of the token, then its sines.
__device__ __forceinline__ void rotate(HeadPart& x, const float* angles, int n_angles, int lane) {
  Float8 cosine;
  Float8 sine;
  if (n_angles % 8 == 0 && 8 * lane < n_angles) {
    cosine = load8(angles + 8 * lane);
    sine = load8(angles + n_angles + 8 * lane);
  } else {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const bool turns = 8 * lane + i < n_angles;
      cosine.v[i] = turns ? angles[8 * lane + i] : 1.0F;
      sine.v[i] = turns ? angles[n_angles + 8 * lane + i] : 0.0F;
    }
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const float a = x.low.v[i];
    const float b = x.high.v[i];
    x.low.v[i] = a * cosine.v[i] - b * sine.v[i];
    x.high.v[i] = b * cosine.v[i] + a * sine.v[i];
  }
}

// --- writing ---

__device__ __forceinline__ void store8(fp8* to, const Float8& x) {
  uint32_t words[2] = {};
#pragma unroll
  for (int i = 0; i < 8; ++i) words[i / 4] |= uint32_t{fp8(x.v[i]).__x} << (8 * (i % 4));
  *reinterpret_cast<uint2*>(to) = {words[0], words[1]};
}

template <typename Page, int kHeadDim>
__device__ __forceinline__ void store_part(Page* head, const HeadPart& x, int lane) {
  store8(head + 8 * lane, x.low);
  store8(head + kHeadDim / 2 + 8 * lane, x.high);
}

// The turned dims alone: those of the first halves of the pairs, then those of the second.
template <typename Page>
__device__ __forceinline__ void store_turned(Page* row, const HeadPart& x, int n_angles, int lane) {
  if (n_angles % 8 == 0) {
    if (8 * lane >= n_angles) return;
    store8(row + 8 * lane, x.low);
    store8(row + n_angles + 8 * lane, x.high);
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    if (8 * lane + i >= n_angles) return;
    row[8 * lane + i] = static_cast<Page>(x.low.v[i]);
    row[n_angles + 8 * lane + i] = static_cast<Page>(x.high.v[i]);
  }
}

// Where the row of a slot and kv head begins.
template <typename Page>
__device__ __forceinline__ Page* page_row(void* pages, const QkvView& view, int slot, int kv_head,
                                          int width) {
  const int64_t head = int64_t{slot / kPageSize} * view.n_kv_heads + kv_head;
  return static_cast<Page*>(pages) + (head * kPageSize + slot % kPageSize) * width;
}

template <int kHeadDim, typename Page>
__global__ void qkv_kernel(const QkvView view) {
  constexpr int kLanes = kHeadDim / 16;
  const int64_t thread = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const bool is_there = thread / kLanes < view.n_heads_of_all;
  const int64_t i = is_there ? thread / kLanes : 0;  // all lanes take part in the shuffles
  const int64_t token = i / view.heads;
  const int head = static_cast<int>(i % view.heads);
  after_previous_grid();
  HeadPart x = load_part<kHeadDim>(view.qkv + token * view.row_size + head * kHeadDim, lane);
  const float scale = norm_scale<kHeadDim>(x, view.eps);
  if (!is_there) return;

  const float* angles = view.rope + token * 2 * view.n_angles;
  if (head < view.n_heads) {
    scale_by<kHeadDim>(x, scale, view.q_norm, lane);
    if (view.v_once) {
      const HeadPart turned = x;
      multiply(x.low, load8(view.k_norm + 8 * lane));
      multiply(x.high, load8(view.k_norm + kHeadDim / 2 + 8 * lane));
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        if (8 * lane + j >= view.n_angles) continue;
        x.low.v[j] = turned.low.v[j];
        x.high.v[j] = turned.high.v[j];
      }
    }
    rotate(x, angles, view.n_angles, lane);
    store_part<bf16, kHeadDim>(view.q + (token * view.n_heads + head) * kHeadDim, x, lane);
    return;
  }
  const int slot = view.slots[token];
  if (slot < 0) return;
  const int kv_head = (head - view.n_heads) % view.n_kv_heads;
  if (view.k_eq_v || head >= view.n_heads + view.n_kv_heads) {
    HeadPart v = x;
    scale_by<kHeadDim>(v, scale, nullptr, lane);
    store_part<Page, kHeadDim>(page_row<Page>(view.v_pages, view, slot, kv_head, kHeadDim), v,
                               lane);
    if (!view.k_eq_v) return;
  }
  scale_by<kHeadDim>(x, scale, view.k_norm, lane);
  rotate(x, angles, view.n_angles, lane);
  auto* k = page_row<Page>(view.k_pages, view, slot, kv_head, view.key_width);
  if (view.v_once) {
    store_turned(k, x, view.n_angles, lane);
  } else {
    store_part<Page, kHeadDim>(k, x, lane);
  }
}

template <int kHeadDim>
void launch_qkv(const QkvView& view, DType pages, bool overlaps, cudaStream_t stream) {
  const int64_t blocks = div_up(view.n_heads_of_all * (kHeadDim / 16), kThreads);
  const LaunchShape shape = {.grid = dim3(static_cast<unsigned>(blocks)),
                             .block = dim3(kThreads),
                             .stream = stream,
                             .overlaps = overlaps};
  if (pages == DType::f8e4m3) {
    launch(qkv_kernel<kHeadDim, fp8>, shape, view);
  } else {
    launch(qkv_kernel<kHeadDim, bf16>, shape, view);
  }
}

void check_shapes(const QkvArgs& args, int64_t n) {
  const int64_t d = args.head_dim;
  const bool writes = !args.k_pages.empty();
  const int64_t kv = writes ? (args.k_eq_v ? 1 : 2) * args.n_kv_heads : 0;
  const int64_t angles = args.rope.dim(2);
  expect_shape(args.qkv, DType::bf16, {n, (args.n_heads + kv) * d});
  expect_shape(args.q_norm, DType::f32, {d});
  expect_shape(args.rope, DType::f32, {n, 2, angles});
  expect_shape(args.q, DType::bf16, {n, args.n_heads * d});
  CHECK(angles <= d / 2);
  if (!writes) return;
  const int64_t pages = args.k_pages.dim(0);
  const int64_t width = args.k_pages.dim(3);
  const DType dtype = args.k_pages.dtype;
  CHECK(dtype == DType::bf16 || dtype == DType::f8e4m3);
  CHECK(width == d || (args.k_eq_v && width == 2 * angles));
  expect_shape(args.k_norm, DType::f32, {d});
  expect_shape(args.slots, DType::i32, {n});
  expect_shape(args.k_pages, dtype, {pages, args.n_kv_heads, kPageSize, width});
  expect_shape(args.v_pages, dtype, {pages, args.n_kv_heads, kPageSize, d});
}

}  // namespace

void CudaBackend::qkv(const QkvArgs& args) {
  const int64_t n = args.qkv.dim(0);
  check_shapes(args, n);
  const bool writes = !args.k_pages.empty();
  QkvView view{};
  view.qkv = static_cast<const bf16*>(args.qkv.data);
  view.q_norm = args.q_norm.as<float>();
  view.rope = args.rope.as<float>();
  view.q = static_cast<bf16*>(args.q.data);
  view.row_size = static_cast<int>(args.qkv.dim(1));
  view.heads = view.row_size / args.head_dim;
  view.n_heads_of_all = n * view.heads;
  view.n_heads = args.n_heads;
  view.n_angles = static_cast<int>(args.rope.dim(2));
  view.eps = args.eps;
  if (writes) {
    view.k_norm = args.k_norm.as<float>();
    view.slots = args.slots.as<int32_t>();
    view.k_pages = args.k_pages.data;
    view.v_pages = args.v_pages.data;
    view.n_kv_heads = args.n_kv_heads;
    view.key_width = static_cast<int>(args.k_pages.dim(3));
    view.k_eq_v = args.k_eq_v;
    view.v_once = view.key_width < args.head_dim;
  }
  const DType pages = writes ? args.k_pages.dtype : DType::bf16;
  switch (args.head_dim) {
    case 16:
      return launch_qkv<16>(view, pages, is_hopper(), stream_);
    case 32:
      return launch_qkv<32>(view, pages, is_hopper(), stream_);
    case 64:
      return launch_qkv<64>(view, pages, is_hopper(), stream_);
    case 256:
      return launch_qkv<256>(view, pages, is_hopper(), stream_);
    case 512:
      return launch_qkv<512>(view, pages, is_hopper(), stream_);
    default:
      CHECK(false);
  }
}

}  // namespace lapidary::cuda
