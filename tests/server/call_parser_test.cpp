// Tool calls in outputs: what the model should write, what it writes, and any cut of it.

#include <algorithm>
#include <climits>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "config/utf8.h"
#include "engine/text/tokenizer.h"
#include "server/dialect/call_scalar.h"
#include "server/dialect/output_parser.h"
#include "server/dialect/prompt_renderer.h"
#include "server/dialect/tool_schema.h"
#include "server/dialect/tool_writer.h"
#include "tests/catch.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

const Tokenizer& tokenizer() {
  static const Tokenizer loaded =
      Tokenizer::from_file(LAPIDARY_SOURCE_DIR "/tests/golden/tokenizer_small/tokenizer.json");
  return loaded;
}

const DialectTokens& control() {
  static const DialectTokens tokens = DialectTokens::from(tokenizer());
  return tokens;
}

// f takes anything; typed takes one parameter of each type.
const std::vector<ToolDeclaration>& tools() {
  static const std::vector<ToolDeclaration> declared = [] {
    SchemaBudget budget;
    const Json schema = Json::parse(R"({"type":"object","properties":{
      "s":{"type":"string"}, "i":{"type":"integer"}, "n":{"type":["number","null"]},
      "b":{"type":"boolean"}, "l":{"type":"array","items":{"type":"string"}},
      "o":{"type":"object","properties":{"i":{"type":"integer"}}}}})");
    return std::vector<ToolDeclaration>{
        {.name = "f", .description = "", .parameters = nullptr},
        {.name = "typed", .description = "", .parameters = shown_parameters(schema, budget)}};
  }();
  return declared;
}

struct Output {
  std::string reasoning, content;
  std::vector<std::pair<std::string, std::string>> calls;  // name, arguments

  bool operator==(const Output& other) const {
    return reasoning == other.reasoning && content == other.content && calls == other.calls;
  }
};

bool is_valid_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const int length = read_utf8(text, at).length;
    if (length == 0) return false;
    at += static_cast<size_t>(length);
  }
  return true;
}

void add(const OutputDelta& delta, Output& output) {
  output.reasoning += delta.reasoning;
  output.content += delta.content;
  REQUIRE(is_valid_utf8(delta.content));
  for (const CallDelta& call : delta.calls) {
    const auto index = static_cast<size_t>(call.index);
    if (!call.name.empty()) output.calls.emplace_back(call.name, "");
    REQUIRE(index + 1 == output.calls.size());  // only the last one grows
    REQUIRE(is_valid_utf8(call.arguments));
    output.calls[index].second += call.arguments;
  }
}

struct Setting {
  bool in_thought = false;
  bool was_cut = false;
  int max_calls = INT_MAX;
};

Output parse(const std::vector<int32_t>& ids, const Setting& setting) {
  OutputParser parser(tokenizer(), control(), setting.in_thought,
                      {.tools = &tools(), .max_calls = setting.max_calls});
  Output output;
  for (const int32_t id : ids) add(parser.push(id), output);
  add(parser.finish(setting.was_cut), output);
  REQUIRE(static_cast<size_t>(parser.n_calls()) == output.calls.size());
  return output;
}

Output parse(std::string_view raw, const Setting& setting = {}) {
  return parse(tokenizer().encode_with_control(raw), setting);
}

// The same text in other tokens: cut anew at random between characters, each part encoded alone.
std::vector<int32_t> recut(const std::vector<int32_t>& ids, std::mt19937& random) {
  std::vector<int32_t> cut;
  std::string run;
  const auto end_run = [&] {
    for (size_t at = 0; at < run.size();) {
      size_t end = at + 1 + random() % 4;
      while (end < run.size() && (static_cast<unsigned char>(run[end]) & 0xC0) == 0x80) ++end;
      end = std::min(end, run.size());
      tokenizer().encode(run.substr(at, end - at), cut);
      at = end;
    }
    run.clear();
  };
  for (const int32_t id : ids) {
    if (tokenizer().is_control(id)) {
      end_run();
      cut.push_back(id);
    } else {
      run += tokenizer().token_bytes(id);
    }
  }
  end_run();
  return cut;
}

