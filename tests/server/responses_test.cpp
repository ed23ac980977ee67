// /v1/responses: the request's side field by field, the answer's side in both forms.

#include <string>
#include <vector>

#include "server/api/chat_completions.h"
#include "server/api/responses.h"
#include "server/api/responses_request.h"
#include "tests/catch.h"
#include "tests/server/front_doors.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

const char kTools[] = R"([{"type":"function","name":"f","parameters":{"type":"object","properties":
    {"a":{"type":"string"}}},"strict":false},{"type":"function","name":"g","parameters":null}])";

Json request(const std::string& more = "{}") {
  return updated(Json::parse(R"({"model":"tiny","input":"Hi"})"), more);
}

Json with_tools(const std::string& more = "{}") {
  Json body = request(more);
  body["tools"] = Json::parse(kTools);
  return body;
}

// What is the same in two answers to one request.
Json settled(Json response) {
  for (const char* name : {"id", "created_at", "completed_at"}) response.erase(name);
  for (Json& item : response["output"]) {
    item.erase("id");
    item.erase("call_id");
  }
  return response;
}

// The output items as a client puts them together from the events, which must be in order.
class Fold {
 public:
  explicit Fold(const std::vector<Json>& events) {
    for (size_t i = 0; i < events.size(); ++i) {
      REQUIRE(events[i].at("sequence_number") == i);
      take(events[i], i, i + 1 == events.size());
    }
    REQUIRE(response.is_object());
    REQUIRE(!is_open_);
    REQUIRE(items == response["output"]);
  }

  Json response;
  Json items = Json::array();

 private:
  void take(const Json& event, size_t index, bool is_last) {
    const std::string type = event["type"];
    if (index < 2) {
      REQUIRE(type == (index == 0 ? "response.created" : "response.in_progress"));
      REQUIRE(event["response"]["status"] == "in_progress");
      REQUIRE(event["response"]["output"].empty());
      id_ = event["response"]["id"];
      return;
    }
    if (is_last) {
      response = event["response"];
      REQUIRE(response["id"] == id_);
      REQUIRE(type == "response." + response["status"].get<std::string>());
      return;
    }
    REQUIRE(event.at("output_index") == items.size() - (is_open_ ? 1 : 0));
    if (type == "response.output_item.added") {
      REQUIRE(!is_open_);
      REQUIRE(event["item"]["status"] == "in_progress");
      items.push_back(event["item"]);
      is_open_ = true;
      text_.clear();
      logprobs_ = Json::array();
      return;
    }
    REQUIRE(is_open_);
    Json& item = items.back();
    if (type == "response.output_item.done") {
      REQUIRE(event["item"]["id"] == item["id"]);
      if (item["type"] == "function_call") item["arguments"] = text_;
      item["status"] = event["item"]["status"];
      REQUIRE(item == event["item"]);
      is_open_ = false;
      return;
    }
    REQUIRE(event.at("item_id") == item["id"]);
    take_part(event, type, item);
  }

  void take_part(const Json& event, const std::string& type, Json& item) {
    const bool is_summary = type.find("summary") != std::string::npos;
    if (item["type"] != "function_call") {
      REQUIRE(event.at(is_summary ? "summary_index" : "content_index") == 0);
    }
    if (type.ends_with(".delta")) {
      text_ += event["delta"].get<std::string>();
      for (const Json& entry : event.value("logprobs", Json::array())) logprobs_.push_back(entry);
    } else if (type.ends_with("part.added")) {
      REQUIRE(event["part"]["text"] == "");
    } else if (type.ends_with("part.done")) {
      REQUIRE(event["part"]["text"] == text_);
      item[is_summary ? "summary" : "content"].push_back(event["part"]);
    } else {
      REQUIRE(type.ends_with(".done"));
      REQUIRE(event.at(item["type"] == "function_call" ? "arguments" : "text") == text_);
      if (item["type"] == "message") REQUIRE(event.at("logprobs") == logprobs_);
    }
  }

  std::string id_, text_;
  Json logprobs_;
  bool is_open_ = false;
};

std::vector<std::string> types_of(const std::vector<Json>& events) {
  std::vector<std::string> types;
  for (const Json& event : events) types.push_back(event["type"]);
  return types;
}

// The chat body that an input becomes.
Json messages_of(const std::string& input) {
  return translate_responses(request(R"({"input":)" + input + "}")).chat["messages"];
}

}  // namespace

