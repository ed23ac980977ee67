// Tools over the chat endpoint: the request's side checked field by field, the answer's side in
// both forms.

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "server/api/chat_completions.h"
#include "server/api/completions.h"
#include "server/api/parse_output.h"
#include "server/api/tokenize.h"
#include "tests/catch.h"
#include "tests/server/api_world.h"
#include "tests/server/tool_requests.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

const char kTwoCalls[] =
    "Both.\n<|tool_call>call:f{a:<|\"|>x<|\"|>}<tool_call|><|tool_call>call:g{}<tool_call|>";

// What a client makes of a stream's deltas.
Json folded(const std::vector<Json>& chunks) {
  Json message = {{"content", ""}, {"reasoning_content", ""}, {"tool_calls", Json::array()}};
  Json finish;
  for (const Json& chunk : chunks) {
    const Json& choice = chunk["choices"][0];
    const Json& delta = choice["delta"];
    for (const char* name : {"content", "reasoning_content"}) {
      message[name] = message[name].get<std::string>() + delta.value(name, "");
    }
    for (const Json& call : delta.value("tool_calls", Json::array())) {
      if (call.contains("id")) {
        REQUIRE(call["index"] == message["tool_calls"].size());
        REQUIRE(call["type"] == "function");
        REQUIRE(call["function"]["arguments"] == "");
        REQUIRE(call["id"].get<std::string>().starts_with("call_"));
        message["tool_calls"].push_back(call["function"]);
        continue;
      }
      REQUIRE(call.size() == 2);
      REQUIRE(call["function"].size() == 1);
      Json& text = message["tool_calls"][call["index"].get<size_t>()]["arguments"];
      text = text.get<std::string>() + call["function"]["arguments"].get<std::string>();
    }
    if (!choice["finish_reason"].is_null()) {
      REQUIRE(finish.is_null());
      REQUIRE(delta.empty());
      finish = choice["finish_reason"];
    }
  }
  message["finish_reason"] = finish;
  return message;
}

Json flat(const Json& whole) {
  const Json& choice = whole["choices"][0];
  const Json& message = choice["message"];
  Json out = {{"content", message["content"].is_null() ? Json("") : message["content"]},
              {"reasoning_content", message.value("reasoning_content", "")},
              {"tool_calls", Json::array()},
              {"finish_reason", choice["finish_reason"]}};
  for (const Json& call : message.value("tool_calls", Json::array())) {
    REQUIRE(call["type"] == "function");
    out["tool_calls"].push_back(call["function"]);
  }
  return out;
}

std::string controls_and_text(const ApiWorld& world, const Json& body) {
  const Json ids = call(handle_tokenize, world, body)["tokens"];
  return call(handle_detokenize, world, {{"tokens", ids}})["prompt"];
}

struct Refusal {
  std::string set;  // into a request with the tools f and g
  const char* code;
  const char* param;
};

void check_refused(const std::vector<Refusal>& rows) {
  ApiWorld world;
  for (const Refusal& row : rows) {
    CAPTURE(row.set);
    const ApiError error = error_of(handle_chat_completions, world, tool_request(row.set));
    CHECK(error.status == 400);
    CHECK(error.code == row.code);
    CHECK(error.param == row.param);
  }
}

std::string history(const std::string& messages) {
  return R"({"messages":[{"role":"user","content":"x"},)" + messages + "]}";
}

std::string calling(const std::string& ids) {
  std::string list;
  for (const char id : ids) {
    if (!list.empty()) list += ',';
    list += std::string(R"({"id":")") + id +
            R"(","type":"function","function":{"name":"f","arguments":"{}"}})";
  }
  return R"({"role":"assistant","content":null,"tool_calls":[)" + list + "]}";
}

std::string result(const std::string& id) {
  return R"({"role":"tool","tool_call_id":")" + id + R"(","content":"r"})";
}

}  // namespace

TEST_CASE("a call is answered whole, with its id, its name and JSON text", "[server]") {
  ApiWorld world;
  say_raw(world, kCall);
  const Json whole = call(handle_chat_completions, world, tool_request());
  const Json& choice = whole["choices"][0];
  CHECK(choice["finish_reason"] == "tool_calls");
  CHECK(choice["message"]["content"].is_null());
  REQUIRE(choice["message"]["tool_calls"].size() == 1);
  const Json& made = choice["message"]["tool_calls"][0];
  CHECK(made["id"].get<std::string>().size() == 29);
  CHECK(made["type"] == "function");
  CHECK(made["function"]["name"] == "f");
  CHECK(made["function"]["arguments"] == R"({"a":"x","n":1.50})");
  CHECK(whole["usage"]["completion_tokens"] ==
        world.tokenizer.encode_with_control(kCall).size() + 1);
}