struct Case {
  std::string raw;
  std::string content;
  std::string calls;  // [["name",{arguments}],...]
  std::string reasoning = {};
  Setting setting = {};
};

// `"` between two `~` stands for the delimiter: ~x~ is <|"|>x<|"|>. [ and ] of the markup: [[ and
// ]].
std::string marked(std::string text) {
  const auto replace = [&](const std::string& from, const std::string& to) {
    for (size_t at = text.find(from); at != std::string::npos;
         at = text.find(from, at + to.size())) {
      text.replace(at, from.size(), to);
    }
  };
  replace("[[", "<|tool_call>");
  replace("]]", "<tool_call|>");
  replace("~", "<|\"|>");
  replace("{think}", "<|channel>thought\n");
  replace("{/think}", "<channel|>");
  return text;
}

const std::vector<Case> kCases = {
    // well formed
    {"[[call:get_time{city:~London~}]]", "", R"([["get_time",{"city":"London"}]])"},
    {"[[call:get_time{city:~London~}]]<|tool_response>", "", R"([["get_time",{"city":"London"}]])"},
    {"[[call:none{}]]", "", R"([["none",{}]])"},
    {"Let me check.[[call:f{a:~x~}]]", "Let me check.", R"([["f",{"a":"x"}]])"},
    {"Let me check.\n\n[[call:f{a:~x~}]]\n", "Let me check.", R"([["f",{"a":"x"}]])"},
    {" \n[[call:f{}]]", "", R"([["f",{}]])"},
    {"[[call:f{a:1}]][[call:g{b:~y~}]]", "", R"([["f",{"a":1}],["g",{"b":"y"}]])"},
    {"[[call:f{a:1}]]\n[[call:g{}]] done", " done", R"([["f",{"a":1}],["g",{}]])"},
    {"[[call:f{a:-7,b:3.14,c:1.5e10,d:true,e:false,g:null,h:1e5,i:-0.5}]]", "",
     R"([["f",{"a":-7,"b":3.14,"c":1.5e10,"d":true,"e":false,"g":null,"h":1e5,"i":-0.5}]])"},
    {"[[call:f{l:[~a~,~b~],e:[],o:{},n:{k:{z:[1,{y:2}]}}}]]", "",
     R"([["f",{"l":["a","b"],"e":[],"o":{},"n":{"k":{"z":[1,{"y":2}]}}}]])"},
    {"[[call:w{code:~if (a) { b(\"x\"); }, c: [1]\n\\n</div><div>~}]]", "",
     R"([["w",{"code":"if (a) { b(\"x\"); }, c: [1]\n\\n</div><div>"}]])"},
    {"[[call:w{c:~ends in }]} ~,d:~ ~}]]", "", R"([["w",{"c":"ends in }]} ","d":" "}]])"},
    {"[[call:my-mod.fn_1{a:1}]]", "", R"([["my-mod.fn_1",{"a":1}]])"},
    {"[[call:f{stra\u00dfe:~\u65e5\u672c \U0001f48e~}]]", "",
     "[[\"f\",{\"stra\u00dfe\":\"\u65e5\u672c \U0001f48e\"}]]"},
    // with thoughts
    {"{think}plan\n{/think}[[call:f{a:1}]]", "", R"([["f",{"a":1}]])", "plan"},
    {"plan\n{/think}[[call:f{a:1}]]", "", R"([["f",{"a":1}]])", "plan", {.in_thought = true}},
    {"{think}plan[[call:f{a:1}]]", "", R"([["f",{"a":1}]])", "plan"},
    {"[[call:f{a:1{think}more{/think}]]", "", R"([["f",{"a":1}]])", "more"},
    {"{think}x{/think}call:f{a:1}", "", R"([["f",{"a":1}]])", "x"},
    // what models get wrong
    {"[[:f{a:1}]]", "", R"([["f",{"a":1}]])"},
    {"[[f{a:1}]]", "", R"([["f",{"a":1}]])"},
    {"[[call: f {a:1}]]", "", R"([["f",{"a":1}]])"},
    {"[[call:f(a:1)]][[call:g{}]]", "", R"([["f",{"a":1}],["g",{}]])"},
    {"[[call:f]]", "", R"([["f",{}]])"},
    {"[[call:f{~key~:~v~, ~k2~: 2}]]", "", R"([["f",{"key":"v","k2":2}]])"},
    {"[[call:f{\"key\":\"v \\\"q\\\"\", 'k2': 'it's', k3:1}]]", "",
     R"([["f",{"key":"v \"q\"","k2":"it's","k3":1}]])"},
    {"[[call:f{\n  a: ~x~,\n  b: [ 1, 2 ],\n}]]", "", R"([["f",{"a":"x","b":[1,2]}]])"},
    {"[[call:f{a:1}]]]]", "", R"([["f",{"a":1}]])"},
    {"[[call:f{a:1}}}]]", "", R"([["f",{"a":1}]])"},
    {"[[call:f{{a:1}}]]", "", R"([["f",{"a":1}]])"},
    {"[[call:f{a:1}call:g{b:2}]]", "", R"([["f",{"a":1}],["g",{"b":2}]])"},
    {"[[call:f{a:1[[call:g{}]]", "", R"([["f",{"a":1}],["g",{}]])"},
    {"[[call:f{a:[1,2}]]", "", R"([["f",{"a":[1,2]}]])"},
    {"[[call:f{a:{b:1]}]]", "", R"([["f",{"a":{"b":"1]"}}]])"},
    {"[[call:f{a:True,b:None,c:nil,d:False}]]", "",
     R"([["f",{"a":true,"b":null,"c":null,"d":false}]])"},
    {"[[call:f{a:London,b:New York, NY,c:10:30,d:007}]]", "",
     R"([["f",{"a":"London","b":"New York, NY","c":"10:30","d":"007"}]])"},
    {"[[call:f{url:http://x.org/a,b:1}]]", "", R"([["f",{"url":"http://x.org/a","b":1}]])"},
    {"[[call:f{a:,b:1,c}]]", "", R"([["f",{"a":null,"b":1,"c":null}]])"},
    {"[[call:f{a:~x~ b:~y~}]]", "", R"([["f",{"a":"x","b":"y"}]])"},
    {"[[call:f{a:x~,~b~:1}]]", "", R"([["f",{"a":"x","b":1}]])"},
    {"[[call:f{a:NaN,b:1e999,c:+1,d:.5,e:1.}]]", "",
     R"([["f",{"a":"NaN","b":"1e999","c":"+1","d":".5","e":"1."}]])"},
    // not ended
    {"[[call:f{a:~x", "", R"([["f",{"a":"x"}]])"},
    {"[[call:f{a:~x}]]", "", R"([["f",{"a":"x"}]])"},
    {"[[call:f{a:[{b:~x}]}]]", "", R"([["f",{"a":[{"b":"x"}]}]])"},
    {"[[call:f{a:'x}]]", "", R"([["f",{"a":"x"}]])"},
    {"[[call:f{a:tr", "", R"([["f",{"a":"tr"}]])"},
    {"[[call:f{a", "", R"([["f",{"a":null}]])"},
    {"[[call:f{a:[1,", "", R"([["f",{"a":[1]}]])"},
    {"[[call:f{a:1}<turn|>", "", R"([["f",{"a":1}]])"},
    {"[[call:f", "", R"([["f",{}]])"},
    // no call
    {"[[I would rather talk.]]", "I would rather talk.", "[]"},
    {"[[{\"name\": 1}]] x", "{\"name\": 1} x", "[]"},
    {"call:unknown{a:1}", "call:unknown{a:1}", "[]"},
    {"call:", "call:", "[]"},
    {"call me, f{a:1}", "call me, f{a:1}", "[]"},
    {"a < b and <div> ok \n", "a < b and <div> ok \n", "[]"},
    {"]]~a~", "a", "[]"},
    // an opener is missing
    {"call:f{a:~x~}", "", R"([["f",{"a":"x"}]])"},
    {"\ncall:f{a:1}\nDone.", "\nDone.", R"([["f",{"a":1}]])"},
    // the declared type decides
    {"[[call:typed{s:12,i:3.0,n:~2.5~,b:~true~}]]", "",
     R"([["typed",{"s":"12","i":3,"n":2.5,"b":true}]])"},
    {"[[call:typed{s:null,i:~5~,n:null,b:~no~}]]", "",
     R"([["typed",{"s":null,"i":5,"n":null,"b":"no"}]])"},
    {"[[call:typed{i:~5.5~,l:[1,~2~,true],o:{i:~7~,x:~8~}}]]", "",
     R"([["typed",{"i":"5.5","l":["1","2","true"],"o":{"i":7,"x":"8"}}]])"},
    {"[[call:typed{s:Meet at 5, note: bring it,i:1}]]", "",
     R"([["typed",{"s":"Meet at 5, note: bring it","i":1}]])"},
    // only so many
    {"[[call:f{a:1}]][[call:g{b:2}]]x", "", R"([["f",{"a":1}]])", "", {.max_calls = 1}},
    {"[[call:f{a:1}call:g{b:2}]]x", "", R"([["f",{"a":1}]])", "", {.max_calls = 1}},
};

