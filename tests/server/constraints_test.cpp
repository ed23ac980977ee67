// From the fields of a request to the rules that the engine gets: which grammar, from where on, and
// what is refused with which path.
#include "server/api/constraints.h"

#include <string>
#include <thread>
#include <vector>

#include "engine/grammar/matcher.h"
#include "server/api/chat_completions.h"
#include "server/api/completions.h"
#include "tests/catch.h"
#include "tests/server/api_world.h"

namespace lapidary {
namespace {

using Json = nlohmann::ordered_json;  // schemas keep the order of their keys

const char kTools[] = R"("tools":[
  {"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{
    "city":{"type":"string"},"Area":{"type":"integer"}},"required":["city"]}}},
  {"type":"function","function":{"name":"g"}}])";

Json request_with(const std::string& more) {
  Json body = Json::parse(R"({"model":"tiny","messages":[{"role":"user","content":"Hi"}]})");
  body.update(Json::parse("{" + more + "}"));
  return body;
}

std::shared_ptr<const AnswerRules> rules_of(ApiWorld& world, const Json& body,
                                            Endpoint endpoint = handle_chat_completions) {
  HttpRequest request = post({});
  request.body = body.dump();
  endpoint(request, world.service);
  return world.engine.last_request().rules;
}

std::shared_ptr<const AnswerRules> rules_of(const std::string& more) {
  ApiWorld world;
  return rules_of(world, request_with(more));
}

// A grammar takes control tokens by their spelling too.
bool takes(const ApiWorld& world, const std::shared_ptr<const Grammar>& grammar,
           const std::string& text) {
  Matcher matcher(grammar);
  for (const int32_t id : world.tokenizer.encode_with_control(text)) {
    if (!matcher.accept(id)) return false;
  }
  return matcher.is_complete();
}

struct Case {
  std::string asked;
  std::vector<std::string> good, bad;
};

void check_answers(const std::vector<Case>& cases) {
  ApiWorld world;
  for (const Case& c : cases) {
    INFO(c.asked);
    const auto rules = rules_of(world, request_with(c.asked));
    REQUIRE(rules);
    REQUIRE(rules->answer);
    for (const std::string& text : c.good) {
      INFO(text);
      CHECK(takes(world, rules->answer, text));
    }
    for (const std::string& text : c.bad) {
      INFO(text);
      CHECK_FALSE(takes(world, rules->answer, text));
    }
  }
}

std::string schema_format(const std::string& schema) {
  return R"("response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,)"
         R"("schema":)" +
         schema + "}}";
}

}  // namespace

TEST_CASE("every form of answer becomes a grammar", "[server][grammar]") {
  const std::string schema =
      R"({"type":"object","properties":{"z":{"type":"integer"},"a":{"type":"null"}},)"
      R"("required":["z","a"],"additionalProperties":false})";
  // Keys in the order of the request.
  const std::vector<std::string> good = {R"({"z":1,"a":null})", R"({"z": 1, "a": null})"};
  const std::vector<std::string> bad = {R"({"a":null,"z":1})", R"({"z":1})", "{}", "[1]"};
  check_answers({
      {R"("response_format":{"type":"json_object"})", {"{}", R"({"a":[1,"x"]})"}, {"[]", "1", ""}},
      {schema_format(schema), good, bad},
      {R"("response_format":{"type":"json_object","schema":)" + schema + "}", good, bad},
      {R"("structured_outputs":{"json":)" + schema + "}", good, bad},
      {R"("structured_outputs":{"json":)" + Json(schema).dump() + "}", good, bad},
      {R"("structured_outputs":{"json_object":true,"regex":null})", {"{}"}, {"[]"}},
      {R"("structured_outputs":{"regex":"[a-c]+\\d"})", {"abc7"}, {"7", "abd7"}},
      {R"("structured_outputs":{"choice":["yes","no"],"disable_any_whitespace":false})",
       {"yes", "no"},
       {"y", "maybe", " yes"}},
      {R"("structured_outputs":{"grammar":"root ::= \"x\" root | \"y\""})", {"xxy"}, {"xx"}},
  });
}

