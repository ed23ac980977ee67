// /v1/messages: the request's side field by field, the answer's side in both forms.

#include <string>
#include <vector>

#include "server/api/anthropic.h"
#include "server/api/anthropic_request.h"
#include "server/api/chat_completions.h"
#include "server/api/json_prefix.h"
#include "tests/catch.h"
#include "tests/server/front_doors.h"
#include "tests/server/running_server.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

const char kTools[] = R"([{"name":"f","description":"d","input_schema":{"type":"object",
    "properties":{"a":{"type":"string"}}}},{"name":"g","input_schema":{"type":"object"}}])";

Json request(const std::string& more = "{}") {
  return updated(Json::parse(R"({"model":"tiny","max_tokens":100,
      "messages":[{"role":"user","content":"Hi"}]})"),
                 more);
}

Json with_tools(const std::string& more = "{}") {
  Json body = request(more);
  body["tools"] = Json::parse(kTools);
  return body;
}

Json translated(const Json& body) { return translate_anthropic(body, 512, false).chat; }

Json settled(Json message) {
  message.erase("id");
  for (Json& block : message["content"]) block.erase("id");
  return message;
}

// A message as a client puts it together from the events, which must be in order.
Json folded(const std::vector<Json>& events) {
  REQUIRE(events.size() >= 4);
  REQUIRE(events[0]["type"] == "message_start");
  REQUIRE(events[1]["type"] == "ping");
  Json message = events[0]["message"];
  REQUIRE(message["content"].empty());
  REQUIRE(message["stop_reason"].is_null());
  std::string arguments;
  bool is_open = false;
  for (size_t i = 2; i + 2 < events.size(); ++i) {
    const Json& event = events[i];
    const std::string type = event["type"];
    REQUIRE(event.at("index") == message["content"].size() - (is_open ? 1 : 0));
    if (type == "content_block_start") {
      REQUIRE(!is_open);
      message["content"].push_back(event["content_block"]);
      arguments.clear();
      is_open = true;
      continue;
    }
    REQUIRE(is_open);
    Json& block = message["content"].back();
    if (type == "content_block_stop") {
      if (block["type"] == "tool_use")
        block["input"] = Json::parse(complete_json_object(arguments));
      is_open = false;
      continue;
    }
    REQUIRE(type == "content_block_delta");
    const Json& delta = event["delta"];
    if (delta["type"] == "input_json_delta") {
      arguments += delta["partial_json"].get<std::string>();
      continue;
    }
    const std::string name =
        delta["type"].get<std::string>().substr(0, delta["type"].get<std::string>().find('_'));
    block[name] = block[name].get<std::string>() + delta[name].get<std::string>();
  }
  REQUIRE(!is_open);
  const Json& end = events[events.size() - 2];
  REQUIRE(end["type"] == "message_delta");
  message.update(end["delta"]);
  message["usage"] = end["usage"];
  REQUIRE(events.back()["type"] == "message_stop");
  return message;
}

Json stream(const ApiWorld& world, const Json& body) {
  return folded(call_events(handle_anthropic_messages, world, body));
}

}  // namespace

TEST_CASE("a message has its text, its end and its usage", "[server]") {
  ApiWorld world;
  const Json whole = call(handle_anthropic_messages, world,
                          request(R"({"metadata":{"user_id":"u"},"top_k":3,"temperature":1,
      "service_tier":"auto"})"));
  CHECK(whole["type"] == "message");
  CHECK(whole["role"] == "assistant");
  CHECK(whole["model"] == "tiny");
  CHECK(whole["id"].get<std::string>().starts_with("msg_"));
  CHECK(whole["content"].dump() == R"([{"text":"Hello there.","type":"text"}])");
  CHECK(whole["stop_reason"] == "end_turn");
  CHECK(whole["stop_sequence"].is_null());
  CHECK(whole["usage"]["input_tokens"].get<int>() > 0);
  CHECK(whole["usage"]["cache_read_input_tokens"] == 0);
  CHECK(whole["usage"]["output_tokens"].get<int>() > 0);
  CHECK(world.engine.last_request().max_tokens == 100);
  CHECK(world.engine.last_request().sampling.top_k == 3);
}