TEST_CASE("a response is a message with its text, usage and what was asked", "[server]") {
  ApiWorld world;
  const Json body = request(R"({"instructions":"Be kind.","metadata":{"k":"v"},"temperature":0.7,
      "max_output_tokens":20,"store":true,"user":"u","reasoning":{"effort":"none"}})");
  const Json whole = call(handle_responses, world, body);
  CHECK(whole["object"] == "response");
  CHECK(whole["id"].get<std::string>().starts_with("resp_"));
  CHECK(whole["status"] == "completed");
  CHECK(whole["error"].is_null());
  CHECK(whole["incomplete_details"].is_null());
  REQUIRE(whole["output"].size() == 1);
  const Json& item = whole["output"][0];
  CHECK(item["type"] == "message");
  CHECK(item["role"] == "assistant");
  CHECK(item["status"] == "completed");
  CHECK(item["content"].dump() ==
        R"([{"annotations":[],"logprobs":[],"text":"Hello there.","type":"output_text"}])");
  CHECK(whole["usage"]["input_tokens"].get<int>() > 0);
  CHECK(whole["usage"]["input_tokens_details"]["cached_tokens"] == 0);
  CHECK(whole["usage"]["output_tokens_details"]["reasoning_tokens"] == 0);
  CHECK(whole["usage"]["total_tokens"] ==
        whole["usage"]["input_tokens"].get<int>() + whole["usage"]["output_tokens"].get<int>());
  CHECK(whole["instructions"] == "Be kind.");
  CHECK(whole["metadata"]["k"] == "v");
  CHECK(whole["temperature"] == 0.7);
  CHECK(whole["max_output_tokens"] == 20);
  CHECK(whole["store"] == false);  // nothing is
  CHECK(whole["tool_choice"] == "auto");
  CHECK(world.engine.last_request().max_tokens == 20);
}

TEST_CASE("the prompt of a response is that of the same chat", "[server]") {
  ApiWorld world;
  call(handle_responses, world, request(R"({"instructions":"Be kind."})"));
  const Request response = world.engine.last_request();
  Json chat = chat_request();
  const Json system = {{"role", "system"}, {"content", "Be kind."}};
  chat["messages"].insert(chat["messages"].begin(), system);
  call(handle_chat_completions, world, chat);
  CHECK(world.engine.last_request().tokens == response.tokens);
}

