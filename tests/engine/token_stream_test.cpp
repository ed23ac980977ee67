#include "engine/token_stream.h"

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "engine/outbox.h"
#include "tests/catch.h"

namespace lapidary {
namespace {

using std::chrono::milliseconds;

// Long enough that a broken wake-up is a hang in the eyes of ctest, not a slow pass.
constexpr milliseconds kLong = std::chrono::hours(1);
constexpr milliseconds kNow{0};

TokenEvent token(int32_t id, int choice = 0) { return {.choice = choice, .token = id}; }
TokenEvent last(FinishReason reason, int choice = 0, int32_t id = -1) {
  return {.choice = choice, .token = id, .finish = reason};
}

std::vector<int32_t> ids(const std::vector<TokenEvent>& events) {
  std::vector<int32_t> result;
  for (const TokenEvent& event : events) result.push_back(event.token);
  return result;
}

}  // namespace

TEST_CASE("an outbox tells readers nothing before it is sent, and then everything in order",
          "[engine]") {
  auto a = std::make_shared<TokenStream>(1);
  auto b = std::make_shared<TokenStream>(1);
  Outbox outbox;
  outbox.push(a, token(1));
  outbox.push(b, token(2));
  outbox.push(a, last(FinishReason::stop, 0, 3));
  outbox.end(a);
  CHECK(a->take(kNow).empty());
  CHECK_FALSE(a->done());
  outbox.send();
  CHECK(ids(a->take(kNow)) == std::vector<int32_t>{1, 3});
  CHECK(a->done());
  CHECK(ids(b->take(kNow)) == std::vector<int32_t>{2});
  outbox.send();  // nothing is sent twice
  CHECK(b->take(kNow).empty());
  CHECK_FALSE(b->done());
}

TEST_CASE("events come out whole and in order, and the stream ends after them", "[engine]") {
  TokenStream stream(1);
  CHECK(stream.push({.token = 5, .logprob = -0.5F, .top = {{5, -0.5F}, {6, -2.0F}}}));
  CHECK(stream.push(last(FinishReason::stop, 0, 1)));
  stream.end();
  CHECK_FALSE(stream.done());
  const std::vector<TokenEvent> events = stream.take(kLong);
  REQUIRE(ids(events) == std::vector<int32_t>{5, 1});
  CHECK(*events[0].logprob == -0.5F);
  CHECK(events[0].top[1].token == 6);
  CHECK(events[1].finish == FinishReason::stop);
  CHECK(stream.done());
  CHECK(stream.take(kLong).empty());
}

TEST_CASE("an empty stream gives nothing in time and is not done", "[engine]") {
  TokenStream stream(1);
  CHECK(stream.take(kNow).empty());
  CHECK(stream.take(milliseconds(1)).empty());
  CHECK_FALSE(stream.done());
}

TEST_CASE("a full ring cancels, keeps what came before, and leaves no gap", "[engine]") {
  TokenStream stream(1, 3);
  for (int32_t id : {10, 11, 12}) CHECK(stream.push(token(id)));
  CHECK_FALSE(stream.cancelled());
  CHECK_FALSE(stream.push(token(13)));
  CHECK(stream.cancelled());
  CHECK(ids(stream.take(kNow)) == std::vector<int32_t>{10, 11, 12});
  CHECK_FALSE(stream.push(token(14)));  // there is room again, but 13 is missing
  CHECK_FALSE(stream.push(last(FinishReason::length, 0, 15)));
  stream.end();
  const std::vector<TokenEvent> events = stream.take(kNow);
  REQUIRE(ids(events) == std::vector<int32_t>{-1});
  CHECK(events[0].finish == FinishReason::cancelled);
  CHECK(stream.done());
}

TEST_CASE("the last event of every choice finds room in a full ring", "[engine]") {
  TokenStream stream(2, 2);
  CHECK(stream.push(token(1, 0)));
  CHECK(stream.push(token(2, 1)));
  CHECK(stream.push(last(FinishReason::stop, 0, 7)));
  CHECK(stream.push(last(FinishReason::length, 1, 8)));
  CHECK_FALSE(stream.cancelled());
  const std::vector<TokenEvent> events = stream.take(kNow);
  REQUIRE(ids(events) == std::vector<int32_t>{1, 2, 7, 8});
  CHECK(events[3].finish == FinishReason::length);
}

TEST_CASE("one choice or all can be cancelled, again and again", "[engine]") {
  TokenStream stream(3);
  stream.cancel_choice(1);
  stream.cancel_choice(1);
  CHECK_FALSE(stream.choice_cancelled(0));
  CHECK(stream.choice_cancelled(1));
  CHECK_FALSE(stream.choice_cancelled(2));
  CHECK_FALSE(stream.cancelled());
  stream.cancel();
  stream.cancel();
  CHECK(stream.cancelled());
  CHECK(stream.push(last(FinishReason::cancelled, 0)));
  CHECK(stream.take(kNow).at(0).finish == FinishReason::cancelled);
}

TEST_CASE("the reader sees how much of the prompt was cached", "[engine]") {
  TokenStream stream(1);
  stream.set_cached_tokens(64);
  CHECK(stream.cached_tokens() == 64);
}

TEST_CASE("a reader that waits is woken by a token and by the end", "[engine]") {
  TokenStream stream(1);
  std::vector<int32_t> seen;
  std::thread reader([&] {
    seen = ids(stream.take(kLong));
    stream.cancel();  // tells the writer that the token was read
    while (!stream.done()) stream.take(kLong);
  });
  stream.push(token(42));
  while (!stream.cancelled()) std::this_thread::yield();
  stream.end();
  reader.join();
  CHECK(seen == std::vector<int32_t>{42});
}

TEST_CASE("a reader on another thread gets every token in order", "[engine]") {
  constexpr int kTokens = 20000;
  auto stream = std::make_shared<TokenStream>(2, kTokens + 1);
  std::vector<int32_t> seen;
  int n_last = 0;
  std::thread reader([stream, &seen, &n_last] {
    while (!stream->done()) {
      for (const TokenEvent& event : stream->take(milliseconds(1))) {
        if (event.token >= 0) seen.push_back(event.token);
        n_last += event.finish != FinishReason::none ? 1 : 0;
      }
      if (seen.size() > kTokens / 2) stream->cancel_choice(1);
    }
  });
  for (int32_t id = 0; id < kTokens; ++id) {
    stream->set_cached_tokens(id);
    stream->push(token(id));
    static_cast<void>(stream->choice_cancelled(1));
  }
  stream->push(last(FinishReason::length, 0));
  stream->push(last(FinishReason::cancelled, 1));
  stream->end();
  reader.join();
  std::vector<int32_t> expected;
  for (int32_t id = 0; id < kTokens; ++id) expected.push_back(id);
  CHECK(seen == expected);
  CHECK(n_last == 2);
  CHECK(stream->choice_cancelled(1));
}

TEST_CASE("a slow reader gets an unbroken beginning and a cancellation", "[engine]") {
  TokenStream stream(1, 64);
  std::vector<int32_t> seen;
  FinishReason finish = FinishReason::none;
  std::thread reader([&] {
    while (!stream.done()) {
      for (const TokenEvent& event : stream.take(milliseconds(1))) {
        if (event.token >= 0) seen.push_back(event.token);
        if (event.finish != FinishReason::none) finish = event.finish;
      }
      // Slow by waiting for what it waits for: the ring to have run full behind it.
      while (!stream.cancelled()) std::this_thread::yield();
    }
  });
  int32_t next = 0;
  while (stream.push(token(next))) ++next;
  for (int i = 0; i < 100; ++i) CHECK_FALSE(stream.push(token(next + i)));
  stream.push(last(FinishReason::length, 0, next + 100));
  stream.end();
  reader.join();
  CHECK(finish == FinishReason::cancelled);
  REQUIRE(seen.size() == static_cast<size_t>(next));
  for (int32_t i = 0; i < next; ++i) REQUIRE(seen[i] == i);
}

}  // namespace lapidary
