#include "config/json_scan.h"

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "tests/catch.h"

using namespace lapidary;

namespace {

std::optional<JsonFault> scan(std::string_view text) { return scan_json(text, JsonLimits{}); }

std::string nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

}  // namespace

TEST_CASE("the scan accepts JSON values of every kind", "[engine][json_scan]") {
  for (const std::string& text :
       std::vector<std::string>{"0",
                                "-0",
                                "-1",
                                "1.5",
                                "1e5",
                                "1E+05",
                                "1.25e-7",
                                "true",
                                "false",
                                "null",
                                "\"\"",
                                "{}",
                                "[]",
                                " [ ] ",
                                "\t{\r\n}\n",
                                "[1,[2,{\"a\":[]}],\"b\"]",
                                "{\"a\":1,\"b\":{\"a\":2}}",
                                R"("\"\\\/\b\f\n\r\t\u0000\u00e9\uD83D\uDE00")",
                                "\"\u00e9\u20ac\U0001F600\x7F\"",
                                "18446744073709551615",
                                "-9223372036854775808",
                                "1.7976931348623157e308",
                                "1e-999",
                                "0.000001e-400",
                                "0e999",
                                "[{\"a\":1},{\"a\":1}]",
                                R"({"":0,"A":1,"a":2})"}) {
    INFO(text);
    CHECK_FALSE(scan(text));
    CHECK(nlohmann::json::accept(text));
  }
}

TEST_CASE("S-06: the scan says what is wrong and where", "[engine][json_scan]") {
  struct Case {
    std::string text, reason;
    size_t offset;
  };
  const std::vector<Case> cases = {
      {"", "the text ends too early", 0},
      {"  ", "the text ends too early", 2},
      {"[", "the text ends too early", 1},
      {"[1", "the text ends too early", 2},
      {"[1,", "the text ends too early", 3},
      {"[1,]", "a value was expected", 3},
      {"[1 2]", "',' or ']' was expected", 3},
      {"[1}", "',' or ']' was expected", 2},
      {"{", "the text ends too early", 1},
      {"{1:2}", "an object's key was expected", 1},
      {"{\"a\"}", "':' was expected", 4},
      {"{\"a\":}", "a value was expected", 5},
      {"{\"a\":1,}", "an object's key was expected", 7},
      {"{\"a\":1]", "',' or '}' was expected", 6},
      {"{,}", "an object's key was expected", 1},
      {"1 1", "there is more text after the JSON value", 2},
      {"{}x", "there is more text after the JSON value", 2},
      {std::string("1\0", 2), "there is more text after the JSON value", 1},
      {"]", "a value was expected", 0},
      {"tru", "a value was expected", 0},
      {"nulL", "a value was expected", 0},
      {"True", "a value was expected", 0},
      {"NaN", "a value was expected", 0},
      {"-Infinity", "a digit was expected", 1},
      {"'a'", "a value was expected", 0},
      {"/* */1", "a value was expected", 0},
      {"\xEF\xBB\xBF{}", "a value was expected", 0},
      {"-", "the text ends too early", 1},
      {"01", "a number begins with a superfluous zero", 0},
      {"-01", "a number begins with a superfluous zero", 0},
      {"1.", "the text ends too early", 2},
      {"1.x", "a digit was expected", 2},
      {".5", "a value was expected", 0},
      {"+1", "a value was expected", 0},
      {"1e", "the text ends too early", 2},
      {"[1e+]", "a digit was expected", 4},
      {"[1e400]", "a number is out of range", 1},
      {"-1e400", "a number is out of range", 0},
      {std::string(310, '9') + ".0", "a number is out of range", 0},
      {"0.01e999", "a number is out of range", 0},
      {"1e99999999999999999999", "a number is out of range", 0},
      {"18446744073709551616", "a number is out of range", 0},
      {"-9223372036854775809", "a number is out of range", 0},
      {std::string(1001, '1') + " ", "a number has too many digits", 0},
      {"\"a", "a string is not closed", 0},
      {"[\"abcdefghijklmnop", "a string is not closed", 1},
      {"\"\\", "a string is not closed", 1},
      {"\"\\x\"", "a string has an unknown escape", 1},
      {"\"a\nb\"", "a string holds an unescaped control character", 2},
      {"\"abcdefgh\x01jklmnopq\"", "a string holds an unescaped control character", 9},
      {std::string("\"\0\"", 3), "a string holds an unescaped control character", 1},
      {"\"\\u12G4\"", "a \\u escape needs four hexadecimal digits", 1},
      {"\"\\u12\"", "a \\u escape needs four hexadecimal digits", 1},
      {"\"\\uD800\"", "a \\u escape is half of a surrogate pair", 1},
      {"\"\\uDC00\\uD800\"", "a \\u escape is half of a surrogate pair", 1},
      {"\"\\uD83Dx\"", "a \\u escape is half of a surrogate pair", 1},
      {"\"abc\xFF\"", "a string is not valid UTF-8", 4},
      {"\"\xC0\xAF\"", "a string is not valid UTF-8", 1},
      {"\"\xED\xA0\x80\"", "a string is not valid UTF-8", 1},
      {"\"\xF4\x90\x80\x80\"", "a string is not valid UTF-8", 1},
      {"\"\xE2\x82\"", "a string is not valid UTF-8", 1},
      {"{\"\xFF\":1}", "a string is not valid UTF-8", 2},
  };
  for (const Case& c : cases) {
    INFO(c.text);
    const std::optional<JsonFault> fault = scan(c.text);
    REQUIRE(fault);
    CHECK(fault->reason == c.reason);
    CHECK(fault->offset == c.offset);
  }
}

