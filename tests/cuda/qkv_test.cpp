// qkv of the CUDA backend against the plain twin, and the gate of V stored once: with attention
// behind it, it must be as near to the exact result as two tensors are.
#include <array>

#include "tests/cuda/paged_batch.h"
#include "tests/cuda/schedules.h"
#include "tests/reference/attention.h"
#include "tests/reference/norm.h"
#include "tests/reference/rope.h"

namespace lapidary {
namespace {

struct QkvCase {
  const char* name;
  int n_heads, n_kv_heads, head_dim, n_angles;
  bool k_eq_v, v_once, writes;
};

const QkvCase kCases[] = {
    {"one head", 1, 1, 16, 8, false, false, true},
    {"sliding layer", 4, 2, 32, 16, false, false, true},
    {"global layer, K = V, two tensors", 4, 1, 64, 8, true, false, true},
    {"global layer, V stored once", 4, 1, 64, 8, true, true, true},
    {"V stored once, angles in no whole vector", 3, 2, 64, 12, true, true, true},
    {"no rotation", 2, 2, 16, 0, false, false, true},
    {"shares the pages of another layer", 4, 2, 32, 16, false, false, false},
    {"served sliding head", 2, 1, 256, 128, false, false, true},
    {"served global head", 2, 1, 512, 64, true, true, true},
};

constexpr int64_t kTokens = 5;
constexpr int64_t kPages = 3;
const std::vector<int32_t> kPositions = {0, 1, 77, 100000, 262143};
const std::vector<int32_t> kSlots = {3, 16, -1, 47, 32};  // one row is padding

// A value that is rounded once to this type.
reference::Bounded stored(double value, DType dtype, double magnitude) {
  const double exact = 32 * reference::kUnit * magnitude;
  if (dtype == DType::bf16) return {value, exact + (std::fabs(value) + exact) / 256};
  const double clamped = std::clamp(value, -448.0, 448.0);
  return {clamped, exact + (std::fabs(value) + exact) / 16 + 0x1p-10};
}

struct QkvRun {
  QkvCase shape;
  std::vector<float> raw, q_norm, k_norm, inv_freq;
  std::vector<int32_t> positions, slots;

  int64_t n() const { return static_cast<int64_t>(positions.size()); }
  int64_t width() const {
    const int kv = !shape.writes ? 0 : shape.k_eq_v ? shape.n_kv_heads : 2 * shape.n_kv_heads;
    return int64_t{shape.n_heads + kv} * shape.head_dim;
  }
  int key_width() const { return shape.v_once ? 2 * shape.n_angles : shape.head_dim; }

  // Writes into the pages; returns q.
  std::vector<float> run(Backend& backend, const Tensor& k_pages, const Tensor& v_pages,
                         OnDevice& q) const {
    const int64_t d = shape.head_dim;
    const OnDevice positions_there = to_device(backend, positions, {n()});
    const OnDevice inv_freq_there = to_device(backend, inv_freq, DType::f32, {shape.n_angles});
    const OnDevice rope = unwritten(backend, DType::f32, {n(), 2, shape.n_angles});
    if (shape.n_angles > 0) backend.rope_table({positions_there, inv_freq_there, rope});
    const OnDevice qkv = to_device(backend, raw, DType::bf16, {n(), width()});
    const OnDevice q_norm_there = to_device(backend, q_norm, DType::f32, {d});
    const OnDevice k_norm_there = to_device(backend, k_norm, DType::f32, {d});
    const OnDevice slots_there = to_device(backend, slots, {n()});
    q = unwritten(backend, DType::bf16, {n(), shape.n_heads * d});
    QkvArgs args;
    args.qkv = qkv;
    args.q_norm = q_norm_there;
    args.rope = rope;
    args.n_heads = shape.n_heads;
    args.n_kv_heads = shape.n_kv_heads;
    args.head_dim = shape.head_dim;
    args.k_eq_v = shape.k_eq_v;
    args.q = q;
    if (shape.writes) {
      args.k_norm = k_norm_there;
      args.slots = slots_there;
      args.k_pages = k_pages;
      args.v_pages = v_pages;
    }
    backend.qkv(args);
    return from_device(backend, q);
  }

