#include "server/dialect/output_parser.h"

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "config/utf8.h"
#include "engine/text/tokenizer.h"
#include "server/dialect/dialect_tokens.h"
#include "tests/catch.h"
#include "tests/reference/output_split.h"

namespace lapidary {
namespace {

const Tokenizer& small_tokenizer() {
  static const Tokenizer tokenizer =
      Tokenizer::from_file(LAPIDARY_SOURCE_DIR "/tests/golden/tokenizer_small/tokenizer.json");
  return tokenizer;
}

OutputDelta parse(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                  bool starts_in_thought = false) {
  const DialectTokens control = DialectTokens::from(tokenizer);
  OutputParser parser(tokenizer, control, starts_in_thought);
  OutputDelta whole;
  const auto add = [&whole](const OutputDelta& delta) {
    whole.reasoning += delta.reasoning;
    whole.content += delta.content;
  };
  for (const int32_t id : ids) add(parser.push(id));
  add(parser.finish());
  return whole;
}

OutputDelta parse(std::string_view raw, bool starts_in_thought = false) {
  return parse(small_tokenizer(), small_tokenizer().encode_with_control(raw), starts_in_thought);
}

struct Case {
  std::string raw;
  std::string reasoning;
  std::string content;
  bool starts_in_thought = false;
};

const std::vector<Case> kCases = {
    // no thought
    {"", "", ""},
    {"A ruby is red.", "", "A ruby is red."},
    {" lead and trail \n", "", " lead and trail \n"},
    {"1 < 2 && <b>bold</b> <|x|>", "", "1 < 2 && <b>bold</b> <|x|>"},
    {"caf\u00e9 \U0001f48e \u65e5\u672c", "", "caf\u00e9 \U0001f48e \u65e5\u672c"},
    {"thought\nis a word", "", "thought\nis a word"},
    // a thought, well formed
    {"<|channel>thought\nadd them\n<channel|>4", "add them", "4"},
    {"<|channel>thought\na\n\nb  c\n<channel|>\nd", "a\n\nb  c", "\nd"},
    {"<|channel>thought\n \U0001f914 \u3000\n<channel|>x", " \U0001f914", "x"},
    {"<|channel>thought\n<channel|>x", "", "x"},
    {"<|channel>thought\n \n\t<channel|>x", "", "x"},
    // an open thought at the start
    {"go on\n<channel|>x", "go on", "x", true},
    {"never closed \n", "never closed", "", true},
    {"<channel|>x", "", "x", true},
    {"thought\n<channel|>x", "thought", "x", true},
    // cut short
    {"<|channel>", "", ""},
    {"<|channel>thou", "", ""},
    {"<|channel>thought\nhalf a tho", "half a tho", ""},
    // the label is missing, cut or another
    {"<|channel>thought<channel|>x", "", "x"},
    {"<|channel><channel|>x", "", "x"},
    {"<|channel>thoughtful<channel|>x", "thoughtful", "x"},
    {"<|channel>final\nwords<channel|>x", "final\nwords", "x"},
    {"<|channel>\n<channel|>x", "", "x"},
    // stray and doubled tags
    {"a<channel|>b", "", "ab"},
    {"<channel|><channel|>b<channel|>", "", "b"},
    {"<|channel>thought<|channel>thought\nx<channel|>b", "x", "b"},
    {"<|channel>thought\n<|channel>thought\nx<channel|>b", "x", "b"},
    {"<|channel>thought\nx<|channel>y<channel|>b", "xy", "b"},
    {"<|channel>thought\nx <|channel>thought\ny<channel|>b", "x\ny", "b"},
    {"<|channel>thought\nx<|think|>y<channel|>b", "xy", "b"},
    // several thoughts
    {"<|channel>thought\nx\n<channel|>a<|channel>thought\ny\n<channel|>b", "x\ny", "ab"},
    {"<|channel>thought\n<channel|>a<|channel>thought\ny<channel|>b", "y", "ab"},
    {"<|channel>thought\nx<channel|>a<|channel>thought\n<channel|>", "x", "a"},
    // other control tokens say nothing
    {"a<turn|>", "", "a"},
    {"<bos>a<pad><|turn>b<|image|><eos>", "", "ab"},
    {"<|channel>thought\nx<turn|>", "x", ""},
    // a call nobody asked for: text without its markup
    {"<|tool_call>call:f{a:<|\"|>x<|\"|>}<tool_call|><|tool_response>", "", "call:f{a:x}"},
    {"<|channel>thought\nx\n<|tool_call>call:f{}<tool_call|>", "x", "call:f{}"},
    {"<|channel>thou<|tool_call>call:f{}<tool_call|>", "", "call:f{}"},
};

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const int length = read_utf8(text, 0).length;
    if (length == 0) return false;
    text.remove_prefix(static_cast<size_t>(length));
  }
  return true;
}

TEST_CASE("splits outputs into reasoning and content", "[server]") {
  for (const Case& c : kCases) {
    INFO(c.raw);
    const OutputDelta whole = parse(c.raw, c.starts_in_thought);
    CHECK(whole.reasoning == c.reasoning);
    CHECK(whole.content == c.content);
  }
}

TEST_CASE("the cases hold for the oracle as well", "[server]") {
  for (const Case& c : kCases) {
    INFO(c.raw);
    const auto split = reference::split_output(
        small_tokenizer(), small_tokenizer().encode_with_control(c.raw), c.starts_in_thought);
    CHECK(split.reasoning == c.reasoning);
    CHECK(split.content == c.content);
  }
}

