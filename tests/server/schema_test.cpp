// JSON Schema to grammars: for every keyword an answer that it allows, one that it does not, and
// what is refused with its path.
#include <string>
#include <vector>

#include "engine/grammar/matcher.h"
#include "server/schema/grammar_compiler.h"
#include "tests/catch.h"

namespace lapidary {
namespace {

// Bytes, then Gemma's control tokens.
const GrammarVocabulary& vocabulary() {
  static const GrammarVocabulary made = [] {
    std::vector<GrammarVocabulary::Entry> entries;
    for (int c = 0; c < 256; ++c) entries.push_back({std::string(1, static_cast<char>(c)), false});
    for (const char* text : {"<|tool_call>", "<tool_call|>", "<|\"|>", "<turn|>"}) {
      entries.push_back({text, true});
    }
    return GrammarVocabulary(entries, {259});
  }();
  return made;
}

// Control tokens are spelled out in `text`.
bool takes(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
  Matcher matcher(grammar);
  while (!text.empty()) {
    int32_t token = static_cast<uint8_t>(text[0]);
    size_t length = 1;
    for (const int32_t id : {256, 257, 258}) {
      const std::string spelled = std::vector<std::string>{"<|tool_call>", "<tool_call|>",
                                                           "<|\"|>"}[static_cast<size_t>(id - 256)];
      if (!text.starts_with(spelled)) continue;
      token = id;
      length = spelled.size();
    }
    if (!matcher.accept(token)) return false;
    text.remove_prefix(length);
  }
  return matcher.is_complete();
}

std::shared_ptr<const Grammar> grammar_of(const std::string& schema) {
  const CompiledGrammar made = GrammarCompiler(vocabulary()).json_schema_text(schema);
  if (const auto* refusal = std::get_if<GrammarRefusal>(&made)) {
    FAIL(schema << " refused: " << refusal->path << " " << refusal->reason);
  }
  return std::get<0>(made);
}

GrammarRefusal refusal_of(const std::string& schema) {
  const CompiledGrammar made = GrammarCompiler(vocabulary()).json_schema_text(schema);
  const auto* refusal = std::get_if<GrammarRefusal>(&made);
  if (!refusal) FAIL(schema << " was compiled");
  return *refusal;
}

struct Case {
  std::string schema;
  std::vector<std::string> yes, no;
};

}  // namespace

TEST_CASE("every keyword lets through what it allows and nothing else", "[server][grammar]") {
  const std::vector<Case> cases = {
      {R"({"type":"null"})", {"null"}, {"nul", "true", ""}},
      {R"({"type":"boolean"})", {"true", "false"}, {"null", "True"}},
      {R"({"type":"integer"})", {"0", "-12", "120"}, {"01", "1.0", "-", "1e3", "\"1\""}},
      {R"({"type":"number"})", {"0", "-1.5", "2e10", "1.25E-3"}, {".5", "1.", "1e", "+1", "00"}},
      {R"({"type":"string"})",
       {R"("")", R"("a\"\\\/\n\u00e9\ud83d\ude00")", "\"\xC3\xA9\""},
       {R"("\ud83d")", R"("\ude00")", "\"a", "\"\n\"", R"("\x")", "\"\xC3\""}},
      {R"({"type":["string","null"]})", {"null", "\"a\""}, {"1"}},
      {R"({"type":"string","nullable":true})", {"null", "\"a\""}, {"1"}},
      {R"({"enum":["a",1,null,{"x":[true]}]})",
       {"\"a\"", "1", "null", R"({"x":[true]})"},
       {"\"b\"", "2", "{}"}},
      {R"({"type":"string","enum":["a",1,"bcd"],"maxLength":2})", {"\"a\""}, {"1", "\"bcd\""}},
      {R"({"const":"a\"b"})", {R"("a\"b")"}, {"\"a\""}},
      {R"({"type":"string","minLength":2,"maxLength":3})",
       {"\"ab\"", "\"abc\"", "\"\xC3\xA9\\n\""},
       {"\"a\"", "\"abcd\"", "\"\""}},
      {R"({"type":"string","pattern":"^[A-Z]{2}\\d+$"})", {"\"AB1\""}, {"\"AB\"", "\"aB1\""}},
      {R"({"type":"string","pattern":"b+","maxLength":3})", {"\"abc\""}, {"\"ac\"", "\"abcd\""}},
      {R"({"type":"string","format":"date"})", {"\"2024-04-30\""}, {"\"2024-04-31\"", "\"x\""}},
      {R"({"type":"string","format":"time"})", {"\"23:59:59Z\""}, {"\"24:00:00Z\""}},
      {R"({"type":"string","format":"date-time"})",
       {"\"2024-01-01T00:00:00.5+01:00\""},
       {"\"2024-01-01\""}},
      {R"({"type":"string","format":"uuid"})",
       {"\"123e4567-e89b-12d3-a456-426614174000\""},
       {"\"123e4567\""}},
      {R"({"type":"string","format":"email"})", {"\"a.b@c.de\""}, {"\"a@b\"", "\"@b.de\""}},
      {R"({"type":"string","format":"ipv4"})", {"\"10.0.0.255\""}, {"\"256.0.0.1\"", "\"1.2.3\""}},
      {R"({"type":"string","format":"ipv6"})",
       {"\"::1\"", "\"1:2:3:4:5:6:7:8\"", "\"fe80::a:b\"", "\"::\""},
       {"\"1:2:3:4:5:6:7\"", "\"1::2::3\""}},
      {R"({"type":"string","format":"uri"})", {"\"https://a.example/x?y=1#z\""}, {"\"a.example\""}},
      {R"({"type":"string","format":"uri","minLength":1,"maxLength":2083})",
       {"\"https://a.example/x/z?y=1#z\""},
       {"\"a.example\""}},
      {R"({"type":"string","format":"hostname"})", {"\"a-1.example\""}, {"\"a..b\"", "\"-a\""}},
      {R"({"type":"string","format":"duration"})",
       {"\"P1Y2M3DT4H5M6S\"", "\"PT15M\"", "\"P2W\"", "\"P3D\""},
       {"\"P\"", "\"PT\"", "\"P1Y3D\"", "\"1D\""}},
      {R"({"type":"string","format":"uuid4"})",
       {"\"123e4567-e89b-42d3-a456-426614174000\""},
       {"\"123e4567-e89b-12d3-a456-426614174000\""}},
      {R"({"type":"string","format":"ipvanyaddress"})", {"\"::1\"", "\"10.0.0.1\""}, {"\"x\""}},
      {R"({"type":"string","format":"byte"})", {"\"\"", "\"aGk=\"", "\"aGk/\""}, {"\"aGk\""}},
      {R"({"type":"string","format":"password","maxLength":3})", {"\"a b\""}, {"\"abcd\"", "1"}},
      {R"({"format":"path","enum":["/x"]})", {"\"/x\""}, {"\"/y\""}},
      {R"({"type":"integer","format":"int32","x-order":3})", {"12"}, {"\"a\""}},
      {R"({"type":"integer","minimum":-5,"maximum":12})",
       {"-5", "0", "12", "9"},
       {"-6", "13", "100", "-10"}},
      {R"({"type":"integer","exclusiveMinimum":0,"exclusiveMaximum":10})",
       {"1", "9"},
       {"0", "10", "-1"}},
      {R"({"type":"integer","minimum":98,"maximum":1003})",
       {"98", "99", "100", "1003"},
       {"97", "1004", "9"}},
      {R"({"type":"integer","maximum":-20})", {"-20", "-100"}, {"-19", "0", "5"}},
      {R"({"type":"integer","multipleOf":7,"minimum":0})", {"0", "7", "147"}, {"1", "10", "-7"}},
      {R"({"type":"number","minimum":0.5,"maximum":1.25})",
       {"0.5", "1", "1.25", "1.249", "0.75"},
       {"0.4", "0.49", "1.26", "1.251", "0", "2"}},
      {R"({"type":"number","exclusiveMinimum":0})", {"0.001", "1", "10.5"}, {"0", "0.0", "-1"}},
      {R"({"type":"number","exclusiveMaximum":1.5,"minimum":-1.5})",
       {"-1.5", "1.49", "1.4"},
       {"1.5", "1.50", "-1.51"}},
      {R"({"type":"object","properties":{"b":{"type":"integer"},"a":{"type":"null"}},"required":["a"]})",
       {R"({"b":1,"a":null})", R"({"a":null})", "{\n  \"b\": 1,\n  \"a\": null\n}",
        R"({ "a": null })"},
       {"{}", R"({"b":1})", R"({"a":null,"b":1})", R"({"a":null,})", R"({"a":null,"c":1})",
        "{\n\n\"a\":null}"}},
      {R"({"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"boolean"}})",
       {"{}", R"({"a":1,"x":true})", R"({"ab":false})"},
       {R"({"x":1})", R"({"a":true})", R"({"a":1,"a":true})"}},
      {R"({"type":"object","properties":{},"additionalProperties":false})", {"{}"}, {R"({"a":1})"}},
      {R"({"type":"object","patternProperties":{"^n_":{"type":"integer"}},"additionalProperties":{"type":"null"}})",
       {R"({"n_a":1,"b":null})"},
       {R"({"n_a":null})", R"({"b":1})"}},
      {R"({"type":"object","patternProperties":{"^n_":{"type":"integer"}}})",
       {R"({"n_a":1})"},
       {R"({"b":1})"}},
      {R"({"type":"object"})", {"{}", R"({"a":[1,{"b":null}]})"}, {"[]", R"({"a"})"}},
      {R"({"type":"object","properties":{"a":{},"b":{},"c":{}},"minProperties":2,"maxProperties":2})",
       {R"({"a":1,"b":1})", R"({"a":1,"c":1})"},
       {R"({"a":1})", R"({"a":1,"b":1,"c":1})", "{}"}},
      {R"({"type":"object","maxProperties":1})", {"{}", R"({"x":1})"}, {R"({"x":1,"y":1})"}},
      {R"({"required":["z"]})", {R"({"z":1})"}, {"{}", "1"}},
      {R"({"type":"array","items":{"type":"integer"}})",
       {"[]", "[1]", "[1, 2,3]", "[\n 1\n]"},
       {"[null]", "[1,]", "[,1]"}},
      {R"({"type":"array","items":{"type":"null"},"minItems":1,"maxItems":3})",
       {"[null]", "[null,null,null]"},
       {"[]", "[null,null,null,null]"}},
      {R"({"type":"array","items":{"type":"null"},"minItems":2})",
       {"[null,null]", "[null,null,null,null]"},
       {"[null]"}},
      {R"({"type":"array","prefixItems":[{"type":"integer"},{"type":"null"}],"items":{"type":"boolean"}})",
       {"[]", "[1]", "[1,null]", "[1,null,true,false]"},
       {"[null]", "[1,null,2]"}},
      {R"({"type":"array","items":[{"type":"integer"}],"additionalItems":false})",
       {"[]", "[1]"},
       {"[1,1]"}},
      {R"({"anyOf":[{"type":"integer"},{"type":"string","maxLength":1}]})",
       {"1", "\"a\""},
       {"null", "\"ab\""}},
      {R"({"oneOf":[{"type":"integer","maximum":0},{"type":"integer","exclusiveMinimum":0}]})",
       {"0", "5"},
       {"\"a\""}},
      {R"({"oneOf":[{"type":"object","properties":{"k":{"const":"a"},"x":{"type":"null"}},"required":["k","x"]},
                    {"type":"object","properties":{"k":{"const":"b"}},"required":["k"]}]})",
       {R"({"k":"a","x":null})", R"({"k":"b"})"},
       {R"({"k":"a"})", R"({"k":"b","x":null})"}},
      {R"({"oneOf":[{"properties":{"k":{"const":"a"}},"required":["k"]},
                    {"properties":{"k":{"const":"b"}},"required":["k"]}],
           "discriminator":{"propertyName":"k"}})",
       {R"({"k":"a"})", R"({"k":"b"})"},
       {R"({"k":"c"})"}},
      {R"({"allOf":[{"type":"integer","minimum":3},{"maximum":5}]})", {"3", "5"}, {"2", "6"}},
      {R"({"allOf":[{"properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":{"type":"null"},"a":{"minimum":2}}}]})",
       {R"({"a":2,"b":null})", R"({"a":3})"},
       {R"({"a":1})", R"({"b":null})"}},
      {R"({"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}},"required":["v","next"]}}})",
       {R"({"v":1,"next":{"v":2,"next":null}})"},
       {R"({"v":1})", R"({"v":1,"next":{"v":2}})"}},
      {R"({"type":"object","properties":{"kids":{"type":"array","items":{"$ref":"#"}}}})",
       {R"({"kids":[{},{"kids":[]}]})"},
       {R"({"kids":[1]})"}},
      {"true", {"1", R"({"a":[]})"}, {"", "a"}},
  };
  for (const Case& c : cases) {
    const auto grammar = grammar_of(c.schema);
    for (const std::string& text : c.yes) {
      INFO(c.schema << " must take " << text);
      CHECK(takes(grammar, text));
    }
    for (const std::string& text : c.no) {
      INFO(c.schema << " must not take " << text);
      CHECK_FALSE(takes(grammar, text));
    }
  }
}