TEST_CASE("the completions endpoint takes them too", "[server][grammar]") {
  ApiWorld world;
  Json body = {{"model", "tiny"}, {"prompt", "x"}};
  body["structured_outputs"] = {{"choice", {"yes", "no"}}};
  const auto rules = rules_of(world, body, handle_completions);
  REQUIRE(rules);
  REQUIRE(takes(world, rules->answer, "no"));
  REQUIRE(rules->thought_open == -1);
  REQUIRE_FALSE(rules->calls);
}

TEST_CASE("answers of which nothing is asked are free", "[server][grammar]") {
  for (const std::string more : {R"("stop":[])", R"("response_format":{"type":"text"})",
                                 R"("response_format":null)", R"("structured_outputs":{})", kTools,
                                 R"("chat_template_kwargs":{"enable_thinking":true})"}) {
    INFO(more);
    REQUIRE_FALSE(rules_of(more));
  }
  REQUIRE_FALSE(rules_of(std::string(kTools) + R"(,"tool_choice":"none")"));
}

TEST_CASE("calls that must be made are the whole answer", "[server][grammar]") {
  const std::string f = R"(<|tool_call>call:f{city:<|"|>Rome<|"|>}<tool_call|>)";
  const std::string g = "<|tool_call>call:g{}<tool_call|>";
  const std::string wrong = "<|tool_call>call:f{}<tool_call|>";
  const std::string tools = kTools;
  const std::string only_f = R"({"type":"function","function":{"name":"f"}})";
  check_answers({
      {tools + R"(,"tool_choice":"required")",
       {f, g, f + g + f, R"(<|tool_call>call:f{Area:3,city:<|"|><|"|>}<tool_call|>)"},
       {"", "Hello.", wrong, f + "x", R"(<|tool_call>call:g{a:1}<tool_call|>)"}},
      {tools + R"(,"tool_choice":"required","parallel_tool_calls":false)", {f, g}, {f + g, ""}},
      {tools + R"(,"tool_choice":)" + only_f, {f}, {g, f + f, wrong}},
      {tools +
           R"(,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[)" +
           only_f + "]}}",
       {f, f + f},
       {g, f + g, wrong}},
      {R"("functions":[{"name":"f"},{"name":"g"}],"function_call":{"name":"g"})", {g}, {g + g, ""}},
      // A form of answers is of no use then, but one that cannot be had is still refused.
      {tools + R"(,"tool_choice":"required","response_format":{"type":"json_object"})",
       {f},
       {"{}"}},
  });
}

TEST_CASE("calls that may be made are held to what was said of them", "[server][grammar]") {
  ApiWorld world;
  const std::string any = R"(<|tool_call>call:g{a:[1,{b:null}]}<tool_call|>)";
  const std::string f = R"(<|tool_call>call:f{a:1}<tool_call|>)";
  const std::string strict =
      R"("tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{
        "properties":{"a":{"type":"integer"}}}}},{"type":"function","function":{"name":"g"}}])";
  auto rules = rules_of(world, request_with(strict));
  REQUIRE(rules);
  REQUIRE_FALSE(rules->answer);
  REQUIRE(rules->call_open == world.service.dialect.call_open);
  REQUIRE(takes(world, rules->calls, f + any));
  REQUIRE_FALSE(takes(world, rules->calls, R"(<|tool_call>call:f{a:<|"|>1<|"|>}<tool_call|>)"));
  REQUIRE_FALSE(takes(world, rules->calls, "<|tool_call>call:h{}<tool_call|>"));
  // Allowed: the others are shown, but cannot be called.
  rules = rules_of(world, request_with(std::string(kTools) + R"(,"tool_choice":{"type":
    "allowed_tools","allowed_tools":{"mode":"auto","tools":[
      {"type":"function","function":{"name":"g"}}]}})"));
  REQUIRE_FALSE(rules->answer);
  REQUIRE(takes(world, rules->calls, any));
  REQUIRE_FALSE(takes(world, rules->calls, f));
  // A form of answers does not keep the model from calling.
  rules = rules_of(
      world, request_with(std::string(kTools) + R"(,"response_format":{"type":"json_object"})"));
  REQUIRE(takes(world, rules->answer, "{}"));
  REQUIRE(takes(world, rules->calls, any + f));
}