TEST_CASE("parallel calls stream as numbered deltas, each with its own id", "[server]") {
  ApiWorld world;
  say_raw(world, kTwoCalls);
  const std::vector<Json> chunks = call_stream(handle_chat_completions, world, tool_request());
  const Json message = folded(chunks);
  CHECK(message["content"] == "Both.");
  CHECK(message["finish_reason"] == "tool_calls");
  CHECK(message["tool_calls"].dump() ==
        R"([{"arguments":"{\"a\":\"x\"}","name":"f"},{"arguments":"{}","name":"g"}])");
  std::map<std::string, int> ids;
  for (const Json& chunk : chunks) {
    for (const Json& one : chunk["choices"][0]["delta"].value("tool_calls", Json::array())) {
      if (one.contains("id")) ++ids[one["id"]];
    }
  }
  CHECK(ids.size() == 2);
}

TEST_CASE("one call at a time ends the answer where a second one begins", "[server]") {
  ApiWorld world;
  say_raw(world, std::string(kTwoCalls) + "and much more that nobody reads");
  const Json body = tool_request(R"({"parallel_tool_calls":false})");
  const Json whole = flat(call(handle_chat_completions, world, body));
  CHECK(whole["tool_calls"].size() == 1);
  CHECK(whole["finish_reason"] == "tool_calls");
  CHECK(whole["content"] == "Both.");
  CHECK(folded(call_stream(handle_chat_completions, world, body)) == whole);
}

TEST_CASE("a call that the limit cuts is no whole call and says so", "[server]") {
  ApiWorld world;
  say_raw(world, "<|tool_call>call:f{a:<|\"|>Lon", FinishReason::length);
  const Json whole = flat(call(handle_chat_completions, world, tool_request()));
  CHECK(whole["finish_reason"] == "length");
  CHECK(whole["tool_calls"][0]["arguments"] == R"({"a":"Lon)");
  CHECK(folded(call_stream(handle_chat_completions, world, tool_request())) == whole);

  say_raw(world, "<|tool_call>call:f{a:<|\"|>Lon");
  const Json mended = flat(call(handle_chat_completions, world, tool_request()));
  CHECK(mended["finish_reason"] == "tool_calls");
  CHECK(mended["tool_calls"][0]["arguments"] == R"({"a":"Lon"})");
}

TEST_CASE("thoughts stay thoughts around calls, also when they may not be shown", "[server]") {
  ApiWorld world;
  say_raw(world, std::string("<|channel>thought\nI need f.\n<channel|>") + kCall);
  Json body = tool_request(R"({"reasoning_effort":"low"})");
  const Json whole = flat(call(handle_chat_completions, world, body));
  CHECK(whole["reasoning_content"] == "I need f.");
  CHECK(whole["tool_calls"].size() == 1);
  CHECK(folded(call_stream(handle_chat_completions, world, body)) == whole);
  body["include_reasoning"] = false;
  const Json hidden = flat(call(handle_chat_completions, world, body));
  CHECK(hidden["reasoning_content"] == "");
  CHECK(hidden["tool_calls"] == whole["tool_calls"]);
}

TEST_CASE("behind a tool's result the answer begins inside the thought", "[server]") {
  ApiWorld world;
  say_raw(world, "It is warm.\n<channel|>Warm.");
  Json body = tool_request(history(calling("a") + "," + result("a")));
  body["reasoning_effort"] = "high";
  CHECK(controls_and_text(world, body).ends_with("<tool_response|><|channel>thought\n"));
  for (const Json& message : {flat(call(handle_chat_completions, world, body)),
                              folded(call_stream(handle_chat_completions, world, body))}) {
    CHECK(message["reasoning_content"] == "It is warm.");
    CHECK(message["content"] == "Warm.");
    CHECK(message["finish_reason"] == "stop");
  }
}