TEST_CASE("the prompt of a message is that of the same chat, and counted alike", "[server]") {
  ApiWorld world;
  const Json body = request(R"({"system":"Be kind."})");
  call(handle_anthropic_messages, world, body);
  const Request message = world.engine.last_request();
  Json chat = chat_request();
  const Json system = {{"role", "system"}, {"content", "Be kind."}};
  chat["messages"].insert(chat["messages"].begin(), system);
  call(handle_chat_completions, world, chat);
  CHECK(world.engine.last_request().tokens == message.tokens);

  Json counted = body;
  counted.erase("max_tokens");
  CHECK(call(handle_anthropic_count, world, counted)["input_tokens"] == message.tokens.size());
  CHECK(world.engine.n_requests() == 2);
}

TEST_CASE("blocks become messages, results messages of their own", "[server]") {
  const Json messages = translated(request(R"({"system":[{"type":"text","text":"S",
      "cache_control":{"type":"ephemeral"}}],"messages":[
      {"role":"user","content":[{"type":"text","text":"x"}]},
      {"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},
        {"type":"text","text":"m"},{"type":"tool_use","id":"1","name":"f","input":{"a":1}},
        {"type":"tool_use","id":"2","name":"g","input":{}}]},
      {"role":"user","content":[{"type":"tool_result","tool_use_id":"2","content":"two"},
        {"type":"tool_result","tool_use_id":"1","is_error":true,
         "content":[{"type":"text","text":"bad"}]},{"type":"text","text":"and?"}]}]})"))
      ["messages"];
  REQUIRE(messages.size() == 6);
  CHECK(messages[0].dump() == R"({"content":"S","role":"system"})");
  CHECK(messages[1].dump() == R"({"content":"x","role":"user"})");
  CHECK(messages[2]["reasoning_content"] == "t");
  CHECK(messages[2]["content"] == "m");
  CHECK(messages[2]["tool_calls"][0].dump() ==
        R"({"function":{"arguments":{"a":1},"name":"f"},"id":"1","type":"function"})");
  CHECK(messages[3].dump() == R"({"content":"two","role":"tool","tool_call_id":"2"})");
  CHECK(messages[4]["content"] == "Error: bad");
  CHECK(messages[5].dump() == R"({"content":"and?","role":"user"})");
}

TEST_CASE("an answer that has begun is continued", "[server]") {
  ApiWorld world;
  const Json body = request(R"({"messages":[{"role":"user","content":"Hi"},
      {"role":"assistant","content":"Hel"}]})");
  CHECK(translated(body)["continue_final_message"] == true);
  CHECK(call(handle_anthropic_messages, world, body)["content"][0]["text"] == "Hello there.");
}

TEST_CASE("choices, thinking and forms take the chat's shape", "[server]") {
  CHECK(translated(with_tools(
            R"({"tool_choice":{"type":"any","disable_parallel_tool_use":true}})"))["tool_choice"] ==
        "required");
  CHECK(translated(with_tools(R"({"tool_choice":{"type":"any","disable_parallel_tool_use":true}})"))
            ["parallel_tool_calls"] == false);
  const Json chat = translated(with_tools(R"({"tool_choice":{"type":"tool","name":"f"},
      "thinking":{"type":"enabled","budget_tokens":50},"stop_sequences":["x"],
      "output_config":{"effort":"low","format":{"type":"json_schema","schema":{"type":"object"}}}})"));
  CHECK(chat["tool_choice"].dump() == R"({"function":{"name":"f"},"type":"function"})");
  CHECK(chat["tools"][0]["function"]["parameters"]["type"] == "object");
  CHECK(chat["tools"][0]["function"]["description"] == "d");
  CHECK(chat["chat_template_kwargs"]["enable_thinking"] == true);
  CHECK(chat["thinking_token_budget"] == 50);
  CHECK(chat["stop"].dump() == R"(["x"])");
  CHECK(chat["response_format"]["json_schema"]["schema"]["type"] == "object");
  CHECK(translated(request(
            R"({"thinking":{"type":"disabled"}})"))["chat_template_kwargs"]["enable_thinking"] ==
        false);
}