TEST_CASE("thoughts go before, as far as they are asked for", "[server][grammar]") {
  ApiWorld world;
  const std::string choice = R"("structured_outputs":{"choice":["a"]})";
  auto rules = rules_of(world, request_with(choice));
  REQUIRE_FALSE(rules->may_think);
  REQUIRE(rules->thought_budget == -1);
  const std::string thinking = R"(,"chat_template_kwargs":{"enable_thinking":true})";
  rules = rules_of(world, request_with(choice + thinking + R"(,"ignore_eos":true)"));
  REQUIRE(rules->may_think);
  REQUIRE(rules->avoids_end);
  REQUIRE_FALSE(rules->starts_in_thought);
  REQUIRE(rules->thought_close == world.service.dialect.channel_close);
  rules = rules_of(world, request_with(R"("thinking_token_budget":7)" + thinking));
  const auto label = static_cast<int>(world.tokenizer.encode("thought\n").size());
  REQUIRE(rules->thought_budget == 7 + label);
  REQUIRE_FALSE(rules->answer);
  std::vector<int32_t> ending = world.tokenizer.encode("\n");
  ending.push_back(world.service.dialect.channel_close);
  REQUIRE(rules->thought_ending == ending);
  rules = rules_of(world, request_with(R"("reasoning":{"max_tokens":9})"));
  REQUIRE(rules->thought_budget == 9 + label);
  REQUIRE(rules->may_think);
  // Behind a tool's result a thinking model's prompt ends inside its thought.
  Json body = request_with(choice + thinking + R"(,"thinking_token_budget":7)");
  body["messages"].push_back(Json::parse(R"({"role":"assistant","content":null,"tool_calls":[
    {"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]})"));
  body["messages"].push_back(Json::parse(R"({"role":"tool","tool_call_id":"1","content":"r"})"));
  rules = rules_of(world, body);
  REQUIRE(rules->starts_in_thought);
  REQUIRE(rules->thought_budget == 7);
}

TEST_CASE("what cannot be held to is refused with its path", "[server][grammar]") {
  struct Row {
    std::string asked;
    const char* code;
    const char* param;
  };
  const std::string deep = R"({"type":"object","properties":{"a/b":{"anyOf":[{"type":"null"},)"
                           R"({"type":"string","contains":{}}]}}})";
  const std::vector<Row> rows = {
      {schema_format(deep), "invalid_json_schema",
       "response_format.json_schema.schema.properties.a/b.anyOf[1].contains"},
      {schema_format(R"x({"pattern":"(?=x)"})x"), "invalid_json_schema",
       "response_format.json_schema.schema.pattern"},
      {schema_format("7"), "invalid_type", "response_format.json_schema.schema"},
      {R"("response_format":{"type":"json_schema"})", "missing_required_parameter",
       "response_format.json_schema"},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"x"}})",
       "missing_required_parameter", "response_format.json_schema.schema"},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"a b","schema":{}}})",
       "invalid_value", "response_format.json_schema.name"},
      {R"("response_format":{"type":"json_schema","json_schema":{"schema":{}}})",
       "missing_required_parameter", "response_format.json_schema.name"},
      {R"("response_format":{"type":"regex"})", "unsupported_value", "response_format.type"},
      {R"("response_format":{})", "missing_required_parameter", "response_format.type"},
      {R"("response_format":"json")", "invalid_type", "response_format"},
      {R"("structured_outputs":{"regex":"(a"})", "invalid_value", "structured_outputs.regex"},
      {R"("structured_outputs":{"grammar":"root ::= x"})", "invalid_value",
       "structured_outputs.grammar"},
      {R"("structured_outputs":{"choice":[]})", "array_below_min_length",
       "structured_outputs.choice"},
      {R"("structured_outputs":{"choice":[1]})", "invalid_type", "structured_outputs.choice[0]"},
      {R"("structured_outputs":{"json":"{"})", "invalid_json_schema", "structured_outputs.json"},
      {R"("structured_outputs":{"json":{"type":"objekt"}})", "invalid_json_schema",
       "structured_outputs.json.type"},
      {R"("structured_outputs":{"regex":"a","choice":["a"]})", "invalid_value",
       "structured_outputs"},
      {R"("structured_outputs":{"structural_tag":"x"})", "unsupported_parameter",
       "structured_outputs.structural_tag"},
      {R"("structured_outputs":{"regex":"a","whitespace_pattern":" "})", "invalid_value",
       "structured_outputs"},
      {R"("structured_outputs":{"regex":"a"},"response_format":{"type":"json_object"})",
       "invalid_value", "structured_outputs"},
      {R"("tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{
        "name":"g","parameters":{"properties":{"a":{"not":{}}}}}}],"tool_choice":"required")",
       "invalid_json_schema", "tools[1].function.parameters.properties.a.not"},
      {R"("functions":[{"name":"f","parameters":{"minProperties":-1}}],"function_call":{"name":"f"})",
       "invalid_json_schema", "functions[0].parameters.minProperties"},
      {std::string(kTools) + R"(,"tool_choice":"required",)" + schema_format(R"({"not":{}})"),
       "invalid_json_schema", "response_format.json_schema.schema.not"},
  };
  ApiWorld world;
  for (const Row& row : rows) {
    INFO(row.asked);
    const ApiError error = error_of(handle_chat_completions, world, request_with(row.asked));
    CHECK(error.status == 400);
    CHECK(error.code == row.code);
    CHECK(error.param == row.param);
  }
  REQUIRE(world.engine.n_requests() == 0);
}