TEST_CASE("S-06: the scan bounds depth, values and length", "[engine][json_scan]") {
  CHECK_FALSE(scan(nested(64)));
  REQUIRE(scan(nested(65)));
  CHECK(scan(nested(65))->reason == "containers are nested more than 64 deep");
  CHECK(scan(nested(65))->offset == 64);
  CHECK(scan(std::string(1'000'000, '['))->offset == 64);
  std::string objects;
  for (int i = 0; i < 65; ++i) objects += "{\"a\":";
  CHECK(scan(objects)->reason == "containers are nested more than 64 deep");

  const JsonLimits five{.max_values = 5};
  CHECK_FALSE(scan_json("[1,{\"a\":2,\"b\":3}]", five));
  CHECK(scan_json("[1,{\"a\":2,\"b\":3},4]", five)->reason == "there are more than 5 values");
  CHECK(scan_json("[[],[],[],[],[]]", five)->offset == 13);

  const JsonLimits ten{.max_bytes = 10};
  CHECK_FALSE(scan_json("\"12345678\"", ten));
  CHECK(scan_json("\"123456789\"", ten)->reason == "the text is longer than 10 bytes");
}

TEST_CASE("S-06: the scan finds keys that an object has twice", "[engine][json_scan]") {
  const std::vector<std::pair<std::string, size_t>> doubled = {
      {R"({"a":1,"a":2})", 7},
      {R"({"a":1,"b":2,"c":{"a":1,"x":[{"y":1,"z":2,"y":3}]}})", 42},
      {R"({"a":1,"\u0061":2})", 7},
      {R"({"\n":1,"\u000a":2})", 8},
      {R"({"\ud83d\ude00":1,"b":0,"😀":2})", 24},
      {R"({"":1,"":2})", 6},
      {R"({"a":{"b":1},"c":[{"d":1}],"a":3})", 27},
  };
  JsonLimits tolerant;
  tolerant.reject_duplicate_keys = false;
  for (const auto& [text, offset] : doubled) {
    INFO(text);
    REQUIRE(scan(text));
    CHECK(scan(text)->reason == "an object has the same key twice");
    CHECK(scan(text)->offset == offset);
    CHECK_FALSE(scan_json(text, tolerant));
  }
  std::string many = "{\"k\":0";
  for (int i = 0; i < 100'000; ++i) many += ",\"" + std::to_string(i) + "\":0";
  CHECK_FALSE(scan(many + "}"));
  CHECK(scan(many + ",\"777\":0}"));
}

TEST_CASE("the scan agrees with the parser behind it", "[engine][json_scan]") {
  const std::string good =
      R"([{"a":[1,-2.5e3,true,null,"x\u00e9\n"],"b":{"c":{}}},0.1,"é😀",[[[]]],false,1e10])";
  const std::string alphabet = "{}[]\",:\\ue0123456789-+.Eabntrfls \n\t\x01\x80\xC3\xF0";
  std::mt19937 random(1);
  JsonLimits limits;
  limits.reject_duplicate_keys = false;
  int n_accepted = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text = good;
    for (size_t k = 1 + random() % 2; k > 0; --k) {
      const size_t at = random() % text.size();
      const char c = alphabet[random() % alphabet.size()];
      switch (random() % 3) {
        case 0:
          text[at] = c;
          break;
        case 1:
          text.insert(at, 1, c);
          break;
        default:
          text.erase(at, 1 + random() % 3);
      }
    }
    const bool accepted = !scan_json(text, limits);
    n_accepted += accepted;
    if (accepted != nlohmann::json::accept(text)) {
      INFO(text);
      // The parser takes integers beyond 64 bits for doubles.
      CHECK(scan_json(text, limits)->reason == "a number is out of range");
    }
  }
  CHECK(n_accepted > 10'000);
  CHECK(n_accepted < 190'000);
}