TEST_CASE("the older form of functions is answered in its own form", "[server]") {
  ApiWorld world;
  say_raw(world, kTwoCalls);
  Json body = chat_request();
  body["functions"] = Json::parse(R"([{"name":"f"},{"name":"g"}])");
  const Json whole = call(handle_chat_completions, world, body)["choices"][0];
  CHECK(whole["finish_reason"] == "function_call");
  CHECK(whole["message"]["function_call"]["name"] == "f");
  CHECK(whole["message"]["function_call"]["arguments"] == R"({"a":"x"})");
  CHECK(!whole["message"].contains("tool_calls"));
  std::string name, arguments;
  for (const Json& chunk : call_stream(handle_chat_completions, world, body)) {
    const Json delta = chunk["choices"][0]["delta"].value("function_call", Json::object());
    name += delta.value("name", "");
    arguments += delta.value("arguments", "");
  }
  CHECK(name == "f");
  CHECK(arguments == R"({"a":"x"})");

  body["messages"] = Json::parse(R"([{"role":"user","content":"x"},
    {"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{\"a\":1}"}},
    {"role":"function","name":"f","content":"r"}])");
  CHECK(controls_and_text(world, body)
            .ends_with("<|tool_call>call:f{a:1}<tool_call|><|tool_response>response:f{value:"
                       "<|\"|>r<|\"|>}<tool_response|>"));
}

TEST_CASE("tools that must not be called are not shown, and no call is found", "[server]") {
  ApiWorld world;
  say_raw(world, kCall);
  const Json body = tool_request(R"({"tool_choice":"none"})");
  CHECK(controls_and_text(world, body).find("declaration") == std::string::npos);
  const Json message = flat(call(handle_chat_completions, world, body));
  CHECK(message["tool_calls"].empty());
  CHECK(message["content"] == "call:f{a:x,n:1.50}");
  CHECK(message["finish_reason"] == "stop");
  CHECK(
      controls_and_text(world, tool_request(R"({"tool_choice":"auto"})")).find("declaration:f{") !=
      std::string::npos);
}

TEST_CASE("the model's wait for results ends an answer with tools", "[server]") {
  ApiWorld world;
  call(handle_chat_completions, world, tool_request());
  const std::vector<int32_t> stops = world.engine.last_request().stop_ids;
  CHECK(std::count(stops.begin(), stops.end(), world.service.dialect.response_open) >= 1);
}

TEST_CASE("token ids and log-probabilities of calls go out once", "[server]") {
  ApiWorld world;
  say_raw(world, kTwoCalls);
  const Json body = tool_request(R"({"logprobs":true,"return_token_ids":true})");
  const Json choice = call(handle_chat_completions, world, body)["choices"][0];
  Json ids = Json::array(), logprobs = Json::array();
  for (const Json& chunk : call_stream(handle_chat_completions, world, body)) {
    const Json& part = chunk["choices"][0];
    for (const Json& id : part.value("token_ids", Json::array())) ids.push_back(id);
    if (!part["logprobs"].is_object()) continue;
    for (const Json& one : part["logprobs"]["content"]) logprobs.push_back(one);
  }
  CHECK(ids == choice["token_ids"]);
  CHECK(logprobs == choice["logprobs"]["content"]);
}

TEST_CASE("a stream is the whole answer, whatever the model says with tools", "[server]") {
  const std::vector<std::string> pieces = {"<|tool_call>",
                                           "<tool_call|>",
                                           "<|\"|>",
                                           "call:f{",
                                           "a:",
                                           "1",
                                           ",",
                                           "{",
                                           "}",
                                           "[",
                                           "]",
                                           "hello ",
                                           "\n",
                                           "<|channel>thought\n",
                                           "<channel|>",
                                           "b:<|\"|>v<|\"|>",
                                           "stop",
                                           "\U0001f48e",
                                           "'",
                                           "("};
  ApiWorld world;
  std::mt19937 random(17);
  for (int round = 0; round < 1500; ++round) {
    std::string raw;
    for (auto n = random() % 20; n > 0; --n) raw += pieces[random() % pieces.size()];
    if (raw.empty()) continue;
    INFO(raw);
    say_raw(world, raw, random() % 3 == 0 ? FinishReason::length : FinishReason::stop);
    Json body = tool_request();
    if (random() % 3 == 0) body["parallel_tool_calls"] = false;
    if (random() % 3 == 0) body["stop"] = "stop";
    const Json whole = flat(call(handle_chat_completions, world, body));
    REQUIRE(folded(call_stream(handle_chat_completions, world, body)) == whole);
    REQUIRE(whole.dump().find("<|") == std::string::npos);
    if (whole["finish_reason"] == "length") continue;
    REQUIRE(whole["finish_reason"] == (whole["tool_calls"].empty() ? "stop" : "tool_calls"));
    for (const Json& one : whole["tool_calls"]) {
      REQUIRE(Json::accept(one["arguments"].get<std::string>()));
    }
  }
}