TEST_CASE("every way in which a message ends has its reason", "[server]") {
  ApiWorld world;
  struct Row {
    const char* raw;
    FinishReason finish;
    const char* more;
    const char* reason;
  };
  const Row rows[] = {
      {"a", FinishReason::stop, "{}", "end_turn"},
      {"a", FinishReason::length, "{}", "max_tokens"},
      {"a b c", FinishReason::stop, R"({"stop_sequences":["z"," b"]})", "stop_sequence"},
      {"<|tool_call>call:g{}<tool_call|>", FinishReason::stop, "{}", "tool_use"},
      {"<|tool_call>call:g{a:1", FinishReason::length, "{}", "max_tokens"},
      {"a", FinishReason::length, R"({"max_tokens":500})", "model_context_window_exceeded"},
      {"a", FinishReason::length, R"({"max_tokens":32000})", "model_context_window_exceeded"},
      {"", FinishReason::stop, "{}", "end_turn"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.raw, row.reason);
    say_raw(world, row.raw, row.finish);
    const Json body = with_tools(row.more);
    const Json whole = call(handle_anthropic_messages, world, body);
    CHECK(whole["stop_reason"] == row.reason);
    CHECK(settled(stream(world, body)) == settled(whole));
    if (std::string(row.reason) == "stop_sequence") {
      CHECK(whole["stop_sequence"] == " b");
      CHECK(whole["content"][0]["text"] == "a");
    } else {
      CHECK(whole["stop_sequence"].is_null());
    }
  }
}

TEST_CASE("thoughts and calls are blocks of their own, and can be sent back", "[server]") {
  ApiWorld world;
  say_raw(world,
          "<|channel>thought\nplan\n<channel|>Both.<|tool_call>call:f{a:<|\"|>x<|\"|>}<tool_call|>"
          "<|tool_call>call:g{}<tool_call|>");
  Json body = with_tools();
  const Json content = call(handle_anthropic_messages, world, body)["content"];
  REQUIRE(content.size() == 4);
  CHECK(content[0]["type"] == "thinking");
  CHECK(content[0]["thinking"] == "plan");
  CHECK(!content[0]["signature"].get<std::string>().empty());
  CHECK(content[1]["text"] == "Both.");
  CHECK(content[2]["type"] == "tool_use");
  CHECK(content[2]["input"].dump() == R"({"a":"x"})");
  CHECK(content[3]["id"].get<std::string>().starts_with("toolu_"));
  body["messages"].push_back({{"role", "assistant"}, {"content", content}});
  Json results = Json::array();
  for (size_t i : {2, 3}) {
    results.push_back(
        {{"type", "tool_result"}, {"tool_use_id", content[i]["id"]}, {"content", "done"}});
  }
  body["messages"].push_back({{"role", "user"}, {"content", results}});
  CHECK(call(handle_anthropic_messages, world, body)["stop_reason"] == "tool_use");
  body["messages"][2]["content"].erase(0);
  CHECK(error_of(handle_anthropic_messages, world, body).param == "messages[1].content[2]");
}

TEST_CASE("a streamed message adds up to the whole one", "[server]") {
  for (unsigned round = 0; round < 20; ++round) {
    ApiWorld world;  // its engine keeps a thread for every request
    for (unsigned seed = round * 50; seed < round * 50 + 50; ++seed) {
      CAPTURE(seed);
      say_anything(world, seed);
      Json body = seed % 4 == 0 ? request() : with_tools();
      if (seed % 2 == 0) body["stop_sequences"] = Json::parse(R"(["e","th","in "])");
      if (seed % 5 == 0)
        body["tool_choice"] = Json::parse(R"({"type":"auto","disable_parallel_tool_use":true})");
      if (seed % 7 == 0) body["include_reasoning"] = false;
      const Json whole = call(handle_anthropic_messages, world, body);
      REQUIRE(settled(stream(world, body)) == settled(whole));
    }
  }
}

TEST_CASE("a stream that the server ends says so in an error event", "[server]") {
  ApiWorld world;
  say_raw(world, "Half", FinishReason::cancelled);
  Json body = request();
  body["stream"] = true;
  TextBody text;
  handle_anthropic_messages(post(body), world.service).stream(text);
  CHECK(text.closed);
  const Json failed = named_events(text.text).back();
  CHECK(failed["type"] == "error");
  CHECK(failed["error"]["type"] == "overloaded_error");
  CHECK(failed["request_id"] == "test");
}