TEST_CASE("random outputs split as the oracle says, delta by delta valid UTF-8", "[server]") {
  const Tokenizer& tokenizer = small_tokenizer();
  const DialectTokens control = DialectTokens::from(tokenizer);
  const std::vector<std::string> pieces = {
      "<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|\"|>",    "<turn|>",
      "thought",    "\n",         "thought\n",    "th",           "a",         " ",
      "\u3000",     "\u00e9",     "\U0001f48e",   "x y",          "<|channel>"};
  std::mt19937 random(7);
  std::uniform_int_distribution<int32_t> any_id(0, tokenizer.vocab_size() - 1);
  for (int round = 0; round < 5000; ++round) {
    std::vector<int32_t> ids;
    for (auto n = random() % 24; n > 0; --n) {
      if (random() % 5 == 0) {
        ids.push_back(any_id(random));
      } else {
        const auto more = tokenizer.encode_with_control(pieces[random() % pieces.size()]);
        ids.insert(ids.end(), more.begin(), more.end());
      }
    }
    const bool starts_in_thought = random() % 3 == 0;
    const auto split = reference::split_output(tokenizer, ids, starts_in_thought);
    OutputParser parser(tokenizer, control, starts_in_thought);
    OutputDelta whole;
    for (size_t i = 0; i <= ids.size(); ++i) {
      const OutputDelta delta = i < ids.size() ? parser.push(ids[i]) : parser.finish();
      REQUIRE(is_valid_utf8(delta.reasoning));
      REQUIRE(is_valid_utf8(delta.content));
      whole.reasoning += delta.reasoning;
      whole.content += delta.content;
    }
    REQUIRE(whole.reasoning == split.reasoning);
    REQUIRE(whole.content == split.content);
  }
}

TEST_CASE("every control token of the vocabulary is silent in either state", "[server]") {
  const Tokenizer& tokenizer = small_tokenizer();
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    if (!tokenizer.is_control(id)) continue;
    for (const bool starts_in_thought : {false, true}) {
      const OutputDelta whole = parse(tokenizer, {id, id}, starts_in_thought);
      CHECK(whole.reasoning.empty());
      CHECK(whole.content.empty());
    }
  }
}

TEST_CASE("an id outside the vocabulary adds nothing", "[server]") {
  const OutputDelta whole = parse(small_tokenizer(), {-1, small_tokenizer().vocab_size(), 1 << 30});
  CHECK(whole.content.empty());
}

TEST_CASE("text goes out with the token that completes it", "[server]") {
  const Tokenizer& tokenizer = small_tokenizer();
  const DialectTokens control = DialectTokens::from(tokenizer);
  OutputParser parser(tokenizer, control, false);
  std::string content;
  for (const int32_t id : tokenizer.encode("Hello there")) content += parser.push(id).content;
  CHECK(content == "Hello there");
  CHECK(parser.finish().content.empty());
}

TEST_CASE("a character cut by a tag is replaced on its own side", "[server]") {
  const Tokenizer& tokenizer = small_tokenizer();
  const int32_t lead = tokenizer.token_id("<0xF0>").value();
  const int32_t next = tokenizer.token_id("<0x9F>").value();
  const int32_t open = tokenizer.control_id("<|channel>").value();
  const int32_t close = tokenizer.control_id("<channel|>").value();
  const OutputDelta whole = parse(tokenizer, {lead, close, next}, true);
  CHECK(whole.reasoning == "\ufffd");
  CHECK(whole.content == "\ufffd");
  CHECK(parse(tokenizer, {lead, next, open, next, close}).content == "\ufffd");
}

TEST_CASE("knows whether it is in a thought and how many tokens that took", "[server]") {
  const Tokenizer& tokenizer = small_tokenizer();
  const DialectTokens control = DialectTokens::from(tokenizer);
  OutputParser parser(tokenizer, control, false);
  const auto push_all = [&](std::string_view raw) {
    const std::vector<int32_t> ids = tokenizer.encode_with_control(raw);
    for (const int32_t id : ids) parser.push(id);
    return static_cast<int64_t>(ids.size());
  };
  push_all("before");
  CHECK_FALSE(parser.in_thought());
  CHECK(parser.reasoning_tokens() == 0);
  const int64_t n_open = push_all("<|channel>thought\nwhy");
  CHECK(parser.in_thought());
  CHECK(parser.reasoning_tokens() == n_open);
  push_all("<channel|>");
  CHECK_FALSE(parser.in_thought());
  push_all("after<channel|><turn|>");
  CHECK(parser.reasoning_tokens() == n_open + 1);
}

// Run by name over published cases: LAPIDARY_PARSE_VECTORS=FILE, a list of {"raw", "start_state",
// "content", "reasoning", "tool_calls"}. Of a case with calls, what is outside of them counts.
TEST_CASE("published parse vectors", "[.][vectors]") {
  const char* path = std::getenv("LAPIDARY_PARSE_VECTORS");
  REQUIRE(path != nullptr);
  std::ifstream file(path);
  for (const nlohmann::json& vector : nlohmann::json::parse(file)) {
    const std::string raw = vector.at("raw");
    INFO(raw);
    OutputDelta whole = parse(raw, vector.at("start_state") == "reasoning");
    const auto text = [&vector](const char* key) {
      return vector.at(key).is_null() ? std::string() : vector.at(key).get<std::string>();
    };
    CHECK(whole.reasoning == text("reasoning"));
    if (!vector.at("tool_calls").empty()) {
      CHECK(whole.content.starts_with(text("content")));
      CHECK(whole.content.find("<|") == std::string::npos);
      CHECK(whole.content.find("|>") == std::string::npos);
    } else {
      CHECK(whole.content == text("content"));
    }
  }
}

}  // namespace
}  // namespace lapidary