TEST_CASE("fields of tools are checked to the last schema", "[server]") {
  const auto tools = [](const std::string& list) { return R"({"tools":)" + list + "}"; };
  std::string many = "[";
  for (int i = 0; i < 129; ++i) many += (i > 0 ? "," : "") + function("n" + std::to_string(i));
  check_refused({
      {tools("7"), "invalid_type", "tools"},
      {tools("{}"), "invalid_type", "tools"},
      {tools("[7]"), "invalid_type", "tools[0]"},
      {tools(many + "]"), "array_above_max_length", "tools"},
      {tools("[{}]"), "missing_required_parameter", "tools[0].type"},
      {tools(R"([{"type":"custom"}])"), "unsupported_value", "tools[0].type"},
      {tools(R"([{"type":"function"}])"), "missing_required_parameter", "tools[0].function"},
      {tools(R"([{"type":"function","function":{}}])"), "missing_required_parameter",
       "tools[0].function.name"},
      {tools("[" + function("") + "]"), "invalid_value", "tools[0].function.name"},
      {tools("[" + function("a b") + "]"), "invalid_value", "tools[0].function.name"},
      {tools("[" + function(std::string(129, 'x')) + "]"), "string_above_max_length",
       "tools[0].function.name"},
      {tools("[" + function("f") + "," + function("f") + "]"), "invalid_value",
       "tools[1].function.name"},
      {tools("[" + function("f", R"(,"description":1)") + "]"), "invalid_type",
       "tools[0].function.description"},
      {tools("[" + function("f", R"(,"parameters":[])") + "]"), "invalid_type",
       "tools[0].function.parameters"},
      {tools("[" + function("f", R"(,"parameters":{"type":"string"})") + "]"), "invalid_value",
       "tools[0].function.parameters.type"},
      {tools("[" + function("f", R"(,"parameters":{"properties":{"a":{"$ref":"#/x"}}})") + "]"),
       "invalid_value", "tools[0].function.parameters.properties.a.$ref"},
      {tools("[" + function("f", R"(,"strict":1)") + "]"), "invalid_type",
       "tools[0].function.strict"},
      {tools("[" + function("f", R"(,"strict":true,"parameters":{"properties":{"a":{"if":{}}}})") +
             "]"),
       "invalid_json_schema", "tools[0].function.parameters.properties.a.if"},
      {R"({"functions":[{"name":"h"}]})", "invalid_value", "functions"},
      {R"({"tools":null,"functions":[{}]})", "missing_required_parameter", "functions[0].name"},
      {R"({"parallel_tool_calls":0})", "invalid_type", "parallel_tool_calls"},
  });
}

TEST_CASE("choices of tools are checked", "[server]") {
  check_refused({
      {R"({"tool_choice":"maybe"})", "invalid_value", "tool_choice"},
      {R"({"tool_choice":7})", "invalid_type", "tool_choice"},
      {R"({"tool_choice":{}})", "missing_required_parameter", "tool_choice.type"},
      {R"({"tool_choice":{"type":"custom"}})", "unsupported_value", "tool_choice.type"},
      {R"({"tool_choice":{"type":"function"}})", "missing_required_parameter",
       "tool_choice.function"},
      {R"({"tool_choice":{"type":"function","function":{"name":"h"}}})", "invalid_value",
       "tool_choice.function.name"},
      {R"({"tool_choice":{"type":"allowed_tools"}})", "missing_required_parameter",
       "tool_choice.allowed_tools"},
      {R"({"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[
        {"type":"function","function":{"name":"h"}}]}}})",
       "invalid_value", "tool_choice.allowed_tools.tools[0].function.name"},
      {R"({"tools":[],"tool_choice":"required"})", "invalid_value", "tool_choice"},
      {R"({"tools":[],"function_call":{"name":"f"}})", "invalid_value", "function_call"},
  });
}

