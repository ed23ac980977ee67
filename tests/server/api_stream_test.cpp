// The whole answer is the sum of the streamed one, whatever the tokens are.

#include <map>
#include <random>
#include <string>
#include <vector>

#include "server/api/chat_completions.h"
#include "server/api/completions.h"
#include "tests/catch.h"
#include "tests/server/api_world.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

// What a client puts together from a stream.
struct Folded {
  std::string reasoning, content, role;
  Json logprobs = Json::array(), tokens = Json::array();
  Json finish;
  int n_finish = 0, n_roles = 0;
};

std::map<int, Folded> fold_chat(const std::vector<Json>& chunks) {
  std::map<int, Folded> choices;
  for (const Json& chunk : chunks) {
    for (const Json& choice : chunk.at("choices")) {
      Folded& f = choices[choice.at("index").get<int>()];
      REQUIRE(f.n_finish == 0);  // nothing comes behind the end of a choice
      const Json& delta = choice.at("delta");
      if (delta.contains("role")) {
        ++f.n_roles;
        f.role = delta["role"];
      }
      f.content += delta.value("content", "");
      f.reasoning += delta.value("reasoning_content", "");
      if (choice.at("logprobs").is_object()) {
        for (const Json& entry : choice["logprobs"]["content"]) f.logprobs.push_back(entry);
      }
      for (const Json& id : choice.value("token_ids", Json::array())) f.tokens.push_back(id);
      if (!choice.at("finish_reason").is_null()) {
        f.finish = choice["finish_reason"];
        ++f.n_finish;
        REQUIRE(!delta.contains("content"));
      }
    }
  }
  return choices;
}

// Random tokens with a liking for the dialect's control tokens, for each choice of a request.
std::vector<TokenEvent> random_events(const Request& request, const ApiWorld& world,
                                      unsigned seed) {
  std::mt19937 random(seed);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  const DialectTokens& d = world.service.dialect;
  const std::vector<int32_t> special = {d.channel_open, d.channel_close, d.call_open, d.turn_open,
                                        d.think};
  const std::vector<int32_t> label = world.tokenizer.encode("thought\n");
  std::vector<std::vector<TokenEvent>> rows(static_cast<size_t>(request.n));
  for (int choice = 0; choice < request.n; ++choice) {
    std::vector<int32_t> ids;
    if (below(2) == 0) {
      ids.push_back(d.channel_open);
      ids.insert(ids.end(), label.begin(), label.end());
    }
    const int length = below(40);
    for (int i = 0; i < length; ++i) {
      ids.push_back(below(6) == 0 ? special[static_cast<size_t>(below(5))]
                                  : below(world.tokenizer.vocab_size()));
    }
    auto& row = rows[static_cast<size_t>(choice)];
    for (const int32_t id : ids) row.push_back(ApiWorld::token(request, choice, id));
    TokenEvent last = ApiWorld::token(request, choice, world.config.ids.eos.front());
    last.finish = below(2) == 0 ? FinishReason::stop : FinishReason::length;
    row.push_back(last);
  }
  std::vector<TokenEvent> events;  // the choices interleaved
  for (size_t i = 0; events.size() < 4096; ++i) {
    bool any = false;
    for (auto& row : rows) {
      if (i < row.size()) events.push_back(row[i]), any = true;
    }
    if (!any) break;
  }
  return events;
}

}  // namespace

TEST_CASE("a streamed chat answer adds up to the whole one", "[server]") {
  ApiWorld world;
  for (unsigned seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    world.engine.set_script(
        [&](const Request& request) { return random_events(request, world, seed); });
    Json body = chat_request();
    body["n"] = 1 + seed % 3;
    body["return_token_ids"] = true;
    body["include_reasoning"] = seed % 5 != 0;
    if (seed % 2 == 0) body["stop"] = Json::parse(R"(["e","th","in "])");
    if (seed % 4 == 0) body["logprobs"] = true, body["top_logprobs"] = 2;
    if (seed % 3 == 0) body["min_tokens"] = 3;

    const Json whole = call(handle_chat_completions, world, body);
    body["stream_options"]["include_usage"] = true;
    const std::vector<Json> chunks = call_stream(handle_chat_completions, world, body);

    std::map<int, Folded> folded = fold_chat(chunks);
    REQUIRE(folded.size() == whole["choices"].size());
    for (const Json& choice : whole["choices"]) {
      const Folded& f = folded[choice["index"].get<int>()];
      CHECK(f.role == "assistant");
      CHECK(f.n_roles == 1);
      CHECK(f.n_finish == 1);
      CHECK(f.content == choice["message"]["content"]);
      CHECK(f.reasoning == choice["message"].value("reasoning_content", ""));
      CHECK(f.finish == choice["finish_reason"]);
      CHECK(f.tokens == choice["token_ids"]);
      if (choice["logprobs"].is_object()) {
        CHECK(f.logprobs == choice["logprobs"]["content"]);
      }
    }
    CHECK(chunks.back()["choices"].empty());
    CHECK(chunks.back()["usage"] == whole["usage"]);
    for (size_t i = 0; i + 1 < chunks.size(); ++i) {
      CHECK(chunks[i].at("usage").is_null());
      CHECK(chunks[i]["id"] == chunks[0]["id"]);
      CHECK(chunks[i]["created"] == chunks[0]["created"]);
    }
  }
}

