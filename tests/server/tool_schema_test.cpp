// What is mended of a tool's schema before the template sees it, and what is refused.

#include "server/dialect/tool_schema.h"

#include <string>
#include <vector>

#include "server/dialect/prompt_writer.h"
#include "server/dialect/python_spelling.h"
#include "server/dialect/tool_writer.h"
#include "tests/catch.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

// The parameters as the model sees them; Q stands for the string delimiter.
std::string shown(const Json& parameters) {
  SchemaBudget budget;
  ToolDeclaration tool{.name = "f", .description = "", .parameters = {}};
  tool.parameters = shown_parameters(parameters, budget);
  PromptWriter writer;
  write_declaration(tool, writer);
  std::string text;
  for (const PromptPiece& piece : writer.take()) text += piece.text == "<|\"|>" ? "Q" : piece.text;
  return text;
}

std::string shown(const char* parameters) { return shown(Json::parse(parameters)); }

std::string around(const std::string& parameters) {
  return "<|tool>declaration:f{description:QQ" + parameters + "}<tool|>";
}

// The properties' part only.
std::string property(const char* schema) {
  Json parameters = {{"type", "object"}, {"properties", {{"a", Json::parse(schema)}}}};
  parameters["$defs"] = Json::parse(R"({
    "City": {"type":"string","description":"A city"},
    "Node": {"type":"object","description":"A node","properties":{
      "children":{"type":"array","items":{"$ref":"#/$defs/Node"}}}},
    "a/b": {"type":"integer"}})");
  const std::string text = shown(parameters);
  const std::string head = around("").substr(0, 35) + ",parameters:{properties:{a:{";
  REQUIRE(text.starts_with(head));
  const std::string tail = "}},type:QOBJECTQ}}<tool|>";
  REQUIRE(text.ends_with(tail));
  return text.substr(head.size(), text.size() - head.size() - tail.size());
}

std::string error_path(const Json& parameters) {
  try {
    SchemaBudget budget;
    shown_parameters(parameters, budget);
  } catch (const ToolSchemaError& error) {
    return error.path;
  }
  return "none";
}

}  // namespace

TEST_CASE("parameters without a type are an object, so that the braces close", "[server]") {
  CHECK(shown(R"({"properties":{"a":{"type":"string"}}})") ==
        around(",parameters:{properties:{a:{type:QSTRINGQ}},type:QOBJECTQ}"));
  CHECK(shown("{}") == around(""));
  CHECK(shown("null") == around(""));
}