TEST_CASE("errors take Anthropic's form and statuses", "[server]") {
  const Json body = Json::parse(api_error::missing_parameter("max_tokens").anthropic_body("req_1"));
  CHECK(body.dump() == R"({"error":{"message":"Missing required parameter: 'max_tokens'.",)"
                       R"("type":"invalid_request_error"},"request_id":"req_1","type":"error"})");
  const auto type_of = [](const ApiError& error) {
    return Json::parse(error.anthropic_body("r"))["error"]["type"].get<std::string>();
  };
  CHECK(type_of(api_error::model_not_found("x")) == "not_found_error");
  CHECK(type_of(api_error::body_too_large(1)) == "request_too_large");
  CHECK(type_of(api_error::internal()) == "api_error");
  CHECK(type_of(api_error::timed_out()) == "timeout_error");
  CHECK(type_of(api_error::overloaded()) == "overloaded_error");
  CHECK(api_error::overloaded().anthropic_status() == 529);
  CHECK(api_error::internal().anthropic_status() == 500);
}

TEST_CASE("whatever goes wrong below /v1/messages is told in Anthropic's form", "[server]") {
  RunningServer server;
  const auto answer = [&](const std::string& head, const std::string& body) {
    RawClient client(server.port);
    client.send(head + " HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: mine\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
    return client.read();
  };
  struct Row {
    const char* head;
    std::string body;
    int status;
    const char* type;
  };
  const Row rows[] = {
      {"POST /v1/messages", "{", 400, "invalid_request_error"},
      {"POST /v1/messages?beta=true", request(R"({"model":"x"})").dump(), 404, "not_found_error"},
      {"POST /v1/messages/count_tokens", "{}", 400, "invalid_request_error"},
      {"GET /v1/messages", "", 405, "invalid_request_error"},
      {"POST /v1/messages", std::string(2 << 20, ' '), 413, "request_too_large"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.head, row.status);
    const RawAnswer told = answer(row.head, row.body);
    CHECK(told.status == row.status);
    CHECK(told.header("request-id") == "mine");
    const Json body = Json::parse(told.body);
    CHECK(body["type"] == "error");
    CHECK(body["error"]["type"] == row.type);
    CHECK(body["request_id"] == "mine");
  }
  server.world.engine.refuse_with(Refusal::queue_full);
  const RawAnswer full = answer("POST /v1/messages", request().dump());
  CHECK(full.status == 529);
  CHECK(full.header("retry-after") == "1");
  CHECK(answer("POST /v1/responses", R"({"model":"tiny","input":"x"})").status == 503);
}

TEST_CASE("what a message cannot have is refused by its own name", "[server]") {
  ApiWorld world;
  const std::vector<RefusedField> rows = {
      {R"({"max_tokens":null})", "missing_required_parameter", "max_tokens"},
      {R"({"max_tokens":0})", "integer_below_min_value", "max_tokens"},
      {R"({"max_tokens":"9"})", "invalid_type", "max_tokens"},
      {R"({"messages":null})", "missing_required_parameter", "messages"},
      {R"({"messages":[]})", "array_below_min_length", "messages"},
      {R"({"messages":7})", "invalid_type", "messages"},
      {R"({"messages":[{"role":"system","content":"x"}]})", "invalid_value", "messages[0].role"},
      {R"({"messages":[{"role":"user"}]})", "missing_required_parameter", "messages[0].content"},
      {R"({"messages":[{"role":"user","content":{}}]})", "invalid_type", "messages[0].content"},
      {R"({"messages":[{"role":"user","content":[{"type":"image","source":{}}]}]})",
       "unsupported_value", "messages[0].content[0].type"},
      {R"({"messages":[{"role":"user","content":[{"type":"document"}]}]})", "unsupported_value",
       "messages[0].content[0].type"},
      {R"({"messages":[{"role":"user","content":[{"type":"text"}]}]})",
       "missing_required_parameter", "messages[0].content[0].text"},
      {R"({"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"1"}]}]})",
       "invalid_value", "messages[0].content[0]"},
      {R"({"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[
          {"type":"redacted_thinking","data":"x"}]}]})",
       "unsupported_value", "messages[1].content[0].type"},
      {R"({"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[
          {"type":"tool_use","id":"1","name":"f"}]}]})",
       "missing_required_parameter", "messages[1].content[0].input"},
      {R"({"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[
          {"type":"tool_use","id":"1","name":"f g","input":{}}]}]})",
       "invalid_value", "messages[1].content[0].name"},
      {R"({"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[
          {"type":"tool_use","name":"f","input":{}}]}]})",
       "missing_required_parameter", "messages[1].content[0].id"},
      {R"({"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[
          {"type":"tool_use","id":"1","name":"f","input":{}}]}]})",
       "invalid_value", "messages[1].content"},
      {R"({"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[
          {"type":"tool_use","id":"1","name":"f","input":{}}]},{"role":"user","content":[
          {"type":"tool_result","tool_use_id":"2"}]}]})",
       "invalid_value", "messages[2].content[0].tool_use_id"},
      {R"({"system":7})", "invalid_type", "system"},
      {R"({"system":[{"type":"image"}]})", "unsupported_value", "system[0].type"},
      {R"({"stop_sequences":"x"})", "invalid_type", "stop_sequences"},
      {R"({"stop_sequences":[""]})", "invalid_value", "stop_sequences[0]"},
      {R"({"temperature":3})", "decimal_above_max_value", "temperature"},
      {R"({"tools":[{"name":"f"}]})", "missing_required_parameter", "tools[0].input_schema"},
      {R"({"tools":[{"type":"web_search_20250305","name":"web_search"}]})", "unsupported_value",
       "tools[0].type"},
      {R"({"tools":[{"name":"f","input_schema":7}]})", "invalid_type", "tools[0].input_schema"},
      {R"({"tools":[{"input_schema":{}}]})", "missing_required_parameter", "tools[0].name"},
      {R"({"tool_choice":{"type":"some"}})", "invalid_value", "tool_choice.type"},
      {R"({"tool_choice":{"type":"any"}})", "invalid_value", "tool_choice.type"},
      {R"({"tool_choice":{"type":"tool","name":"x"},"tools":[{"name":"f","input_schema":{}}]})",
       "invalid_value", "tool_choice.name"},
      {R"({"thinking":{"type":"enabled"}})", "missing_required_parameter",
       "thinking.budget_tokens"},
      {R"({"thinking":{"type":"enabled","budget_tokens":100}})", "invalid_value",
       "thinking.budget_tokens"},
      {R"({"thinking":{"type":"hard"}})", "invalid_value", "thinking.type"},
      {R"({"metadata":{"user_id":7}})", "invalid_type", "metadata.user_id"},
      {R"({"service_tier":"flex"})", "invalid_value", "service_tier"},
      {R"({"mcp_servers":[{}]})", "unsupported_parameter", "mcp_servers"},
      {R"({"output_config":{"format":{"type":"xml"}}})", "invalid_value",
       "output_config.format.type"},
      {R"({"context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}})",
       "unsupported_value", "context_management.edits[0].type"},
      {R"({"n":2})", "unsupported_parameter", "n"},
      {R"({"model":"claude"})", "model_not_found", ""},
  };
  for (const RefusedField& row : rows) {
    CAPTURE(row.set);
    const ApiError error = error_of(handle_anthropic_messages, world, request(row.set));
    CHECK(error.status == (std::string(row.code) == "model_not_found" ? 404 : 400));
    CHECK(error.code == row.code);
    CHECK(error.param == row.param);
  }
  CHECK(world.engine.n_requests() == 0);
  std::string book;
  for (int i = 0; i < 600; ++i) book += " word";
  Json long_body = request();
  long_body["messages"][0]["content"] = book;
  const ApiError error = error_of(handle_anthropic_messages, world, long_body);
  CHECK(error.code == "context_length_exceeded");
  CHECK(error.message.starts_with("prompt is too long: "));
}

