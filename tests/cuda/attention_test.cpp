// attention of the CUDA backend against the plain twin.
#include "tests/cuda/expected_attention.h"
#include "tests/cuda/schedules.h"
#include "tests/ends.h"

namespace lapidary {
namespace {

// V stored once with this many angles, by head_dim and type of the pages; 0: cannot be. Turned dims
// that fill steps of 16, and that do not.
int angles_of(int head_dim, DType dtype) {
  const bool is_fp8 = dtype == DType::f8e4m3;
  switch (head_dim) {
    case 16:
      return is_fp8 ? 0 : 4;
    case 32:
      return is_fp8 ? 8 : 4;
    case 64:
      return is_fp8 ? 24 : 12;
    case 512:
      return 64;
    default:
      return 0;
  }
}

void check(Backend& backend, const cases::Attention& c, DType dtype, int n_angles) {
  INFO(c.name << ", head_dim " << c.head_dim << ", pages " << dtype_name(dtype) << ", angles "
              << n_angles);
  const PagedBatch batch = paged_batch(backend, c, dtype, n_angles, 1);
  const auto expected = expected_of(batch);
  each_schedule([&] {
    const PagedBatch::Call call = batch.call(backend, 0, batch.n_seqs());
    backend.attention(call.args);
    require_close(from_device(backend, call.args.out), [&](int64_t i) { return expected[i]; });
  });
}

void check_all_forms(Backend& backend, const cases::Attention& c) {
  for (DType dtype : {DType::bf16, DType::f8e4m3}) {
    check(backend, c, dtype, 0);
    const int n_angles = angles_of(c.head_dim, dtype);
    if (n_angles > 0) check(backend, c, dtype, n_angles);
  }
}

// Shapes of the served models with few keys, so that the emulation takes seconds.
const cases::Attention kRealHeads[] = {
    {"sliding decode across segments", 4, 2, 256, 300, {{640, 1}, {3, 1}}},
    {"sliding prefill, more rows than a tile", 4, 2, 256, 40, {{50, 70}, {0, 2}}},
    {"sliding prefill with spans", 4, 2, 256, 40, {{50, 75, {{52, 63}, {64, 119}}}, {30, 1}}},
    {"global decode across segments", 8, 1, 512, 0, {{290, 1}}},
    {"global prefill, more rows than a tile", 4, 1, 512, 0, {{30, 19}}},
};

}  // namespace

TEST_CASE(
    "CUDA attention equals its plain twin: windows, spans, page edges, segments, mixed batches",
    "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (const cases::Attention& c : cases::attentions()) {
    if (c.timed || c.head_dim == 48) continue;
    check_all_forms(*backend, c);
  }
}

TEST_CASE("CUDA attention equals its plain twin for every group of heads", "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (const int head_dim : {16, 32, 64}) {
    for (const int group : {1, 2, 4, 8, 16}) {
      check_all_forms(*backend, {"groups", 2 * group, 2, head_dim, 0, {{37, 1}, {5, 9}, {15, 1}}});
    }
  }
}

TEST_CASE("CUDA attention equals its plain twin for the heads of served models", "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (const cases::Attention& c : kRealHeads) check_all_forms(*backend, c);
}

TEST_CASE("CUDA attention cuts the keys of few queries behind a long context", "[cuda]") {
  const auto backend = make_cuda_backend({});
  const cases::Attention few[] = {
      {"two queries in a short tile", 8, 1, 64, 0, {{600, 2}, {300, 1}, {0, 2}}},
      {"all short", 2, 2, 32, 0, {{520, 3}}},
      {"short, long and one query", 4, 2, 32, 0, {{700, 3}, {900, 20}, {1500, 1}, {0, 9}}},
      {"window, and segments that the first tile does not see",
       4,
       1,
       64,
       290,
       {{1000, 40}, {700, 3}}},
      {"window, spans in a short tile and in long ones",
       4,
       1,
       64,
       290,
       {{1000, 40, {{1003, 1030}}}, {700, 3, {{701, 702}}}, {255, 4, {{255, 258}}}}},
      {"one query more would not be cut", 2, 1, 16, 0, {{800, 65}}},
      {"not cut", 2, 1, 16, 0, {{800, 66}}},
  };
  for (const cases::Attention& c : few) check(*backend, c, DType::bf16, 0);
}