TEST_CASE("what was asked before is not compiled again", "[server][grammar]") {
  ApiWorld world;
  const std::string schema = schema_format(R"({"type":"object","properties":{"b":{},"a":{}}})");
  const auto first = rules_of(world, request_with(schema));
  const auto second = rules_of(world, request_with(schema));
  REQUIRE(first->answer == second->answer);
  error_of(handle_chat_completions, world, request_with(schema_format(R"({"not":{}})")));
  error_of(handle_chat_completions, world, request_with(schema_format(R"({"not":{}})")));
  GrammarCache::Counts counts = world.service.grammars.counts();
  REQUIRE(counts.compiled == 2);
  REQUIRE(counts.hits == 2);
}

TEST_CASE("the cache of grammars forgets the least recently used", "[server][grammar]") {
  ApiWorld world;
  GrammarCache cache(world.service.vocabulary, 64 << 10);
  const auto ask = [&](int i) { return cache.choice({"choice " + std::to_string(i)}); };
  ask(0);
  for (int i = 1; i < 300; ++i) {
    ask(i);
    ask(0);
  }
  const auto counts = cache.counts();
  REQUIRE(counts.compiled == 300);  // 0 stayed
  REQUIRE(counts.entries < 299);
  REQUIRE(counts.entries > 2);
  ask(1);
  REQUIRE(cache.counts().compiled == 301);
}

TEST_CASE("many threads that ask for the same have it compiled once", "[server][grammar]") {
  ApiWorld world;
  GrammarCache cache(world.service.vocabulary);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&cache, i] {
      for (int k = 0; k < 50; ++k) cache.choice({"choice " + std::to_string((i + k) % 10)});
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(cache.counts().compiled == 10);
  REQUIRE(cache.counts().entries == 10);
}

TEST_CASE("an answer that its grammar cannot carry on is an error of the server", "[server]") {
  ApiWorld world;
  world.engine.set_script([&world](const Request& request) {
    TokenEvent last = ApiWorld::token(request, 0, -1);
    last.finish = FinishReason::failed;
    return std::vector<TokenEvent>{ApiWorld::token(request, 0, world.tokenizer.encode("x")[0]),
                                   last};
  });
  const ApiError error = error_of(handle_chat_completions, world, chat_request());
  REQUIRE(error.status == 500);
  REQUIRE(error.code == "constraint_limit");
  REQUIRE(error.is_final);
  const auto chunks = call_stream(handle_chat_completions, world, chat_request());
  REQUIRE(chunks.back()["error"]["code"] == "constraint_limit");
}

}  // namespace lapidary