TEST_CASE("what is not supported is refused with its path, never ignored", "[server][grammar]") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"type":"object","properties":{"a/b":{"not":{}}}})", "/properties/a~1b/not"},
      {R"({"if":{}})", "/if"},
      {R"({"dependentRequired":{}})", "/dependentRequired"},
      {R"({"type":"array","contains":{}})", "/contains"},
      {R"({"type":"array","uniqueItems":true})", "/uniqueItems"},
      {R"({"unevaluatedProperties":false})", "/unevaluatedProperties"},
      {R"({"propertyNames":{}})", "/propertyNames"},
      {R"({"type":"string","format":"iri"})", "/format"},
      {R"({"type":"string","pattern":"(?=a)b"})", "/pattern"},
      {R"({"type":"number","multipleOf":0.1})", "/multipleOf"},
      {R"({"type":"number","minimum":1e40})", "/minimum"},
      {R"({"type":"text"})", "/type"},
      {R"({"type":"string","minLength":-1})", "/minLength"},
      {R"({"anyOf":[{"type":"integer"},{"type":"string","frob":1}]})", "/anyOf/1/frob"},
      {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", "/oneOf"},
      {R"({"$ref":"#/$defs/x"})", "/$ref"},
      {R"({"$ref":"http://a.example/b"})", "/$ref"},
      {R"({"type":"object","properties":{"a":{"$ref":"#/$defs/t"}},"$defs":{"t":{"type":"string","x":1}}})",
       "/$defs/t/x"},
      {R"({"type":"array","items":{"type":"object","properties":3}})", "/items/properties"},
  };
  for (const auto& [schema, path] : cases) {
    INFO(schema);
    CHECK(refusal_of(schema).path == path);
  }
  CHECK_THAT(refusal_of(R"({"$ref":"#"})").reason, Catch::Contains("refers to itself"));
  CHECK_THAT(refusal_of(R"({"type":"integer","minimum":3,"maximum":2})").reason,
             Catch::Contains("nothing can match"));
  CHECK_THAT(refusal_of("{").reason, !Catch::Contains("exception"));
}

TEST_CASE("calls are written in Gemma's syntax from the same schemas", "[server][grammar]") {
  const OrderedJson parameters = OrderedJson::parse(
      R"({"type":"object","properties":{"unit":{"enum":["C","F"]},"City":{"type":"string"},"days":{"type":"array","items":{"type":"integer"}}},"required":["City"]})");
  const std::vector<ToolArguments> tools = {{"weather", parameters},
                                            {"now", OrderedJson::object()}};
  const auto made = GrammarCompiler(vocabulary()).tool_calls(tools, 1, 2);
  REQUIRE(std::holds_alternative<std::shared_ptr<const Grammar>>(made));
  const auto grammar = std::get<0>(made);
  const std::string call =
      "<|tool_call>call:weather{City:<|\"|>a "
      "\"b\"\n{<|\"|>,days:[1,2],unit:<|\"|>C<|\"|>}<tool_call|>";
  CHECK(takes(grammar, call));
  CHECK(takes(grammar, call + "<|tool_call>call:now{}<tool_call|>"));
  CHECK(takes(grammar, "<|tool_call>call:now{x:{y:null}}<tool_call|>"));
  CHECK_FALSE(takes(grammar, call + call + call));
  CHECK_FALSE(takes(grammar, ""));
  CHECK_FALSE(takes(grammar, "<|tool_call>call:weather{}<tool_call|>"));
  CHECK_FALSE(takes(grammar, "<|tool_call>call:weather{City:\"a\"}<tool_call|>"));
  CHECK_FALSE(takes(grammar, "<|tool_call>call:other{}<tool_call|>"));
  CHECK_FALSE(takes(grammar,
                    "<|tool_call>call:weather{unit:<|\"|>C<|\"|>,City:<|\"|>a<|\"|>}<tool_call|>"));
  const std::string name(128, 'n');
  const auto long_name = GrammarCompiler(vocabulary()).tool_calls({{name, parameters}}, 1, 1);
  CHECK(takes(std::get<0>(long_name),
              "<|tool_call>call:" + name + "{City:<|\"|><|\"|>}<tool_call|>"));
  const auto refused =
      GrammarCompiler(vocabulary())
          .tool_calls({{"f", OrderedJson::parse(R"({"type":"object","properties":{"a:b":{}}})")}},
                      1, 1);
  CHECK(std::get<GrammarRefusal>(refused).path == "/0/parameters/properties/a:b");
}

TEST_CASE("the other front ends compile or refuse by name", "[server][grammar]") {
  const GrammarCompiler compiler(vocabulary());
  CHECK(takes(std::get<0>(compiler.json_object()), R"({"a":[1,"x",{}]})"));
  CHECK_FALSE(takes(std::get<0>(compiler.json_object()), "[]"));
  CHECK(takes(std::get<0>(compiler.regex("a{2}|b")), "aa"));
  CHECK(takes(std::get<0>(compiler.ebnf("root ::= \"x\"+")), "xx"));
  CHECK(takes(std::get<0>(compiler.choice({"p", "q"})), "q"));
  CHECK_THAT(std::get<1>(compiler.regex("(?=a)")).reason, Catch::Contains("lookaround"));
  CHECK_THAT(std::get<1>(compiler.ebnf("root ::= x")).reason, Catch::Contains("not given"));
}

}  // namespace lapidary