TEST_CASE("the beginning of an object is made a whole one", "[server]") {
  CHECK(complete_json_object("") == "{}");
  CHECK(complete_json_object(R"({"a":"Lon)") == "{}");
  CHECK(complete_json_object(R"({"a":1)") == "{}");
  CHECK(complete_json_object(R"({"a":1,)") == R"({"a":1})");
  CHECK(complete_json_object(R"({"a":"x\"","b)") == R"({"a":"x\""})");
  CHECK(complete_json_object(R"({"a":[1, {"b":tr)") == R"({"a":[1, {}]})");
  const std::string whole =
      R"({"a":[1,2.5e3,{"b":null,"c":[]},"\\\"]}"],"d":{"e":{}},"":true,"f": -1 , "g":"x"})";
  CHECK(complete_json_object(whole) == whole);
  size_t kept = 0;
  for (size_t size = 0; size <= whole.size(); ++size) {
    const Json made = Json::parse(complete_json_object(std::string_view(whole).substr(0, size)));
    REQUIRE(made.is_object());
    for (const auto& [key, value] : made.items()) {
      if (!value.is_structured()) REQUIRE(value == Json::parse(whole)[key]);
    }
    REQUIRE(made.size() >= kept);  // nothing that was whole is lost again
    kept = made.size();
  }
}

}  // namespace lapidary