void check(const Output& output, const Case& c) {
  CHECK(output.content == c.content);
  CHECK(output.reasoning == c.reasoning);
  Json calls = Json::array();
  for (const auto& [name, arguments] : output.calls) {
    INFO(arguments);
    REQUIRE(Json::accept(arguments));
    calls.push_back({name, Json::parse(arguments)});
  }
  CHECK(calls.dump() == Json::parse(c.calls).dump());
}

}  // namespace

TEST_CASE("finds calls, whatever models do to their syntax", "[server]") {
  for (const Case& c : kCases) {
    INFO(c.raw);
    check(parse(marked(c.raw), c.setting), c);
  }
}

TEST_CASE("calls do not depend on how their text is cut into tokens", "[server]") {
  std::mt19937 random(3);
  for (const Case& c : kCases) {
    INFO(c.raw);
    const std::vector<int32_t> ids = tokenizer().encode_with_control(marked(c.raw));
    const Output whole = parse(ids, c.setting);
    for (int round = 0; round < 40; ++round) {
      REQUIRE(parse(recut(ids, random), c.setting) == whole);
    }
  }
}

TEST_CASE("arguments of an answer cut by its limit are a beginning of the whole", "[server]") {
  for (const Case& c : kCases) {
    if (c.setting.max_calls == 1) continue;
    INFO(c.raw);
    const std::vector<int32_t> ids = tokenizer().encode_with_control(marked(c.raw));
    const Output whole = parse(ids, c.setting);
    for (size_t n = 0; n <= ids.size(); ++n) {
      Setting setting = c.setting;
      setting.was_cut = true;
      const Output cut =
          parse(std::vector<int32_t>(ids.begin(), ids.begin() + static_cast<long>(n)), setting);
      REQUIRE(cut.calls.size() <= whole.calls.size());
      for (size_t i = 0; i < cut.calls.size(); ++i) {
        REQUIRE(cut.calls[i].first == whole.calls[i].first);
        REQUIRE(whole.calls[i].second.starts_with(cut.calls[i].second));
      }
    }
  }
}

