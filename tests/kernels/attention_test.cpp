// attention against the plain twin.
#include "tests/reference/attention.h"
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
        const auto expected =
            reference::attend(data.q.data() + at, round_q, data.keys[s][kv_head],
                              data.values[s][kv_head], data.positions[t], c.window);
        const std::vector<float> actual(data.out.begin() + at, data.out.begin() + at + d);
        require_close(actual, [&](int64_t i) { return expected[i]; });
      }
    }
  }
}

}  // namespace

TEST_CASE("attention equals its plain twin: windows, page edges, segments, mixed batches",
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

}  // namespace lapidary