  // The rotated norm of the head that begins at `raw`, in double precision.
  std::vector<double> rotated(int64_t token, const float* head, const float* weight) const {
    auto x = reference::rms_norm(reference::widen(head, shape.head_dim), weight, 1e-6);
    std::vector<double> angles;
    for (float f : inv_freq) angles.push_back(reference::rope_angle(positions[token], f));
    reference::rotate(x, angles);
    return x;
  }
};

QkvRun random_run(const QkvCase& c, std::vector<int32_t> positions, std::vector<int32_t> slots) {
  QkvRun run{c, {}, {}, {}, {}, std::move(positions), std::move(slots)};
  run.raw = rounded_to_bf16(normals(run.n() * run.width(), 2, 3));
  run.q_norm = normals(c.head_dim, 3);
  run.k_norm = normals(c.head_dim, 4);
  run.inv_freq = normals(c.n_angles, 1);
  for (float& f : run.inv_freq) f = std::fabs(f) / 4;
  return run;
}

// Where dim i of a key stands in its row of the pages; -1: it is not stored.
int key_place(const QkvCase& c, int i) {
  if (!c.v_once) return i;
  const int half = c.head_dim / 2;
  if (i % half >= c.n_angles) return -1;
  return i < half ? i : c.n_angles + i - half;
}

void require_q(const QkvRun& run, const std::vector<float>& q) {
  const QkvCase& c = run.shape;
  const int64_t d = c.head_dim;
  for (int64_t t = 0; t < run.n(); ++t) {
    for (int head = 0; head < c.n_heads; ++head) {
      INFO("token " << t << ", q head " << head);
      auto expected =
          run.rotated(t, run.raw.data() + t * run.width() + head * d, run.q_norm.data());
      const double magnitude = 8;  // of a normed element with its weight
      for (int i = 0; i < d; ++i) {
        if (key_place(c, i) < 0) expected[i] *= run.k_norm[i];
      }
      const auto at = static_cast<std::ptrdiff_t>((t * c.n_heads + head) * d);
      require_close({q.begin() + at, q.begin() + at + d}, [&](int64_t i) {
        return stored(expected[i], DType::bf16, magnitude + std::fabs(expected[i]));
      });
    }
  }
}

void require_pages(const QkvRun& run, const HostPages& k, const HostPages& v) {
  const QkvCase& c = run.shape;
  const int64_t d = c.head_dim;
  for (int64_t t = 0; t < run.n(); ++t) {
    if (run.slots[t] < 0) continue;
    const int64_t page = run.slots[t] / kPageSize;
    const int slot = run.slots[t] % kPageSize;
    for (int head = 0; head < c.n_kv_heads; ++head) {
      INFO("token " << t << ", kv head " << head);
      const float* raw_k = run.raw.data() + t * run.width() + (c.n_heads + head) * d;
      const float* raw_v = c.k_eq_v ? raw_k : raw_k + c.n_kv_heads * d;
      const auto key = run.rotated(t, raw_k, run.k_norm.data());
      const auto value = reference::rms_norm(reference::widen(raw_v, d), nullptr, 1e-6);
      std::vector<float> k_there;
      std::vector<double> k_expected;
      std::vector<float> v_there;
      for (int i = 0; i < d; ++i) {
        v_there.push_back(v.get(page, head, slot, i));
        if (key_place(c, i) < 0) continue;
        k_there.push_back(k.get(page, head, slot, key_place(c, i)));
        k_expected.push_back(key[i]);
      }
      require_close(k_there, [&](int64_t i) { return stored(k_expected[i], k.dtype(), 8); });
      require_close(v_there,
                    [&](int64_t i) { return stored(value[i], v.dtype(), std::fabs(value[i])); });
    }
  }
}

int64_t count_untouched(const HostPages& pages) {
  const std::vector<uint8_t>& bytes = pages.bytes();
  return std::count(bytes.begin(), bytes.end(), uint8_t{0xff});
}

}  // namespace

TEST_CASE("CUDA qkv norms, rotates and writes the pages, and nothing else of them", "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (const QkvCase& c : kCases) {
    for (DType dtype : {DType::bf16, DType::f8e4m3}) {
      if (c.v_once && 2 * c.n_angles * dtype_bytes(dtype) % 16 != 0) continue;
      INFO(c.name << ", pages " << dtype_name(dtype));
      const QkvRun run = random_run(c, kPositions, kSlots);
      each_schedule([&] {
        HostPages k(dtype, kPages, c.n_kv_heads, run.key_width());
        HostPages v(dtype, kPages, c.n_kv_heads, c.head_dim);
        const OnDevice k_there = k.to_device(*backend);
        const OnDevice v_there = v.to_device(*backend);
        OnDevice q;
        require_q(run, run.run(*backend, k_there, v_there, q));
        k.read(*backend, k_there);
        v.read(*backend, v_there);
        if (c.writes) require_pages(run, k, v);
        // No byte of a written bf16 is 0xff here, nor of an e4m3, which saturates.
        const int64_t rows = kPages * kPageSize - (c.writes ? kTokens - 1 : 0);
        const auto row_bytes = static_cast<int64_t>(c.n_kv_heads * dtype_bytes(dtype));
        CHECK(count_untouched(k) >= rows * row_bytes * run.key_width());
        CHECK(count_untouched(v) >= rows * row_bytes * c.head_dim);
      });
    }
  }
}

