// rope_table and qkv against the plain twin, and the pages they write.
#include "tests/kernels/data.h"
#include "tests/kernels/pages.h"
#include "tests/reference/norm.h"
#include "tests/reference/rope.h"

namespace lapidary {
namespace {

struct QkvCase {
  const char* name;
  int n_heads, n_kv_heads, head_dim, n_angles;
  bool k_eq_v, writes;
};

const QkvCase kCases[] = {
    {"one head", 1, 1, 16, 8, false, true},
    {"sliding layer", 4, 2, 32, 16, false, true},
    {"global layer, K = V, a quarter rotated", 4, 1, 64, 8, true, true},
    {"angles beyond a vector", 2, 1, 96, 20, false, true},
    {"no rotation", 2, 2, 16, 0, false, true},
    {"shares the pages of another layer", 4, 2, 32, 16, false, false},
};

reference::Bounded within(double value, double relative, double floor) {
  return {value, relative * std::fabs(value) + floor};
}

// The rotated norm of one head, in double precision.
std::vector<double> head_of(const float* raw, int head_dim, const float* weight,
                            const std::vector<double>& angles) {
  auto x = reference::rms_norm(reference::widen(raw, head_dim), weight, 1e-6);
  reference::rotate(x, angles);
  return x;
}

void check_qkv(Backend& backend, const QkvCase& c, DType kv_dtype) {
  const int64_t d = c.head_dim;
  const int64_t kv = !c.writes ? 0 : c.k_eq_v ? c.n_kv_heads : 2 * c.n_kv_heads;
  std::vector<int32_t> positions = {0, 1, 77, 100000, 262143};
  std::vector<int32_t> slots = {3, 16, 15, 47, 32};
  const auto n = static_cast<int64_t>(positions.size());
  auto inv_freq = normals(c.n_angles, 1);
  for (float& f : inv_freq) f = std::fabs(f) / 4;
  std::vector<float> rope(n * 2 * c.n_angles + 1);
  const Tensor rope_view = view(rope, {n, 2, c.n_angles});
  if (c.n_angles > 0) {
    backend.rope_table({view(positions, {n}), view(inv_freq, {c.n_angles}), rope_view});
  }
  const int64_t width = (c.n_heads + kv) * d;
  auto raw = normals(n * width, 2, 3);
  auto q_norm = normals(d, 3);
  auto k_norm = normals(d, 4);
  std::vector<float> q(n * c.n_heads * d);
  const auto bytes = static_cast<size_t>(3 * c.n_kv_heads * kPageSize * d * 4);
  const Buffer k_memory = backend.allocate(bytes);
  const Buffer v_memory = backend.allocate(bytes);
  QkvArgs args;
  args.qkv = view(raw, {n, width});
  args.q_norm = view(q_norm, {d});
  args.rope = rope_view;
  args.n_heads = c.n_heads;
  args.n_kv_heads = c.n_kv_heads;
  args.head_dim = c.head_dim;
  args.k_eq_v = c.k_eq_v;
  args.q = view(q, {n, c.n_heads * d});
  if (c.writes) {
    args.k_norm = view(k_norm, {d});
    args.slots = view(slots, {n});
    args.k_pages = backend.kv_pages(k_memory.data(), kv_dtype, 3, c.n_kv_heads, c.head_dim);
    args.v_pages = backend.kv_pages(v_memory.data(), kv_dtype, 3, c.n_kv_heads, c.head_dim);
  }
  backend.qkv(args);

  const double stored = kv_dtype == DType::bf16 ? 1.0 / 256 : 16 * reference::kUnit;
  for (int64_t t = 0; t < n; ++t) {
    std::vector<double> angles;
    for (float f : inv_freq) angles.push_back(reference::rope_angle(positions[t], f));
    const float* row = raw.data() + t * width;
    for (int64_t head = 0; head < c.n_heads + (c.writes ? c.n_kv_heads : 0); ++head) {
      INFO("token " << t << ", head " << head);
      const bool is_q = head < c.n_heads;
      const auto rotated =
          head_of(row + head * d, c.head_dim, (is_q ? q_norm : k_norm).data(), angles);
      const int64_t kv_head = head - c.n_heads;
      std::vector<float> actual(d);
      for (int64_t i = 0; i < d; ++i) {
        actual[i] = is_q ? q[(t * c.n_heads + head) * d + i]
                         : page_element(args.k_pages, key_index(args.k_pages, slots[t] / kPageSize,
                                                                kv_head, slots[t] % kPageSize, i));
      }
      const double relative = is_q ? 16 * reference::kUnit : stored;
      require_close(actual, [&](int64_t i) {
        const double other = rotated[(i + d / 2) % d];
        return within(rotated[i], relative, 16 * reference::kUnit * (1 + std::fabs(other)));
      });
      if (is_q) continue;
      const float* raw_v = row + (c.k_eq_v ? head : head + c.n_kv_heads) * d;
      const auto v = reference::rms_norm(reference::widen(raw_v, d), nullptr, 1e-6);
      for (int64_t i = 0; i < d; ++i) {
        actual[i] = page_element(args.v_pages, value_index(args.v_pages, slots[t] / kPageSize,
                                                           kv_head, slots[t] % kPageSize, i));
      }
      require_close(actual, [&](int64_t i) { return within(v[i], stored, 1e-30); });
    }
  }
}

}  // namespace

TEST_CASE("rope_table has sine and cosine of the once rounded angle, to the last position",
          "[kernels]") {
  each_backend([](Backend& backend) {
    std::vector<int32_t> positions = {0, 1, 511, 32768, 131071, 262143};
    std::vector<float> inv_freq;
    for (int i = 0; i < 37; ++i)
      inv_freq.push_back(std::pow(10000.0F, -static_cast<float>(i) / 37.0F));
    const int64_t n = 6;
    const int64_t angles = 37;
    std::vector<float> out(n * 2 * angles);
    backend.rope_table({view(positions, {n}), view(inv_freq, {angles}), view(out, {n, 2, angles})});
    require_close(out, [&](int64_t i) {
      const double angle = reference::rope_angle(positions[i / (2 * angles)], inv_freq[i % angles]);
      const double expected = i / angles % 2 == 0 ? std::cos(angle) : std::sin(angle);
      return reference::Bounded{expected, reference::kUnit * std::fabs(expected)};
    });
  });
}

TEST_CASE("qkv norms, rotates and writes the pages", "[kernels]") {
  each_backend([](Backend& backend) {
    for (const QkvCase& c : kCases) {
      for (DType kv_dtype : {DType::bf16, DType::f32}) {
        INFO(c.name << ", pages " << dtype_name(kv_dtype));
        check_qkv(backend, c, kv_dtype);
      }
    }
  });
}

TEST_CASE("qkv leaves every other slot of the pages as it was", "[kernels]") {
  each_backend([](Backend& backend) {
    const int64_t d = 16;
    std::vector<float> k_memory(2 * kPageSize * d, 7.0F);
    auto v_memory = k_memory;
    std::vector<int32_t> slots = {20};
    std::vector<float> rope(2 * 8, 0.5F);
    auto raw = normals(3 * d, 1);
    std::vector<float> ones(d, 1.0F);
    std::vector<float> q(d);
    QkvArgs args;
    args.qkv = view(raw, {1, 3 * d});
    args.q_norm = view(ones, {d});
    args.k_norm = view(ones, {d});
    args.rope = view(rope, {1, 2, 8});
    args.slots = view(slots, {1});
    args.n_heads = args.n_kv_heads = 1;
    args.head_dim = d;
    args.k_pages = backend.kv_pages(k_memory.data(), DType::f32, 2, 1, d);
    args.v_pages = backend.kv_pages(v_memory.data(), DType::f32, 2, 1, d);
    args.q = view(q, {1, d});
    backend.qkv(args);
    int k_untouched = 0;
    int v_untouched = 0;
    for (float x : k_memory) k_untouched += x == 7.0F ? 1 : 0;
    for (float x : v_memory) v_untouched += x == 7.0F ? 1 : 0;
    CHECK(k_untouched == 31 * d);
    CHECK(v_untouched == 31 * d);
  });
}

}  // namespace lapidary