TEST_CASE("number text is kept as it was written", "[server]") {
  CHECK(parse(marked("[[call:f{a:1.50,b:1E5,c:-0,d:12345678901234567890123}]]")).calls[0].second ==
        R"({"a":1.50,"b":1E5,"c":-0,"d":12345678901234567890123})");
}

namespace {

const std::vector<std::string> kTexts = {
    "",     "x",    "Tokyo, JP", "a \"q\" 'r'",          "{}[]", "}",       " } ",
    "\n\t", "null", "12",        "caf\u00e9 \U0001f48e", "\\n",  "call:f{", "\u2028"};

Json random_value(std::mt19937& random, int depth) {
  switch (random() % (depth > 2 ? 5 : 7)) {
    case 0:
      return kTexts[random() % kTexts.size()];
    case 1:
      return static_cast<int64_t>(random()) - (1 << 30);
    case 2:
      return (static_cast<double>(random()) - 2e9) *
             std::pow(10.0, static_cast<double>(random() % 60) - 30);
    case 3:
      return random() % 2 == 0;
    case 4:
      return nullptr;
    case 5: {
      Json list = Json::array();
      for (auto n = random() % 4; n > 0; --n) list.push_back(random_value(random, depth + 1));
      return list;
    }
    default: {
      Json object = Json::object();
      const char* keys[] = {"a", "b_c", "D", "x-y", "\u00e9t\u00e9", "two words", "0"};
      for (auto n = random() % 4; n > 0; --n) {
        object[keys[random() % 7]] = random_value(random, depth + 1);
      }
      return object;
    }
  }
}

}  // namespace

