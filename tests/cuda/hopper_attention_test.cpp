// Attention on Hopper's own instructions against the plain twin. Only steps with more than 64
// queries beside the first of each sequence take it: no case here has fewer but where it says so.
#include "tests/cuda/expected_attention.h"
#include "tests/cuda/paths.h"
#include "tests/cuda/schedules.h"

namespace lapidary {
namespace {

// Null where the device is no Hopper GPU: nothing is tested there.
std::unique_ptr<Backend> hopper_backend() {
  if (cuda_paths().size() == 1) return nullptr;
  return make_cuda_backend({.cuda_path = CudaPath::hopper});
}

// V stored once with this many angles, as heads of 512 dims have them.
int angles_of(int head_dim) { return head_dim == 512 ? 64 : 0; }

std::vector<float> run(Backend& backend, const PagedBatch& batch, int first, int last) {
  const PagedBatch::Call call = batch.call(backend, first, last);
  backend.attention(call.args);
  return from_device(backend, call.args.out);
}

void check(Backend& backend, const cases::Attention& c) {
  INFO(c.name << ", head_dim " << c.head_dim);
  const PagedBatch batch = paged_batch(backend, c, DType::bf16, angles_of(c.head_dim), 1);
  const auto expected = expected_of(batch);
  each_schedule([&] {
    require_close(run(backend, batch, 0, batch.n_seqs()), [&](int64_t i) { return expected[i]; });
  });
}

// Whether the kernel for Hopper computes this: its sums run in another order than those of the
// portable one.
bool is_taken(const cases::Attention& c, DType pages, int n_angles) {
  std::vector<float> results[2];
  for (const CudaPath path : {CudaPath::portable, CudaPath::hopper}) {
    const auto backend = make_cuda_backend({.cuda_path = path});
    const PagedBatch batch = paged_batch(*backend, c, pages, n_angles, 1);
    results[static_cast<int>(path)] = run(*backend, batch, 0, batch.n_seqs());
  }
  return results[0] != results[1];
}

}  // namespace

TEST_CASE("Hopper attention of 256 dims equals its plain twin: windows, groups, page edges",
          "[cuda]") {
  const auto backend = hopper_backend();
  if (backend == nullptr) return;
  const cases::Attention windows[] = {
      {"chunk at an odd position, holes behind the window", 4, 2, 256, 40, {{51, 70}}},
      {"several sequences, one query, few queries",
       4,
       1,
       256,
       90,
       {{233, 23}, {0, 41}, {7, 1}, {50, 5}}},
      {"window of one page", 8, 1, 256, 16, {{200, 67}}},
      {"window of one", 2, 1, 256, 1, {{30, 66}}},
      {"no window, group of sixteen", 16, 1, 256, 0, {{95, 66}}},
      {"one head a kv head, one row beyond a tile", 2, 2, 256, 0, {{0, 129}}},
      {"keys end with a tile", 2, 1, 256, 0, {{0, 80}}},
      {"many tiles", 1, 1, 256, 0, {{330, 66}}},
      {"keys end a page before a tile's end", 2, 1, 256, 200, {{78, 66}}},
  };
  for (const cases::Attention& c : windows) check(*backend, c);
}

TEST_CASE("Hopper attention of 512 dims with V stored once equals its plain twin", "[cuda]") {
  const auto backend = hopper_backend();
  if (backend == nullptr) return;
  const cases::Attention global[] = {
      {"chunk at an odd position", 8, 1, 512, 0, {{31, 66}}},
      {"several sequences, one query, few queries", 4, 1, 512, 0, {{101, 40}, {0, 29}, {64, 1}}},
      {"two kv heads, keys end with a tile", 4, 2, 512, 0, {{62, 66}}},
      {"group of sixteen", 16, 1, 512, 0, {{3, 66}}},
      {"two tiles of keys", 1, 1, 512, 0, {{0, 66}}},
      {"many tiles", 1, 1, 512, 0, {{250, 66}}},
      {"window", 2, 1, 512, 40, {{150, 70}}},
  };
  for (const cases::Attention& c : global) check(*backend, c);
}

TEST_CASE("Hopper attention takes what it is made for, and nothing else", "[cuda]") {
  if (hopper_backend() == nullptr) return;
  const cases::Attention sliding{"sliding", 4, 2, 256, 40, {{51, 70}}};
  const cases::Attention global{"global", 4, 1, 512, 0, {{31, 66}}};
  CHECK(is_taken(sliding, DType::bf16, 0));
  CHECK(is_taken(global, DType::bf16, 64));
  CHECK_FALSE(is_taken(sliding, DType::f8e4m3, 0));
  CHECK_FALSE(is_taken(global, DType::bf16, 0));
  CHECK_FALSE(is_taken({"few queries", 4, 2, 256, 40, {{51, 65}}}, DType::bf16, 0));
  CHECK_FALSE(is_taken({"span", 4, 2, 256, 40, {{51, 70, {{60, 70}}}}}, DType::bf16, 0));
  CHECK_FALSE(is_taken({"small head", 4, 2, 64, 40, {{51, 70}}}, DType::bf16, 0));
}

TEST_CASE("Hopper attention survives scores far apart", "[cuda]") {
  const auto backend = hopper_backend();
  if (backend == nullptr) return;
  for (const int head_dim : {256, 512}) {
    PagedBatch batch = paged_batch(*backend, {"large scores", 2, 1, head_dim, 0, {{100, 66}}},
                                   DType::bf16, angles_of(head_dim), 3);
    for (float& x : batch.q) x *= 256;
    const auto expected = expected_of(batch);
    each_schedule(
        [&] { require_close(run(*backend, batch, 0, 1), [&](int64_t i) { return expected[i]; }); });
  }
}

TEST_CASE("Hopper attention of a sequence has the same bits alone and in a batch", "[cuda]") {
  const auto backend = hopper_backend();
  if (backend == nullptr) return;
  for (const int head_dim : {256, 512}) {
    const cases::Attention c{
        "batch", 4, 1, head_dim, head_dim == 256 ? 50 : 0, {{90, 67}, {0, 80}}};
    const PagedBatch batch = paged_batch(*backend, c, DType::bf16, angles_of(head_dim), 4);
    const auto together = run(*backend, batch, 0, 2);
    for (int s = 0; s < 2; ++s) {
      const auto row = static_cast<std::ptrdiff_t>(batch.query_start[s]) * 4 * head_dim;
      const auto end = static_cast<std::ptrdiff_t>(batch.query_start[s + 1]) * 4 * head_dim;
      require_same_bits(run(*backend, batch, s, s + 1),
                        {together.begin() + row, together.begin() + end});
    }
  }
}

}  // namespace lapidary