namespace {

// A context of `n_keys` written by qkv and its last `n_queries` rows attended. Returns the result.
std::vector<float> attended(Backend& backend, const QkvRun& run, DType dtype, int n_queries) {
  const QkvCase& c = run.shape;
  const auto n_keys = static_cast<int>(run.n());
  const int64_t n_pages = (n_keys + kPageSize - 1) / kPageSize;
  const OnDevice k = HostPages(dtype, n_pages, c.n_kv_heads, run.key_width()).to_device(backend);
  const OnDevice v = HostPages(dtype, n_pages, c.n_kv_heads, c.head_dim).to_device(backend);
  OnDevice q;
  run.run(backend, k, v, q);
  const int64_t width = int64_t{c.n_heads} * c.head_dim;
  std::vector<int32_t> table(static_cast<size_t>(n_pages));
  std::iota(table.begin(), table.end(), 0);
  const OnDevice positions =
      to_device(backend, std::vector<int32_t>(run.positions.end() - n_queries, run.positions.end()),
                {n_queries});
  const OnDevice query_start = to_device(backend, std::vector<int32_t>{0, n_queries}, {2});
  const OnDevice block_start =
      to_device(backend, std::vector<int32_t>{0, static_cast<int32_t>(n_pages)}, {2});
  const OnDevice block_table = to_device(backend, table, {n_pages});
  const OnDevice out = unwritten(backend, DType::bf16, {n_queries, width});
  AttentionArgs a;
  a.q = Tensor(static_cast<uint16_t*>(q.tensor.data) + (n_keys - n_queries) * width, DType::bf16,
               {n_queries, width});
  a.k_pages = k;
  a.v_pages = v;
  a.positions = positions;
  a.query_start = query_start;
  a.block_start = block_start;
  a.block_table = block_table;
  a.n_heads = c.n_heads;
  a.n_kv_heads = c.n_kv_heads;
  a.head_dim = c.head_dim;
  a.max_keys = n_keys;
  a.out = out;
  backend.attention(a);
  return from_device(backend, out);
}

// The same without any rounding.
std::vector<double> exactly_attended(const QkvRun& run, int n_queries) {
  const QkvCase& c = run.shape;
  const int64_t d = c.head_dim;
  std::vector<double> out;
  for (int64_t t = run.n() - n_queries; t < run.n(); ++t) {
    for (int head = 0; head < c.n_heads; ++head) {
      const float* row = run.raw.data();
      const auto q = run.rotated(t, row + t * run.width() + head * d, run.q_norm.data());
      const int64_t kv = c.n_heads + head / (c.n_heads / c.n_kv_heads);
      std::vector<double> sums(d, 0.0);
      double total = 0;
      for (int64_t j = 0; j <= t; ++j) {
        const float* raw = row + j * run.width() + kv * d;
        const auto key = run.rotated(j, raw, run.k_norm.data());
        const auto value = reference::rms_norm(reference::widen(raw, d), nullptr, 1e-6);
        const double p = std::exp(std::inner_product(q.begin(), q.end(), key.begin(), 0.0));
        total += p;
        for (int64_t i = 0; i < d; ++i) sums[i] += p * value[i];
      }
      for (double x : sums) out.push_back(x / total);
    }
  }
  return out;
}

double root_mean_square_error(const std::vector<float>& x, const std::vector<double>& exact) {
  double squares = 0;
  for (size_t i = 0; i < x.size(); ++i) squares += (x[i] - exact[i]) * (x[i] - exact[i]);
  return std::sqrt(squares / static_cast<double>(x.size()));
}

}  // namespace

TEST_CASE("CUDA: V stored once is as near to the exact result as K and V stored apart", "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (const auto& [head_dim, n_angles] : {std::array{64, 8}, std::array{512, 64}}) {
    for (DType dtype : {DType::bf16, DType::f8e4m3}) {
      for (int n_queries : {1, 11}) {
        INFO("head_dim " << head_dim << ", pages " << dtype_name(dtype) << ", queries "
                         << n_queries);
        QkvCase c{"", 8, 1, head_dim, n_angles, true, false, true};
        std::vector<int32_t> positions(60);
        std::iota(positions.begin(), positions.end(), 0);
        QkvRun run = random_run(c, positions, positions);
        // Scores with a spread of a few units, as a trained model has.
        for (float& w : run.q_norm) w *= 2 / std::sqrt(static_cast<float>(head_dim));
        const auto exact = exactly_attended(run, n_queries);
        const double apart =
            root_mean_square_error(attended(*backend, run, dtype, n_queries), exact);
        run.shape.v_once = true;
        const double once =
            root_mean_square_error(attended(*backend, run, dtype, n_queries), exact);
        INFO("error with V stored once " << once << ", apart " << apart);
        CHECK(once <= 1.5 * apart);  // both are random errors of few elements
        CHECK(apart < (dtype == DType::bf16 ? 0.01 : 0.15));
      }
    }
  }
}

}  // namespace lapidary