TEST_CASE("a call that the template writes comes back as it was", "[server]") {
  std::mt19937 random(5);
  for (int round = 0; round < 5000; ++round) {
    Json arguments = random_value(random, 0);
    if (!arguments.is_object()) arguments = {{"v", arguments}};
    PromptWriter writer;
    write_call({.id = "", .name = "f", .arguments = arguments}, writer);
    const RenderedPrompt prompt{writer.take(), false};
    const Output output = parse(recut(encode_prompt(prompt, tokenizer()), random), {});
    REQUIRE(output.calls.size() == 1);
    INFO(output.calls[0].second);
    REQUIRE(Json::parse(output.calls[0].second) == arguments);
    REQUIRE(output.content.empty());
  }
}

TEST_CASE("random outputs: whole arguments, no markup, the same for every cut", "[server]") {
  const std::vector<std::string> pieces = {"[[",
                                           "]]",
                                           "~",
                                           "call:",
                                           "f",
                                           "typed",
                                           "call:f{",
                                           "call:typed{s:",
                                           "{",
                                           "}",
                                           "[",
                                           "]",
                                           ",",
                                           ":",
                                           "a:1",
                                           "i:",
                                           "(",
                                           ")",
                                           "'",
                                           "\"",
                                           "\\",
                                           "x y",
                                           "\n",
                                           " ",
                                           "true",
                                           "-0.5",
                                           "{think}",
                                           "{/think}",
                                           "\U0001f48e",
                                           "<turn|>",
                                           "<|tool_response>",
                                           "<|think|>",
                                           "thought\n",
                                           "b:~v~",
                                           ",c:[1,"};
  std::mt19937 random(11);
  for (int round = 0; round < 10'000; ++round) {
    std::string raw;
    for (auto n = random() % 25; n > 0; --n) raw += pieces[random() % pieces.size()];
    INFO(raw);
    const std::vector<int32_t> ids = tokenizer().encode_with_control(marked(raw));
    const Setting setting{.in_thought = random() % 4 == 0,
                          .was_cut = false,
                          .max_calls = random() % 4 == 0 ? 1 : INT_MAX};
    const Output whole = parse(ids, setting);
    const Output again = parse(recut(ids, random), setting);
    REQUIRE(again.reasoning == whole.reasoning);
    REQUIRE(again.content == whole.content);
    REQUIRE(again.calls == whole.calls);
    for (const auto& [name, arguments] : whole.calls) {
      INFO(arguments);
      REQUIRE(!name.empty());
      REQUIRE(Json::accept(arguments));
      REQUIRE(Json::parse(arguments).is_object());
    }
  }
}

TEST_CASE("arguments nested without end stay readable", "[server]") {
  std::string deep = "[[call:f{a:";
  for (int i = 0; i < 5000; ++i) deep += "[{b:";
  const Output output = parse(marked(deep));
  REQUIRE(output.calls.size() == 1);
  CHECK(Json::accept(output.calls[0].second));
}

}  // namespace lapidary
