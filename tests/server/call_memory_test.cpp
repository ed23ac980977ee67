// Calls that come back in a history are the tokens that were generated.
#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "server/api/anthropic.h"
#include "server/api/call_memory.h"
#include "server/api/chat_completions.h"
#include "server/api/responses.h"
#include "server/api/tokenize.h"
#include "tests/catch.h"
#include "tests/server/tool_requests.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

// The prompt's ids when the answer and a result for each of its calls are given back, after
// `change` had a hand in the message.
std::vector<int32_t> next_prompt(ApiWorld& world, Json message,
                                 const std::function<void(Json&)>& change = {}) {
  if (change) change(message);
  Json body = tool_request();
  body["messages"].push_back(message);
  for (const Json& made : message["tool_calls"]) {
    body["messages"].push_back({{"role", "tool"}, {"tool_call_id", made["id"]}, {"content", "r"}});
  }
  return call(handle_tokenize, world, body)["tokens"].get<std::vector<int32_t>>();
}

bool has_run(const std::vector<int32_t>& ids, const std::vector<int32_t>& run) {
  return std::search(ids.begin(), ids.end(), run.begin(), run.end()) != ids.end();
}

}  // namespace

TEST_CASE("a call comes back as the ids that were generated, or as the template spells it",
          "[server]") {
  ApiWorld world;
  const std::string deep = "{a:[1,-2.5,{k:null,l:[]}],b:{},c:true,d:<|\"|>Zürich, \"x\"\n{}<|\"|>}";
  for (const auto& [raw, is_canonical] : std::vector<std::pair<std::string, bool>>{
           {"<|tool_call>call:g{}<tool_call|>", true},
           {"<|tool_call>call:f" + deep + "<tool_call|><|tool_call>call:g{z:0}<tool_call|>", true},
           {kCall, false},
           {"<|tool_call>call:f{b:1e5,a:{ }}<tool_call|><|tool_call>call:g{z:0.0}<tool_call|>",
            false}}) {
    INFO(raw);
    say_raw(world, raw);
    const std::vector<int32_t> said = world.tokenizer.encode_with_control(raw);
    const Json message =
        call(handle_chat_completions, world, tool_request())["choices"][0]["message"];
    CHECK(has_run(next_prompt(world, message), said));
    std::vector<Json> ids;
    for (const Json& chunk : call_stream(handle_chat_completions, world, tool_request())) {
      for (const Json& made : chunk["choices"][0]["delta"].value("tool_calls", Json::array())) {
        if (made.contains("id")) ids.push_back(made["id"]);
      }
    }
    const auto as_streamed = [&](Json& m) {
      for (size_t i = 0; i < ids.size(); ++i) m["tool_calls"][i]["id"] = ids[i];
    };
    CHECK(has_run(next_prompt(world, message, as_streamed), said));
    const auto renamed = [](Json& m) {
      for (Json& made : m["tool_calls"]) made["id"] = made["id"].get<std::string>() + "x";
    };
    CHECK(has_run(next_prompt(world, message, renamed), said) == is_canonical);
    const auto changed = [](Json& m) { m["tool_calls"][0]["function"]["arguments"] = "{\"q\":1}"; };
    CHECK_FALSE(has_run(next_prompt(world, message, changed), said));
    const auto swapped = [](Json& m) { m["tool_calls"][0]["function"]["name"] = "h"; };
    CHECK_FALSE(has_run(next_prompt(world, message, swapped), said));
  }
}

TEST_CASE("a call that had to be mended comes back as the template spells it", "[server]") {
  ApiWorld world;
  for (const std::string& raw :
       {std::string("<|tool_call>call:f{n:1.50} I will look<tool_call|>"),  // text behind it
        std::string("<|tool_call>call:f{n:1.50,a:<|\"|>x}<tool_call|>"),    // a quote is missing
        std::string("<|tool_call>call:f{n:1.50,<|think|>a:1}<tool_call|>"),
        std::string("<|tool_call>call:f{n:1.50}call:g{}<tool_call|>"),  // two behind one opener
        std::string("call:f{n:1.50}"), std::string("<|tool_call>call:f{n:1.50}")}) {
    INFO(raw);
    say_raw(world, raw);
    const Json message =
        call(handle_chat_completions, world, tool_request())["choices"][0]["message"];
    REQUIRE_FALSE(message["tool_calls"].empty());
    const std::vector<int32_t> said = world.tokenizer.encode_with_control("1.50");
    CHECK_FALSE(has_run(next_prompt(world, message), said));
  }
}

TEST_CASE("other front doors give calls back as well", "[server]") {
  ApiWorld world;
  say_raw(world, kCall);
  const std::vector<int32_t> said = world.tokenizer.encode_with_control(kCall);
  Json body =
      Json::parse(R"({"model":"tiny","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],
    "tools":[{"name":"f","input_schema":{"type":"object"}}]})");
  const Json content = call(handle_anthropic_messages, world, body)["content"];
  body["messages"].push_back({{"role", "assistant"}, {"content", content}});
  body["messages"].push_back(
      {{"role", "user"},
       {"content",
        {{{"type", "tool_result"}, {"tool_use_id", content[0]["id"]}, {"content", "r"}}}}});
  call(handle_anthropic_messages, world, body);
  CHECK(has_run(world.engine.last_request().tokens, said));

  body = Json::parse(R"({"model":"tiny","input":[{"role":"user","content":"Hi"}],
    "tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]})");
  const Json output = call(handle_responses, world, body)["output"];
  body["input"].push_back(output.back());
  body["input"].push_back(
      {{"type", "function_call_output"}, {"call_id", output.back()["call_id"]}, {"output", "r"}});
  call(handle_responses, world, body);
  CHECK(has_run(world.engine.last_request().tokens, said));
}

TEST_CASE("what calls were is kept within a number of bytes", "[server]") {
  CallMemory memory(4096);
  const auto id_of = [](int i) { return "call_" + std::to_string(i); };
  for (int i = 0; i < 100; ++i) {
    memory.keep({.id = id_of(i), .name = "f", .arguments = "{}", .tokens = {1, i}});
    CHECK_FALSE(memory.recall({.id = id_of(0), .name = "f"}).empty());  // used: it stays
  }
  CHECK(memory.recall({.id = id_of(99), .name = "f"}) == std::vector<int32_t>{1, 99});
  CHECK(memory.recall({.id = id_of(50), .name = "f"}).empty());
  CHECK(memory.recall({.id = id_of(99), .name = "g"}).empty());
  memory.keep({.id = "large", .name = "f", .arguments = std::string(5000, ' '), .tokens = {1}});
  CHECK(memory.recall({.id = "large", .name = "f"}).empty());
  CHECK_FALSE(memory.recall({.id = id_of(0), .name = "f"}).empty());
}

}  // namespace lapidary
