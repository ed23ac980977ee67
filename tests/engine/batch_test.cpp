// A step as flat arrays: what padding for a replay adds, and what it leaves alone.
#include "engine/batch.h"

#include "tests/catch.h"

namespace lapidary {
namespace {

Batch two_decodes() {
  Batch b;
  b.tokens = {7, 8};
  b.positions = {17, 3};
  b.query_start = {0, 1, 2};
  b.logit_rows = {0, 1};
  b.sliding = {.slots = {33, 51}, .block_start = {0, 2, 3}, .block_table = {-1, 2, 3}};
  b.global = {.slots = {}, .block_start = {0, 0, 0}, .block_table = {}};
  b.max_keys = 18;
  return b;
}

}  // namespace

TEST_CASE("a padded batch repeats its first row, which writes no KV", "[engine]") {
  Batch b = two_decodes();
  REQUIRE(b.is_decode());
  b.pad_decode(4);
  CHECK(b.tokens == std::vector<int32_t>{7, 8, 7, 7});
  CHECK(b.positions == std::vector<int32_t>{17, 3, 17, 17});
  CHECK(b.query_start == std::vector<int32_t>{0, 1, 2, 3, 4});
  CHECK(b.logit_rows == std::vector<int32_t>{0, 1, 0, 0});
  CHECK(b.sliding.slots == std::vector<int32_t>{33, 51, -1, -1});
  CHECK(b.sliding.block_start == std::vector<int32_t>{0, 2, 3, 5, 7});
  CHECK(b.sliding.block_table == std::vector<int32_t>{-1, 2, 3, -1, 2, -1, 2});
  CHECK(b.global.slots.empty());
  CHECK(b.global.block_start == std::vector<int32_t>{0, 0, 0, 0, 0});
  CHECK(b.max_keys == 32);
}

TEST_CASE("a step that computes part of a prompt is no decode", "[engine]") {
  Batch b = two_decodes();
  b.logit_rows = {1};
  CHECK_FALSE(b.is_decode());
  b = two_decodes();
  b.query_start = {0, 2};
  CHECK_FALSE(b.is_decode());
}

TEST_CASE("padding adds at most an eighth, and knows few sizes", "[engine]") {
  int n_sizes = 0;
  for (int n = 1, last = 0; n <= 256; ++n) {
    const int padded = padded_decode_rows(n);
    REQUIRE(padded >= n);
    REQUIRE(8 * (padded - n) <= n);
    REQUIRE(padded >= last);
    REQUIRE(padded_decode_rows(padded) == padded);
    n_sizes += padded != last ? 1 : 0;
    last = padded;
  }
  CHECK(n_sizes < 60);
}

}  // namespace lapidary