#ifdef CUDA_ON_CPU
TEST_CASE("CUDA attention equals its plain twin on a device with 99 KiB of shared memory",
          "[cuda]") {
  const auto backend = make_cuda_backend({});
  cuda_on_cpu::set_shared_opt_in(99 * 1024);
  for (const cases::Attention& c : kRealHeads) check_all_forms(*backend, c);
  cuda_on_cpu::set_shared_opt_in(227 * 1024);
}

TEST_CASE("CUDA attention stops at a chunk that cuts a span", "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (const int n_tokens : {40, 3}) {
    PagedBatch batch =
        paged_batch(*backend, {"cut", 4, 2, 16, 30, {{5, n_tokens, {{6, 7}}}}}, DType::bf16, 0, 1);
    const auto run = [&] {
      const PagedBatch::Call call = batch.call(*backend, 0, 1);
      backend->attention(call.args);
      from_device(*backend, call.args.out);
    };
    CHECK_FALSE(aborts(run));
    batch.last_visible.back() += 1;
    CHECK(aborts(run));
  }
}
#endif

TEST_CASE("CUDA attention of a context with more segments than a sequence may have", "[cuda]") {
  const auto backend = make_cuda_backend({});
  check(*backend, {"twice as long segments", 16, 16, 16, 0, {{2100, 1}}}, DType::bf16, 0);
}

TEST_CASE("CUDA attention survives scores far apart", "[cuda]") {
  const auto backend = make_cuda_backend({});
  PagedBatch batch =
      paged_batch(*backend, {"large scores", 2, 1, 16, 0, {{0, 40}, {300, 1}}}, DType::bf16, 0, 3);
  for (float& x : batch.q) x *= 256;
  const auto expected = expected_of(batch);
  each_schedule([&] {
    const PagedBatch::Call call = batch.call(*backend, 0, 2);
    backend->attention(call.args);
    require_close(from_device(*backend, call.args.out), [&](int64_t i) { return expected[i]; });
  });
}

TEST_CASE("CUDA attention of a sequence has the same bits alone and in a batch", "[cuda]") {
  const auto backend = make_cuda_backend({});
  for (const int window : {0, 300}) {
    const cases::Attention c{
        "batch", 4,      2,
        32,      window, {{700, 1}, {0, 30}, {3, 1}, {690, 20}, {1500, 1}, {255, 1}, {256, 1}}};
    const PagedBatch batch = paged_batch(*backend, c, DType::bf16, 0, 4);
    PagedBatch::Call all = batch.call(*backend, 0, batch.n_seqs());
    all.args.max_keys = 4096;  // an upper bound is enough
    backend->attention(all.args);
    const auto together = from_device(*backend, all.args.out);
    for (int s = 0; s < batch.n_seqs(); ++s) {
      INFO("window " << window << ", sequence " << s);
      const PagedBatch::Call call = batch.call(*backend, s, s + 1);
      backend->attention(call.args);
      const auto row = static_cast<std::ptrdiff_t>(batch.query_start[s]) * 4 * 32;
      const auto end = static_cast<std::ptrdiff_t>(batch.query_start[s + 1]) * 4 * 32;
      require_same_bits(from_device(*backend, call.args.out),
                        {together.begin() + row, together.begin() + end});
    }
  }
}

TEST_CASE("CUDA attention of a batch of many sequences", "[cuda]") {
  const auto backend = make_cuda_backend({});
  cases::Attention decode{"decode", 2, 1, 16, 0, {}};
  cases::Attention mixed{"mixed", 2, 1, 16, 0, {}};
  for (int s = 0; s < 70; ++s) {
    decode.sequences.push_back({s * 7 % 300, 1});
    mixed.sequences.push_back({s % 23, s % 3 == 1 ? 2 + s % 5 : 1});
  }
  check(*backend, decode, DType::bf16, 0);
  check(*backend, mixed, DType::bf16, 0);
  // Blocks of several warps that walk over many pieces.
  decode.head_dim = 64;
  decode.sequences.resize(30);
  check(*backend, decode, DType::bf16, 0);
}

}  // namespace lapidary
