// Answers that go in a circle are ended, and only those.
#include <random>
#include <vector>

#include "server/api/chat_completions.h"
#include "server/api/completions.h"
#include "server/api/repetition_breaker.h"
#include "tests/catch.h"
#include "tests/server/api_world.h"

namespace lapidary {
namespace {

// The token at which it breaks, counted from 1; 0: it does not.
size_t breaks_at(const std::vector<int32_t>& tokens, const RepetitionLimits& limits) {
  RepetitionBreaker breaker(limits);
  for (size_t i = 0; i < tokens.size(); ++i) {
    breaker.push(tokens[i]);
    if (breaker.is_broken()) return i + 1;
  }
  return 0;
}

// By the definition: the last tokens, at least min_tokens and four rounds, have a period.
bool is_circle(const std::vector<int32_t>& tokens, size_t end, const RepetitionLimits& limits) {
  for (size_t period = 1; period <= static_cast<size_t>(limits.max_period); ++period) {
    const size_t length = std::max<size_t>(limits.min_tokens, 4 * period);
    if (end < length) continue;
    bool is_same = true;
    for (size_t i = end - length + period; i < end; ++i) {
      is_same = is_same && tokens[i] == tokens[i - period];
    }
    if (is_same) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("the breaker agrees with its definition on random answers", "[server]") {
  std::mt19937 random(5);
  int n_broken = 0;
  for (int i = 0; i < 2000; ++i) {
    const RepetitionLimits limits{.max_period = static_cast<int>(random() % 9),
                                  .min_tokens = 1 + static_cast<int>(random() % 20)};
    std::vector<int32_t> tokens;
    while (tokens.size() < 120) {  // runs of rounds with a slip now and then
      std::vector<int32_t> round(1 + random() % 6);
      for (int32_t& token : round) token = static_cast<int32_t>(random() % 3);
      for (size_t n = random() % 12; n > 0; --n) {
        tokens.insert(tokens.end(), round.begin(), round.end());
      }
    }
    size_t expected = 0;
    for (size_t end = 1; end <= tokens.size() && expected == 0; ++end) {
      if (is_circle(tokens, end, limits)) expected = end;
    }
    REQUIRE(breaks_at(tokens, limits) == expected);
    n_broken += expected > 0 ? 1 : 0;
  }
  REQUIRE(n_broken > 300);
  REQUIRE(n_broken < 1900);
}

TEST_CASE("an answer in a circle ends with its reason, streamed or not", "[server]") {
  ApiWorld world;
  world.service.options.repetition = {.max_period = 4, .min_tokens = 20};
  std::string text = "Hm";
  for (int i = 0; i < 100; ++i) text += " 1 2";
  world.say(text);
  const auto whole = call(handle_chat_completions, world, chat_request());
  const auto& choice = whole["choices"][0];
  REQUIRE(choice["finish_reason"] == "stop");
  REQUIRE(choice["stop_reason"] == "repetition");
  REQUIRE(whole["usage"]["completion_tokens"] < 60);
  const auto chunks = call_stream(handle_chat_completions, world, chat_request());
  REQUIRE(chunks.back()["choices"][0]["finish_reason"] == "stop");
  REQUIRE(chunks.back()["choices"][0]["stop_reason"] == "repetition");
  std::string streamed;
  for (const auto& chunk : chunks) {
    streamed += chunk["choices"][0]["delta"].value("content", "");
    if (&chunk != &chunks.back()) REQUIRE_FALSE(chunk["choices"][0].contains("stop_reason"));
  }
  REQUIRE(streamed == choice["message"]["content"]);

  nlohmann::json plain = {{"model", "tiny"}, {"prompt", "x"}, {"max_tokens", 400}};
  REQUIRE(call(handle_completions, world, plain)["choices"][0]["stop_reason"] == "repetition");

  for (const auto& [field, value] : std::vector<std::pair<const char*, nlohmann::json>>{
           {"stop_on_repetition", false}, {"ignore_eos", true}, {"min_tokens", 450}}) {
    INFO(field);
    auto body = chat_request();
    body[field] = value;
    const auto free = call(handle_chat_completions, world, body);
    REQUIRE_FALSE(free["choices"][0].contains("stop_reason"));
    REQUIRE(free["usage"]["completion_tokens"] > 200);
  }
}

TEST_CASE("a circle inside what a grammar holds is a cut, never a whole answer", "[server]") {
  ApiWorld world;
  world.service.options.repetition = {.max_period = 4, .min_tokens = 20};
  std::string circle;
  for (int i = 0; i < 100; ++i) circle += " 1 2";
  auto object = chat_request();
  object["response_format"] = {{"type", "json_object"}};
  auto calling = chat_request();
  calling["tools"] = {{{"type", "function"}, {"function", {{"name", "f"}}}}};
  calling["tool_choice"] = "required";
  for (const auto& [begin, body] : std::vector<std::pair<std::string, nlohmann::json>>{
           {R"({"a":")", object}, {R"(<|tool_call>call:f{a:<|"|>)", calling}}) {
    INFO(begin);
    world.say(begin + circle);
    const auto whole = call(handle_chat_completions, world, body);
    CHECK(whole["choices"][0]["finish_reason"] == "length");
    CHECK(whole["choices"][0]["stop_reason"] == "repetition");
    CHECK(whole["usage"]["completion_tokens"] < 60);
    const auto last = call_stream(handle_chat_completions, world, body).back()["choices"][0];
    CHECK(last["finish_reason"] == "length");
    CHECK(last["stop_reason"] == "repetition");
  }
}

}  // namespace lapidary
