// What an answer must not hold, and what must not be computed for one.

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "server/api/answer_format.h"
#include "server/api/chat_completions.h"
#include "server/api/completions.h"
#include "server/api/json_text.h"
#include "server/api/tokenize.h"
#include "server/http/sse_writer.h"
#include "tests/catch.h"
#include "tests/server/api_world.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

std::vector<int32_t> thought_and_answer(const ApiWorld& world) {
  const DialectTokens& d = world.service.dialect;
  std::vector<int32_t> ids = {d.channel_open};
  for (const int32_t id : world.tokenizer.encode("thought\nsecret")) ids.push_back(id);
  ids.push_back(d.channel_close);
  for (const int32_t id : world.tokenizer.encode("yes")) ids.push_back(id);
  return ids;
}

std::string spelled(const Json& logprobs) {
  std::string text;
  for (const Json& entry : logprobs["content"]) text += entry["token"].get<std::string>();
  return text;
}

Json parsed_logprobs(const Tokenizer& tokenizer, const TokenChoice& entry) {
  std::string out;
  append_completion_logprobs(out, tokenizer, {entry});
  return Json::parse(out);
}

}  // namespace

TEST_CASE("a thought that is not included leaves no trace but its count", "[server]") {
  ApiWorld world;
  const std::vector<int32_t> ids = thought_and_answer(world);
  world.engine.set_script([&](const Request& request) {
    std::vector<TokenEvent> events;
    for (const int32_t id : ids) events.push_back(ApiWorld::token(request, 0, id));
    events.back().finish = FinishReason::length;
    return events;
  });
  Json body = chat_request();
  body["logprobs"] = true;
  body["return_token_ids"] = true;
  body["include_reasoning"] = false;
  const std::vector<int32_t> visible = world.tokenizer.encode("yes");

  const Json whole = call(handle_chat_completions, world, body);
  const Json& choice = whole["choices"][0];
  CHECK(!choice["message"].contains("reasoning_content"));
  CHECK(spelled(choice["logprobs"]) == "yes");
  CHECK(choice["token_ids"] == Json(visible));
  CHECK(whole["usage"]["completion_tokens"] == ids.size());
  CHECK(whole["usage"]["completion_tokens_details"]["reasoning_tokens"] ==
        ids.size() - visible.size());
  for (const Json& chunk : call_stream(handle_chat_completions, world, body)) {
    const Json& part = chunk["choices"][0];
    if (part["logprobs"].is_object()) CHECK(part["delta"].contains("content"));
    CHECK(chunk.dump().find("secret") == std::string::npos);
  }

  body["include_reasoning"] = true;
  CHECK(call(handle_chat_completions, world, body)["choices"][0]["token_ids"] == Json(ids));
}

TEST_CASE("tokens that spell the stop string have no log-probabilities", "[server]") {
  ApiWorld world;
  world.say("one two three four");
  Json body = Json::parse(R"({"model":"tiny","prompt":"x","logprobs":0,"stop":["three"]})");
  body["max_tokens"] = 100;
  const Json choice = call(handle_completions, world, body)["choices"][0];
  CHECK(choice["text"] == "one two ");
  const size_t length = choice["text"].get<std::string>().size();
  std::string text;
  for (const Json& token : choice["logprobs"]["tokens"]) text += token.get<std::string>();
  CHECK(text.starts_with("one two"));
  for (const Json& offset : choice["logprobs"]["text_offset"]) CHECK(offset < length);

  body["include_stop_str_in_output"] = true;
  std::string with_stop;
  const Json kept = call(handle_completions, world, body)["choices"][0];
  for (const Json& token : kept["logprobs"]["tokens"]) with_stop += token.get<std::string>();
  CHECK(with_stop == kept["text"]);

  // What looked like the beginning of a stop string and was none is all there.
  body["stop"] = "three five";
  const Json all = call(handle_completions, world, body)["choices"][0];
  CHECK(all["logprobs"]["tokens"].size() == world.tokenizer.encode("one two three four").size());
}

