// Schemas that are made to hurt: each is refused or compiled, soon and in little memory.
#include <ctime>
#include <string>
#include <vector>

#include "server/schema/grammar_compiler.h"
#include "tests/catch.h"

namespace lapidary {
namespace {

std::string repeated(const std::string& text, size_t n) {
  std::string made;
  for (size_t i = 0; i < n; ++i) made += text;
  return made;
}

std::vector<std::string> hostile_schemas() {
  std::vector<std::string> all;
  for (const size_t n : {60, 500, 10000}) {
    all.push_back(repeated(R"({"items":)", n) + "{}" + repeated("}", n));
    all.push_back(repeated(R"({"anyOf":[)", n) + "{}" + repeated("]}", n));
    all.push_back(repeated(R"({"properties":{"a":)", n) + "{}" + repeated("}}", n));
    all.push_back(repeated("[", n));
    all.push_back(R"({"type":"string","pattern":")" + repeated("(", n) + repeated(")", n) + "\"}");
  }
  for (const size_t n : {1000, 20000, 100000}) {
    std::string values, properties, alternatives;
    for (size_t i = 0; i < n; ++i) {
      const std::string comma = i == 0 ? "" : ",";
      values += comma + "\"value" + std::to_string(i * 7919) + "\"";
      properties += comma + "\"p" + std::to_string(i) + R"(":{"type":"string"})";
      alternatives += comma + R"({"const":)" + std::to_string(i) + "}";
    }
    all.push_back(R"({"enum":[)" + values + "]}");
    all.push_back(R"({"properties":{)" + properties + "}}");
    all.push_back(R"({"anyOf":[)" + alternatives + "]}");
    all.push_back(R"({"oneOf":[)" + alternatives + "]}");
    all.push_back(R"({"properties":{)" + properties + R"(},"additionalProperties":true})");
  }
  all.push_back(R"({"enum":[")" + std::string(1000000, 'x') + "\"]}");
  for (const std::string pattern :
       {"(a+)+$", "(a|a)*b", "(a|b)*a(a|b){20}", "(a|b)*a(a|b){200}", "((a{100}){100}){100}",
        ".*.*.*.*.*.*.*x", "(.*a){30}", "(.*a.*b){200}", "^(([a-z])+.)+[A-Z]([a-z])+$",
        "(a?){1000}a{1000}", "[^a]{1000}", "(x{0,1000}){1000}", "(a*)*", "(|a|b|c)*{2}"}) {
    for (const std::string length :
         {"", ",\"maxLength\":100", ",\"minLength\":50,\"maxLength\":9000"}) {
      all.push_back(R"({"type":"string","pattern":")" + pattern + "\"" + length + "}");
    }
  }
  for (const std::string body :
       {R"("$ref":"#/$defs/a")", R"("allOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/a"}])",
        R"("anyOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/b"}])",
        R"("properties":{"x":{"$ref":"#/$defs/a"},"y":{"$ref":"#/$defs/b"}})",
        R"("oneOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/b"}])"}) {
    all.push_back("{" + body + R"(,"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}})");
    all.push_back(
        "{" + body +
        R"(,"$defs":{"a":{"type":"object","properties":{"k":{"$ref":"#"}}},"b":{"items":{"$ref":"#/$defs/b"}}}})");
    // Each reads the next twice.
    for (const std::string keyword : {"allOf", "anyOf"}) {
      std::string chain = R"("a":{"$ref":"#/$defs/d0"},"b":{"$ref":"#/$defs/d0"})";
      for (int i = 0; i < 40; ++i) {
        const std::string next = R"({"$ref":"#/$defs/d)" + std::to_string(i + 1) + "\"}";
        chain +=
            ",\"d" + std::to_string(i) + "\":{\"" + keyword + "\":[" + next + "," + next + "]}";
      }
      all.push_back("{" + body + ",\"$defs\":{" + chain + R"(,"d40":{"type":"integer"}}})");
    }
  }
  for (const std::string rest :
       {R"("type":"string","maxLength":1000000)", R"("type":"string","minLength":1000000)",
        R"("type":"array","minItems":1000000)", R"("type":"array","maxItems":5000)",
        R"("type":"object","minProperties":1000000)", R"("type":"integer","multipleOf":997)",
        R"("type":"integer","multipleOf":1000000007)", R"("type":"string","maxLength":9000)",
        R"("type":"number","minimum":1e308)", R"("type":"number","minimum":-1e-300)",
        R"("patternProperties":{"a":{},"b":{},"c":{},"d":{},"e":{},"f":{},"g":{}})",
        R"("patternProperties":{"a.*b":{},"b.*c":{},"c.*d":{},"d.*e":{},"e.*f":{}})",
        R"("allOf":[{"multipleOf":999},{"multipleOf":998},{"multipleOf":997}])"}) {
    all.push_back("{" + rest + "}");
  }
  return all;
}

}  // namespace

TEST_CASE("hostile schemas are refused or compiled, all of them within seconds",
          "[server][grammar][slow]") {
  std::vector<GrammarVocabulary::Entry> entries;
  for (int c = 0; c < 256; ++c) entries.push_back({std::string(1, static_cast<char>(c)), false});
  entries.push_back({"<turn|>", true});
  const GrammarVocabulary vocabulary(entries, {256});
  const std::vector<std::string> schemas = hostile_schemas();
  REQUIRE(schemas.size() >= 100);
  size_t n_refused = 0;
  for (const std::string& schema : schemas) {
    const std::clock_t begin = std::clock();
    const CompiledGrammar made = GrammarCompiler(vocabulary).json_schema_text(schema);
    const double milliseconds = 1e3 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    n_refused += std::holds_alternative<GrammarRefusal>(made) ? 1 : 0;
    // Of this processor, so not asserted: printed when it is too long.
    if (milliseconds > 150) WARN(milliseconds << " ms: " << schema.substr(0, 120));
  }
  REQUIRE(n_refused > 30);
  REQUIRE(n_refused < schemas.size());
}

}  // namespace lapidary
