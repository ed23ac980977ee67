// attention against the plain twin.
#include "tests/reference/attention.h"
#include "tests/ends.h"
#include "tests/kernels/attention_data.h"

namespace lapidary {
namespace {

void check(Backend& backend, const cases::Attention& c, DType dtype) {
  INFO(c.name << ", pages " << dtype_name(dtype));
  AttentionData data = attention_data(backend, c, dtype, 1);
  backend.attention(data.args);
  const bool round_q = backend.compute_dtype() == DType::bf16 && dtype == DType::bf16;
  const int64_t d = c.head_dim;
  for (size_t s = 0; s < c.sequences.size(); ++s) {
    for (int64_t t = data.query_start[s]; t < data.query_start[s + 1]; ++t) {
      for (int head = 0; head < c.n_heads; ++head) {
        INFO("sequence " << s << ", row " << t << ", head " << head);
        const int kv_head = head / (c.n_heads / c.n_kv_heads);
        const int64_t at = (t * c.n_heads + head) * d;
        const auto expected = reference::attend(data.q.data() + at, round_q, data.keys[s][kv_head],
                                                data.values[s][kv_head], data.positions[t],
                                                c.window, 0, data.last_visible[t]);
        const std::vector<float> actual(data.out.begin() + at, data.out.begin() + at + d);
        require_close(actual, [&](int64_t i) { return expected[i]; });
      }
    }
  }
}

}  // namespace

TEST_CASE("attention equals its plain twin: windows, spans, page edges, segments, mixed batches",
          "[kernels]") {
  each_backend([](Backend& backend) {
    for (const cases::Attention& c : cases::attentions()) {
      if (c.timed) continue;
      for (DType dtype : {DType::bf16, DType::f32}) check(backend, c, dtype);
    }
  });
}

TEST_CASE("attention survives scores far apart", "[kernels]") {
  each_backend([](Backend& backend) {
    const cases::Attention c{"large scores", 2, 1, 16, 0, {{0, 40}}};
    AttentionData data = attention_data(backend, c, DType::f32, 3);
    for (float& x : data.q) x *= 200;
    backend.attention(data.args);
    for (int64_t t = 0; t < 40; ++t) {
      for (int head = 0; head < 2; ++head) {
        const int64_t at = (t * 2 + head) * 16;
        const auto expected = reference::attend(data.q.data() + at, false, data.keys[0][0],
                                                data.values[0][0], data.positions[t], 0);
        const std::vector<float> actual(data.out.begin() + at, data.out.begin() + at + 16);
        require_close(actual, [&](int64_t i) { return expected[i]; });
      }
    }
  });
}

TEST_CASE("attention refuses a chunk that cuts a span", "[kernels]") {
  const auto backend = make_cpu_backend({DType::f32, 1, "generic"});
  const cases::Attention c{"", 2, 1, 16, 20, {{10, 6, {{12, 15}}}, {0, 5, {{2, 3}}}}};
  AttentionData data = attention_data(*backend, c, DType::f32, 3);
  CHECK_FALSE(aborts([&] { backend->attention(data.args); }));
  const auto refuses = [&](int row, int32_t last) {
    const int32_t was = std::exchange(data.last_visible[row], last);
    const bool does = aborts([&] { backend->attention(data.args); });
    data.last_visible[row] = was;
    return does;
  };
  CHECK(refuses(5, 16));  // beyond the chunk
  CHECK(refuses(2, 16));
  CHECK(refuses(8, 1));   // before the query itself
  CHECK(refuses(3, 13));  // a later query sees less
  CHECK_FALSE(refuses(10, 4));
}

}  // namespace lapidary