TEST_CASE("a history's calls and results must belong together", "[server]") {
  check_refused({
      {history(result("a")), "invalid_value", "messages[1].role"},
      {history(calling("a") + "," + result("b")), "invalid_value", "messages[2].tool_call_id"},
      {history(calling("ab") + "," + result("a")), "invalid_value", "messages[1].tool_calls"},
      {history(calling("a")), "invalid_value", "messages[1].tool_calls"},
      {history(calling("a") + R"(,{"role":"user","content":"y"},)" + result("a")), "invalid_value",
       "messages[1].tool_calls"},
      {history(calling("a") + R"(,{"role":"tool","content":"r"})"), "missing_required_parameter",
       "messages[2].tool_call_id"},
      {history(calling("a") + R"(,{"role":"tool","tool_call_id":"a"})"),
       "missing_required_parameter", "messages[2].content"},
      {history(R"({"role":"assistant","tool_calls":[{"type":"function"}]})"),
       "missing_required_parameter", "messages[1].tool_calls[0].id"},
      {history(R"({"role":"assistant","tool_calls":[{"id":"a","type":"custom"}]})"),
       "unsupported_value", "messages[1].tool_calls[0].type"},
      {history(
           R"({"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]})"),
       "invalid_value", "messages[1].tool_calls[0].function.arguments"},
      {history(
           R"({"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"[]"}}]})"),
       "invalid_value", "messages[1].tool_calls[0].function.arguments"},
      {history(R"({"role":"function","name":"f","content":"r"})"), "invalid_value",
       "messages[1].role"},
      {R"({"continue_final_message":true,"messages":[)" + calling("a") + "]}", "invalid_value",
       "continue_final_message"},
  });
  ApiWorld world;
  CHECK(error_of(handle_chat_completions, world,
                 tool_request(history(calling("ab") + "," + result("b") + "," + result("a"))))
            .status == 200);
  Json closed = tool_request(history(calling("a")));
  closed["add_generation_prompt"] = false;
  CHECK(controls_and_text(world, closed).ends_with("<tool_call|><|tool_response>"));
}

TEST_CASE("tools are no part of plain completions", "[server]") {
  ApiWorld world;
  Json body = Json::parse(R"({"model":"tiny","prompt":"x"})");
  body["tools"] = Json::parse("[" + function("f") + "]");
  const ApiError error = error_of(handle_completions, world, body);
  CHECK(error.code == "unsupported_parameter");
  CHECK(error.param == "tools");
}

TEST_CASE("outputs are parsed without a model as the server would answer them", "[server]") {
  ApiWorld world;
  Json record = {{"text", std::string("plan\n<channel|>") + kTwoCalls + "<turn|>ignored"},
                 {"prompt_tail", "<tool_response|><|channel>thought\n"},
                 {"thinking", true},
                 {"tools", tool_request()["tools"]}};
  const Json whole = Json::parse(parse_output(record, world.service));
  CHECK(whole["finish_reason"] == "tool_calls");
  CHECK(whole["message"]["reasoning_content"] == "plan");
  CHECK(whole["message"]["content"] == "Both.");
  CHECK(whole["message"]["tool_calls"][0]["function"]["arguments"] == R"({"a":"x"})");

  const std::vector<int32_t> ids =
      world.tokenizer.encode_with_control(record["text"].get<std::string>());
  record.erase("text");
  record["token_ids"] = ids;
  std::mt19937 random(23);
  for (int round = 0; round < 200; ++round) {
    Json sizes = Json::array();
    for (auto n = random() % 20; n > 0; --n) sizes.push_back(1 + random() % 9);
    record["chunks"] = sizes;
    const Json parsed = Json::parse(parse_output(record, world.service));
    std::vector<Json> chunks;
    for (const Json& delta : parsed["deltas"]) {
      chunks.push_back({{"choices", {{{"delta", delta}, {"finish_reason", nullptr}}}}});
    }
    Json message = folded(chunks);
    message["finish_reason"] = parsed["finish_reason"];
    REQUIRE(
        message ==
        flat({{"choices",
               {{{"message", parsed["message"]}, {"finish_reason", parsed["finish_reason"]}}}}}));
    REQUIRE(message["tool_calls"].size() == 2);
  }
  record["finish_reason"] = "length";
  record["token_ids"] = std::vector<int32_t>(ids.begin(), ids.begin() + 2);
  CHECK(Json::parse(parse_output(record, world.service))["finish_reason"] == "length");
}

}  // namespace lapidary