TEST_CASE("a streamed completion adds up to the whole one", "[server]") {
  ApiWorld world;
  for (unsigned seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    world.engine.set_script([&](const Request& request) {
      std::vector<TokenEvent> events;
      if (request.prompt_logprobs) {
        for (const int32_t id : request.tokens) {
          TokenEvent event = ApiWorld::token(request, 0, id);
          event.is_prompt = true;
          if (events.empty()) event.logprob.reset(), event.top.clear();
          events.push_back(event);
        }
      }
      for (TokenEvent& event : random_events(request, world, seed)) events.push_back(event);
      return events;
    });
    Json body = Json::parse(R"({"model":"tiny","prompt":["One","zwei \u00e4\u00f6"]})");
    body["n"] = 1 + seed % 2;
    body["echo"] = seed % 3 == 0;
    if (seed % 2 == 0) body["logprobs"] = seed % 3;
    if (seed % 5 == 0) body["stop"] = "a";

    const Json whole = call(handle_completions, world, body);
    std::map<int, Folded> folded;
    for (const Json& chunk : call_stream(handle_completions, world, body)) {
      for (const Json& choice : chunk["choices"]) {
        Folded& f = folded[choice["index"].get<int>()];
        f.content += choice["text"];
        if (choice["logprobs"].is_object()) {
          for (const Json& entry : choice["logprobs"]["tokens"]) f.tokens.push_back(entry);
          for (const Json& at : choice["logprobs"]["text_offset"]) f.logprobs.push_back(at);
        }
        if (!choice["finish_reason"].is_null()) ++f.n_finish, f.finish = choice["finish_reason"];
      }
    }
    REQUIRE(folded.size() == whole["choices"].size());
    for (const Json& choice : whole["choices"]) {
      const Folded& f = folded[choice["index"].get<int>()];
      CHECK(f.content == choice["text"]);
      CHECK(f.finish == choice["finish_reason"]);
      CHECK(f.n_finish == 1);
      if (choice["logprobs"].is_object()) {
        CHECK(f.tokens == choice["logprobs"]["tokens"]);
        CHECK(f.logprobs == choice["logprobs"]["text_offset"]);
      }
    }
  }
}

TEST_CASE("a stop string ends its choice and is counted with its token", "[server]") {
  ApiWorld world;
  world.say("one two three four");
  Json body = chat_request();
  body["stop"] = "three";
  const Json answer = call(handle_chat_completions, world, body);
  CHECK(answer["choices"][0]["message"]["content"] == "one two ");
  CHECK(answer["choices"][0]["finish_reason"] == "stop");
  const auto upto = world.tokenizer.encode("one two three four");
  CHECK(answer["usage"]["completion_tokens"].get<size_t>() < upto.size() + 1);

  body["include_stop_str_in_output"] = true;
  CHECK(call(handle_chat_completions, world, body)["choices"][0]["message"]["content"] ==
        "one two three");
}

TEST_CASE("a choice that the engine cancels ends a stream with one error frame", "[server]") {
  ApiWorld world;
  world.engine.set_script([](const Request& request) {
    TokenEvent event = ApiWorld::token(request, 0, 300);
    TokenEvent end;
    end.finish = FinishReason::cancelled;
    return std::vector<TokenEvent>{event, end};
  });
  const auto chunks = call_stream(handle_chat_completions, world, chat_request());
  CHECK(chunks.back()["error"]["code"] == "engine_overloaded");
  const ApiError error = error_of(handle_chat_completions, world, chat_request());
  CHECK(error.status == 503);
  CHECK(error.retry_after_s > 0);
}

TEST_CASE("continuous usage counts up in every chunk", "[server]") {
  ApiWorld world;
  world.say("one two three");
  Json body = chat_request();
  body["stream_options"]["continuous_usage_stats"] = true;
  int64_t before = -1;
  for (const Json& chunk : call_stream(handle_chat_completions, world, body)) {
    const auto now = chunk["usage"]["completion_tokens"].get<int64_t>();
    CHECK(now >= before);
    before = now;
  }
  CHECK(before == static_cast<int64_t>(world.tokenizer.encode("one two three").size()) + 1);
}

TEST_CASE("the reasoning field has the configured names", "[server]") {
  ApiWorld world;
  const DialectTokens& d = world.service.dialect;
  std::vector<int32_t> ids = {d.channel_open};
  for (const int32_t id : world.tokenizer.encode("thought\nhm")) ids.push_back(id);
  ids.push_back(d.channel_close);
  for (const int32_t id : world.tokenizer.encode("yes")) ids.push_back(id);
  world.engine.set_script([&](const Request& request) {
    std::vector<TokenEvent> events;
    for (const int32_t id : ids) events.push_back(ApiWorld::token(request, 0, id));
    events.back().finish = FinishReason::length;
    return events;
  });
  const auto message = [&](ReasoningField field) {
    world.service.options.reasoning_field = field;
    return call(handle_chat_completions, world, chat_request())["choices"][0]["message"];
  };
  CHECK(message(ReasoningField::reasoning_content)["reasoning_content"] == "hm");
  CHECK(!message(ReasoningField::reasoning_content).contains("reasoning"));
  CHECK(message(ReasoningField::reasoning)["reasoning"] == "hm");
  CHECK(message(ReasoningField::both)["reasoning_content"] == "hm");
  CHECK(message(ReasoningField::both)["content"] == "yes");
}

}  // namespace lapidary