TEST_CASE("items become messages, what the assistant did in a row one", "[server]") {
  CHECK(messages_of(R"([{"role":"developer","content":"D"},{"role":"user","content":
      [{"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]}])")
            .dump() ==
        R"([{"content":"D","role":"developer"},{"content":[{"text":"a","type":"text"},)"
        R"({"text":"b","type":"text"}],"role":"user"}])");
  const Json messages = messages_of(R"([
      {"type":"message","role":"user","content":"x"},
      {"type":"reasoning","id":"r","summary":[],"content":[{"type":"reasoning_text","text":"t"}]},
      {"type":"message","role":"assistant","content":[{"type":"output_text","text":"m"}]},
      {"type":"function_call","call_id":"1","name":"f","arguments":"{}"},
      {"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"u"}]},
      {"type":"function_call","call_id":"2","name":"g","arguments":"{}"},
      {"type":"function_call_output","call_id":"2","output":"two"},
      {"type":"function_call_output","call_id":"1","output":[{"type":"input_text","text":"one"}]},
      {"role":"assistant","content":"A"},{"role":"assistant","content":"B"}])");
  REQUIRE(messages.size() == 6);
  CHECK(messages[1]["reasoning_content"] == "t\nu");
  CHECK(messages[1]["content"] == "m");
  CHECK(messages[1]["tool_calls"].size() == 2);
  CHECK(messages[1]["tool_calls"][1].dump() ==
        R"({"function":{"arguments":"{}","name":"g"},"id":"2","type":"function"})");
  CHECK(messages[2].dump() == R"({"content":"two","role":"tool","tool_call_id":"2"})");
  CHECK(messages[3]["content"] == "one");
  CHECK(messages[4]["content"] == "A");
  CHECK(messages[5]["content"] == "B");
}

TEST_CASE("an output can be sent back as it came", "[server]") {
  ApiWorld world;
  say_raw(world,
          "<|channel>thought\nplan\n<channel|>Both.<|tool_call>call:f{a:<|\"|>x<|\"|>}<tool_call|>"
          "<|tool_call>call:g{}<tool_call|>");
  Json body = with_tools();
  const Json output = call(handle_responses, world, body)["output"];
  REQUIRE(output.size() == 4);
  CHECK(output[0]["content"][0]["text"] == "plan");
  CHECK(output[1]["content"][0]["text"] == "Both.");
  CHECK(output[2]["arguments"] == R"({"a":"x"})");
  CHECK(output[3]["name"] == "g");
  CHECK(output[2]["call_id"] != output[3]["call_id"]);
  body["input"] = Json::array({{{"role", "user"}, {"content", "Hi"}}});
  for (const Json& item : output) body["input"].push_back(item);
  for (size_t i : {2, 3}) {
    body["input"].push_back(
        {{"type", "function_call_output"}, {"call_id", output[i]["call_id"]}, {"output", "done"}});
  }
  CHECK(call(handle_responses, world, body)["status"] == "completed");
  body["input"].erase(6);
  const ApiError error = error_of(handle_responses, world, body);
  CHECK(error.param == "input[3]");  // the first call of the message
  CHECK(error.message.find("'input[3]'") != std::string::npos);
}

TEST_CASE("tools, choices and forms take the chat's shape", "[server]") {
  const Json chat = translate_responses(with_tools(R"({"tool_choice":{"type":"allowed_tools",
      "mode":"required","tools":[{"type":"function","name":"f"}]},"text":{"verbosity":"low","format":
      {"type":"json_schema","name":"n","schema":{"type":"object"},"strict":true}}})"))
                        .chat;
  CHECK(chat["tools"][0]["function"]["name"] == "f");
  CHECK(chat["tools"][0]["function"]["strict"] == false);
  CHECK(!chat["tools"][0].contains("name"));
  CHECK(chat["tool_choice"]["allowed_tools"].dump() ==
        R"({"mode":"required","tools":[{"function":{"name":"f"},"type":"function"}]})");
  CHECK(chat["response_format"].dump() ==
        R"({"json_schema":{"name":"n","schema":{"type":"object"},"strict":true},)"
        R"("type":"json_schema"})");
  CHECK(chat["verbosity"] == "low");
  CHECK(!chat.contains("text"));
  CHECK(translate_responses(with_tools(R"({"tool_choice":{"type":"function","name":"g"}})"))
            .chat["tool_choice"]
            .dump() == R"({"function":{"name":"g"},"type":"function"})");
}

TEST_CASE("the events of a text come in the published order", "[server]") {
  ApiWorld world;
  say_raw(world, "a");
  const std::vector<Json> events = call_events(handle_responses, world, request());
  CHECK(types_of(events) ==
        std::vector<std::string>{"response.created", "response.in_progress",
                                 "response.output_item.added", "response.content_part.added",
                                 "response.output_text.delta", "response.output_text.done",
                                 "response.content_part.done", "response.output_item.done",
                                 "response.completed"});
  const Fold fold(events);
  CHECK(fold.response["output"][0]["content"][0]["text"] == "a");
  CHECK(fold.response["usage"]["output_tokens"].get<int>() > 0);
}

TEST_CASE("thoughts stream as reasoning, or in place of the summary that was asked for",
          "[server]") {
  ApiWorld world;
  say_raw(world, "<|channel>thought\nplan\n<channel|><|tool_call>call:g{}<tool_call|>");
  const std::vector<Json> events = call_events(handle_responses, world, with_tools());
  const std::vector<std::string> types = types_of(events);
  CHECK(types[2] == "response.output_item.added");
  CHECK(types[3] == "response.content_part.added");
  CHECK(types[4] == "response.reasoning_text.delta");
  const Json output = Fold(events).response["output"];
  CHECK(output[0]["type"] == "reasoning");
  CHECK(output[0]["summary"].empty());
  CHECK(output[1]["type"] == "function_call");

  const Json asks = with_tools(R"({"reasoning":{"summary":"auto"}})");
  const std::vector<Json> summed = call_events(handle_responses, world, asks);
  CHECK(types_of(summed)[3] == "response.reasoning_summary_part.added");
  CHECK(types_of(summed)[4] == "response.reasoning_summary_text.delta");
  const Json item = Fold(summed).response["output"][0];
  CHECK(item["summary"].dump() == R"([{"text":"plan","type":"summary_text"}])");
  CHECK(!item.contains("content"));
}

TEST_CASE("a response that the limit cut is incomplete, and so is its last item", "[server]") {
  ApiWorld world;
  say_raw(world, "Text.<|tool_call>call:f{a:<|\"|>Lon", FinishReason::length);
  const Json whole = call(handle_responses, world, with_tools());
  CHECK(whole["status"] == "incomplete");
  CHECK(whole["incomplete_details"]["reason"] == "max_output_tokens");
  CHECK(whole["output"][0]["status"] == "completed");
  CHECK(whole["output"][1]["status"] == "incomplete");
  CHECK(whole["output"][1]["arguments"] == R"({"a":"Lon)");
  const Fold fold(call_events(handle_responses, world, with_tools()));
  CHECK(settled(fold.response) == settled(whole));
}

TEST_CASE("a response with nothing to say has an empty message", "[server]") {
  ApiWorld world;
  say_raw(world, "");
  const Json whole = call(handle_responses, world, request());
  REQUIRE(whole["output"].size() == 1);
  CHECK(whole["output"][0]["content"][0]["text"] == "");
  CHECK(settled(Fold(call_events(handle_responses, world, request())).response) == settled(whole));
}

TEST_CASE("a stream that the server ends fails with what it said", "[server]") {
  ApiWorld world;
  say_raw(world, "Half", FinishReason::cancelled);
  Json body = request();
  body["stream"] = true;
  TextBody text;
  handle_responses(post(body), world.service).stream(text);
  CHECK(text.closed);
  const Json failed = named_events(text.text).back();
  CHECK(failed["type"] == "response.failed");
  CHECK(failed["response"]["status"] == "failed");
  CHECK(failed["response"]["error"]["code"] == "server_error");
  CHECK(!failed["response"]["error"]["message"].get<std::string>().empty());
}

TEST_CASE("a streamed response adds up to the whole one", "[server]") {
  for (unsigned round = 0; round < 20; ++round) {
    ApiWorld world;  // its engine keeps a thread for every request
    for (unsigned seed = round * 50; seed < round * 50 + 50; ++seed) {
      CAPTURE(seed);
      say_anything(world, seed);
      Json body = seed % 4 == 0 ? request() : with_tools();
      if (seed % 2 == 0) body["stop"] = Json::parse(R"(["e","th","in "])");
      if (seed % 3 == 0) body["top_logprobs"] = 1;
      if (seed % 5 == 0) body["reasoning"] = {{"summary", "auto"}};
      if (seed % 7 == 0) body["include_reasoning"] = false;
      const Json whole = call(handle_responses, world, body);
      const Fold fold(call_events(handle_responses, world, body));
      REQUIRE(settled(fold.response) == settled(whole));
    }
  }
}

TEST_CASE("log-probabilities of a response are those of its text", "[server]") {
  ApiWorld world;
  say_raw(world, "<|channel>thought\nplan\n<channel|>a b<|tool_call>call:g{}<tool_call|>");
  const Json asked = with_tools(R"({"include":["message.output_text.logprobs"],"top_logprobs":2})");
  const Json output = call(handle_responses, world, asked)["output"];
  std::string text;
  for (const Json& entry : output[1]["content"][0]["logprobs"]) {
    text += entry["token"].get<std::string>();
    CHECK(entry["top_logprobs"].size() == 2);
  }
  CHECK(text == "a b");
}

TEST_CASE("what a response cannot have is refused by its own name", "[server]") {
  ApiWorld world;
  const std::vector<RefusedField> rows = {
      {R"({"input":null})", "missing_required_parameter", "input"},
      {R"({"input":7})", "invalid_type", "input"},
      {R"({"input":[]})", "array_below_min_length", "input"},
      {R"({"input":[7]})", "invalid_type", "input[0]"},
      {R"({"input":[{}]})", "missing_required_parameter", "input[0].type"},
      {R"({"input":[{"type":"item_reference","id":"x"}]})", "unsupported_value", "input[0].type"},
      {R"({"input":[{"type":"web_search_call"}]})", "unsupported_value", "input[0].type"},
      {R"({"input":[{"role":"tool","content":"x"}]})", "invalid_value", "input[0].role"},
      {R"({"input":[{"role":"user"}]})", "missing_required_parameter", "input[0].content"},
      {R"({"input":[{"role":"user","content":7}]})", "invalid_type", "input[0].content"},
      {R"({"input":[{"role":"user","content":[{"type":"input_image","image_url":"x"}]}]})",
       "unsupported_value", "input[0].content[0].type"},
      {R"({"input":[{"role":"user","content":[{"type":"input_text","text":7}]}]})", "invalid_type",
       "input[0].content[0].text"},
      {R"({"input":[{"type":"reasoning","encrypted_content":"x"}]})", "unsupported_value",
       "input[0].encrypted_content"},
      {R"({"input":[{"role":"user","content":"x"},{"type":"function_call","name":"f",
          "arguments":"{}"}]})",
       "missing_required_parameter", "input[1].call_id"},
      {R"({"input":[{"role":"user","content":"x"},{"type":"function_call","call_id":"1",
          "arguments":"{}"}]})",
       "missing_required_parameter", "input[1].name"},
      {R"({"input":[{"role":"user","content":"x"},{"type":"function_call","call_id":"1","name":"f",
          "arguments":"{"}]})",
       "invalid_value", "input[1].arguments"},
      {R"({"input":[{"type":"function_call_output","call_id":"1","output":"x"}]})", "invalid_value",
       "input[0]"},
      {R"({"input":[{"role":"user","content":"x"},{"type":"function_call","call_id":"1","name":"f",
          "arguments":"{}"},{"type":"function_call_output","call_id":"2","output":"x"}]})",
       "invalid_value", "input[2].call_id"},
      {R"({"instructions":7})", "invalid_type", "instructions"},
      {R"({"max_output_tokens":0})", "integer_below_min_value", "max_output_tokens"},
      {R"({"max_output_tokens":100000})", "invalid_value", "max_output_tokens"},
      {R"({"max_output_tokens":512})", "context_length_exceeded", "input"},
      {R"({"previous_response_id":"resp_1"})", "unsupported_parameter", "previous_response_id"},
      {R"({"conversation":"c"})", "unsupported_parameter", "conversation"},
      {R"({"background":true})", "unsupported_parameter", "background"},
      {R"({"prompt":{"id":"p"}})", "unsupported_parameter", "prompt"},
      {R"({"truncation":"auto"})", "unsupported_value", "truncation"},
      {R"({"include":["file_search_call.results"]})", "unsupported_value", "include[0]"},
      {R"({"include":7})", "invalid_type", "include"},
      {R"({"messages":[{}]})", "unsupported_parameter", "messages"},
      {R"({"response_format":{"type":"text"}})", "unsupported_parameter", "response_format"},
      {R"({"n":2})", "unsupported_parameter", "n"},
      {R"({"model":"other"})", "model_not_found", ""},
      {R"({"temperature":3})", "decimal_above_max_value", "temperature"},
      {R"({"top_logprobs":21})", "integer_above_max_value", "top_logprobs"},
      {R"({"tools":7})", "invalid_type", "tools"},
      {R"({"tools":[7]})", "invalid_type", "tools[0]"},
      {R"({"tools":[{"type":"web_search"}]})", "unsupported_value", "tools[0].type"},
      {R"({"tools":[{"type":"function"}]})", "missing_required_parameter", "tools[0].name"},
      {R"({"tools":[{"type":"function","name":"f","parameters":7}]})", "invalid_type",
       "tools[0].parameters"},
      {R"({"tool_choice":{"type":"web_search_preview"},"tools":[{"type":"function","name":"f"}]})",
       "unsupported_value", "tool_choice.type"},
      {R"({"tool_choice":{"type":"function","name":"x"},"tools":[{"type":"function","name":"f"}]})",
       "invalid_value", "tool_choice.name"},
      {R"({"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function",
          "name":"x"}]},"tools":[{"type":"function","name":"f"}]})",
       "invalid_value", "tool_choice.tools[0].name"},
      {R"({"text":7})", "invalid_type", "text"},
      {R"({"text":{"format":{"type":"xml"}}})", "unsupported_value", "text.format.type"},
      {R"({"text":{"verbosity":"none"}})", "invalid_value", "text.verbosity"},
      {R"({"reasoning":7})", "invalid_type", "reasoning"},
      {R"({"reasoning":{"summary":"long"}})", "invalid_value", "reasoning.summary"},
      {R"({"reasoning":{"effort":"most"}})", "invalid_value", "reasoning.effort"},
      {R"({"metadata":{"a":7}})", "invalid_type", "metadata.a"},
      {R"({"stream":"yes"})", "invalid_type", "stream"},
  };
  for (const RefusedField& row : rows) {
    CAPTURE(row.set);
    const ApiError error = error_of(handle_responses, world, request(row.set));
    CHECK(error.status == (std::string(row.code) == "model_not_found" ? 404 : 400));
    CHECK(error.code == row.code);
    CHECK(error.param == row.param);
    CHECK(error.message.find("max_completion_tokens") == std::string::npos);
  }
  CHECK(world.engine.n_requests() == 0);
}

TEST_CASE("what a response asks for in vain but without harm is taken", "[server]") {
  ApiWorld world;
  for (const char* more :
       {R"({"store":true,"background":false,"truncation":"disabled","previous_response_id":null})",
        R"({"include":["reasoning.encrypted_content"],"tool_choice":"auto","tools":[]})",
        R"({"text":{"format":{"type":"text"}},"reasoning":{"effort":null,"summary":null}})",
        R"({"service_tier":"auto","prompt_cache_key":"k","safety_identifier":"s","user":"u"})",
        R"({"stream":false,"max_tool_calls":3,"parallel_tool_calls":false,"metadata":null})"}) {
    CAPTURE(more);
    CHECK(error_of(handle_responses, world, request(more)).status == 200);
  }
}

}  // namespace lapidary