TEST_CASE("an echo without answer and scores costs the engine nothing", "[server]") {
  ApiWorld world;
  Json body = Json::parse(R"({"model":"tiny","prompt":["One","Two"],"max_tokens":0,"echo":true})");
  const Json whole = call(handle_completions, world, body);
  REQUIRE(whole["choices"].size() == 2);
  CHECK(whole["choices"][1]["text"] == "Two");
  CHECK(whole["choices"][1]["finish_reason"] == "length");
  CHECK(whole["usage"]["completion_tokens"] == 0);
  CHECK(whole["usage"]["prompt_tokens"] > 2);
  std::map<int, std::string> streamed;
  for (const Json& chunk : call_stream(handle_completions, world, body)) {
    streamed[chunk["choices"][0]["index"]] += chunk["choices"][0]["text"];
  }
  CHECK(streamed == std::map<int, std::string>{{0, "One"}, {1, "Two"}});
  CHECK(world.engine.n_requests() == 0);
}

TEST_CASE("prompts that can never start together are a mistake, not an overload", "[server]") {
  ApiWorld world;
  world.service.options.max_sequences = 3;
  Json body = Json::parse(R"({"model":"tiny","prompt":["a","b"],"n":2})");
  const ApiError error = error_of(handle_completions, world, body);
  CHECK(error.status == 400);
  CHECK(error.param == "prompt");
  body["n"] = 1;
  CHECK(error_of(handle_completions, world, body).status == 200);
}

TEST_CASE("tokenize refuses what would be part of a conversation's prompt", "[server]") {
  ApiWorld world;
  Json body = chat_request();
  body["chat_template"] = "x";
  CHECK(error_of(handle_tokenize, world, body).param == "chat_template");
}

TEST_CASE("media marks are never sampled, also when the config does not name them", "[server]") {
  ApiWorld world;
  ModelConfig config = world.config;
  config.ids.media.clear();
  const Service service(ApiWorld::options(), config, world.tokenizer);
  int n = 0;
  for (const char* mark :
       {"<|image>", "<image|>", "<|image|>", "<|audio>", "<audio|>", "<|audio|>", "<|video|>"}) {
    const auto id = world.tokenizer.control_id(mark);
    if (!id) continue;
    ++n;
    CHECK(std::count(service.suppressed_tokens.begin(), service.suppressed_tokens.end(), *id) == 1);
  }
  CHECK(n > 0);
}

TEST_CASE("an impossible token's log-probability is a number of JSON", "[server]") {
  ApiWorld world;
  const float never = -std::numeric_limits<float>::infinity();
  TokenChoice entry{.token = 300, .logprob = never, .top = {{301, never}}, .text_offset = 0};
  CHECK(parsed_logprobs(world.tokenizer, entry)["token_logprobs"][0] == -9999.0);
  std::string chat;
  append_chat_logprobs(chat, world.tokenizer, {entry});
  CHECK(Json::parse(chat)["content"][0]["top_logprobs"][0]["logprob"] == -9999.0);
}

TEST_CASE("two tokens of one text are one key: the chosen one's", "[server]") {
  ApiWorld world;
  std::map<std::string, int32_t> seen;
  int32_t first = -1, second = -1;
  for (int32_t id = 0; id < world.tokenizer.vocab_size() && second < 0; ++id) {
    const auto [it, is_new] = seen.emplace(token_label(world.tokenizer, id), id);
    if (!is_new) first = it->second, second = id;
  }
  REQUIRE(second >= 0);
  const std::string label = token_label(world.tokenizer, first);
  std::string out;
  append_completion_logprobs(out, world.tokenizer,
                             {{.token = second,
                               .logprob = -2.0F,
                               .top = {{first, -1.0F}, {second, -2.0F}},
                               .text_offset = 0}});
  const size_t map = out.find("\"top_logprobs\"");
  std::string key;
  append_json_string(key, label);
  key += ':';
  const size_t at = out.find(key, map);
  REQUIRE(at != std::string::npos);
  CHECK(out.find(key, at + 1) == std::string::npos);
  CHECK(Json::parse(out)["top_logprobs"][0][label] == -2.0);
}

TEST_CASE("a stream without anything to show still says that it lives", "[server]") {
  TextBody body;
  SseWriter sse(body, std::chrono::milliseconds(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(sse.flush());
  CHECK(body.text == ": keep-alive\n\n");
  sse.fail("{}");
  CHECK(sse.flush());
  CHECK(body.closed);
}

}  // namespace lapidary