TEST_CASE("references are resolved, once around where a schema contains itself", "[server]") {
  CHECK(property(R"({"$ref":"#/$defs/City"})") == "description:QA cityQ,type:QSTRINGQ");
  CHECK(property(R"({"$ref":"#/$defs/City","description":"Own"})") ==
        "description:QOwnQ,type:QSTRINGQ");
  CHECK(property(R"({"$ref":"#/$defs/a~1b"})") == "type:QINTEGERQ");
  CHECK(property(R"({"$ref":"#/%24defs/a%7E1b"})") == "type:QINTEGERQ");
  CHECK(property(R"({"$ref":"#/$defs/Node"})") ==
        "description:QA nodeQ,properties:{children:{items:{type:QOBJECTQ},type:QARRAYQ}},"
        "type:QOBJECTQ");
  CHECK(property(R"({"type":"array","items":{"$ref":"#/$defs/City"}})") ==
        "items:{description:QA cityQ,type:QSTRINGQ},type:QARRAYQ");
  CHECK(property(R"({"allOf":[{"$ref":"#/$defs/City"},{"minLength":1}]})") ==
        "description:QA cityQ,type:QSTRINGQ");
}

TEST_CASE("unions become one type, nullable if null is in them", "[server]") {
  CHECK(property(R"({"type":["string","null"]})") == "nullable:true,type:QSTRINGQ");
  CHECK(property(R"({"type":["null","integer"]})") == "nullable:true,type:QINTEGERQ");
  CHECK(
      property(R"({"anyOf":[{"type":"string","enum":["x"]},{"type":"null"}],"description":"d"})") ==
      "description:QdQ,enum:[QxQ],nullable:true,type:QSTRINGQ");
  CHECK(property(R"({"oneOf":[{"type":"number"},{"type":"string"}]})") == "type:QNUMBERQ");
  CHECK(property(R"({"anyOf":[{"const":"x"},{"enum":["y","z"]},{"type":"null"}]})") ==
        "enum:[QxQ,QyQ,QzQ],nullable:true,type:QSTRINGQ");
  CHECK(property(R"({"anyOf":[{"$ref":"#/$defs/City"},{"type":"null"}]})") ==
        "description:QA cityQ,nullable:true,type:QSTRINGQ");
}

TEST_CASE("a type that can be told is added, and nothing of an object's schema leaks", "[server]") {
  CHECK(property(R"({"enum":["x","y"]})") == "enum:[QxQ,QyQ],type:QSTRINGQ");
  CHECK(property(R"({"items":{"type":"string"}})") == "items:{type:QSTRINGQ},type:QARRAYQ");
  CHECK(property(R"({"properties":{"b":{"type":"null"}}})") ==
        "properties:{b:{type:QNULLQ}},type:QOBJECTQ");
  CHECK(property(R"({"type":"object","additionalProperties":{"type":"string"},"title":"T"})") ==
        "properties:{},type:QOBJECTQ");
  CHECK(property("true") == "type:QQ");
}

TEST_CASE("malformed schemas are refused by the place of the fault", "[server]") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"([])", "parameters"},
      {R"({"type":"string"})", "parameters.type"},
      {R"({"type":"thing"})", "parameters.type"},
      {R"({"type":[]})", "parameters.type"},
      {R"({"properties":[]})", "parameters.properties"},
      {R"({"properties":{"a":7}})", "parameters.properties.a"},
      {R"({"properties":{"a":{"type":"text"}}})", "parameters.properties.a.type"},
      {R"({"properties":{"a":{"description":1}}})", "parameters.properties.a.description"},
      {R"({"properties":{"a":{"enum":"x"}}})", "parameters.properties.a.enum"},
      {R"({"properties":{"a":{"items":"x"}}})", "parameters.properties.a.items"},
      {R"({"properties":{"a":{"nullable":"x"}}})", "parameters.properties.a.nullable"},
      {R"({"properties":{"a":{"anyOf":{}}}})", "parameters.properties.a.anyOf"},
      {R"({"properties":{"a":{"items":{"allOf":[3]}}}})", "parameters.properties.a.items.allOf"},
      {R"({"properties":{"a":{"$ref":3}}})", "parameters.properties.a.$ref"},
      {R"({"properties":{"a":{"$ref":"#/nowhere"}}})", "parameters.properties.a.$ref"},
      {R"({"properties":{"a":{"$ref":"https://x.org/s"}}})", "parameters.properties.a.$ref"},
      {R"({"required":"a"})", "parameters.required"},
      {R"({"required":[1]})", "parameters.required"},
  };
  for (const auto& [schema, path] : cases) {
    INFO(schema);
    CHECK(error_path(Json::parse(schema)) == path);
  }
}

TEST_CASE("schemas that grow without bound when resolved are refused", "[server]") {
  Json defs = Json::object();  // doubles with every step
  defs["n40"] = {{"type", "string"}};
  for (int i = 0; i < 40; ++i) {
    const Json next = {{"$ref", "#/$defs/n" + std::to_string(i + 1)}};
    defs["n" + std::to_string(i)] = {{"type", "object"},
                                     {"properties", {{"a", next}, {"b", next}}}};
  }
  CHECK(error_path({{"$defs", defs}, {"properties", {{"a", {{"$ref", "#/$defs/n0"}}}}}}) != "none");

  Json chain = Json::object();  // one after the other
  for (int i = 0; i < 10'000; ++i) {
    chain["n" + std::to_string(i)] = {{"$ref", "#/$defs/n" + std::to_string(i + 1)}};
  }
  CHECK(error_path({{"$defs", chain}, {"properties", {{"a", {{"$ref", "#/$defs/n0"}}}}}}) !=
        "none");

  const Json large = {{"description", std::string(1 << 20, 'x')}, {"type", "string"}};
  Json properties = Json::object();  // a long text many times
  for (int i = 0; i < 5; ++i) properties["p" + std::to_string(i)] = {{"$ref", "#/$defs/L"}};
  CHECK(error_path({{"$defs", {{"L", large}}}, {"properties", properties}}) != "none");

  const Json loop = {{"x", {{"$ref", "#/$defs/y"}}}, {"y", {{"$ref", "#/$defs/x"}}}};
  CHECK(error_path({{"$defs", loop}, {"properties", {{"a", {{"$ref", "#/$defs/x"}}}}}}) == "none");
  CHECK(error_path({{"properties", {{"a", {{"$ref", "#"}}}}}}) == "none");
}

TEST_CASE("numbers and letters are spelled as Python spells them", "[server]") {
  const std::vector<std::pair<const char*, const char*>> numbers = {
      {"1", "1"},
      {"1.0", "1.0"},
      {"1e5", "100000.0"},
      {"-0", "0"},
      {"-0.0", "-0.0"},
      {"1E-5", "1e-05"},
      {"0.0001", "0.0001"},
      {"1e15", "1000000000000000.0"},
      {"1e16", "1e+16"},
      {"1.50", "1.5"},
      {"0.1", "0.1"},
      {"18446744073709551615", "18446744073709551615"},
      {"5e-324", "5e-324"},
      {"1e22", "1e+22"},
      {"-2.5e-7", "-2.5e-07"}};
  for (const auto& [json, python] : numbers) CHECK(python_number(Json::parse(json)) == python);
  CHECK(python_lower("Stra\u00dfe \u00c9T\u00c9 \u0130 \u0416 \u01c5 \U00010400 \u1e9e") ==
        "stra\u00dfe \u00e9t\u00e9 i\u0307 \u0436 \u01c6 \U00010428 \u00df");
}

}  // namespace lapidary
