// Any ids, in any order: the parser's deltas are valid UTF-8, their sum is what the oracle says
// of the whole. With tools: the calls' arguments are one JSON object each, never a control token's
// text, and a beginning of it where the output is cut.
// Input: first byte bit 0 = starts in a thought, bit 1 = tools, bit 2 = one call at most, bit 3 =
// cut by its limit; then two bytes an id; small ids are control tokens and words that thoughts are
// made of, so that random bytes reach every state.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/utf8.h"
#include "engine/text/tokenizer.h"
#include "kernels/check.h"
#include "server/dialect/dialect_tokens.h"
#include "server/dialect/output_parser.h"
#include "tests/reference/output_split.h"

namespace {

using lapidary::DialectTokens;
using lapidary::OutputDelta;
using lapidary::OutputParser;
using lapidary::Tokenizer;

const Tokenizer& tokenizer() {
  static const Tokenizer loaded =
      Tokenizer::from_file(LAPIDARY_SOURCE_DIR "/tests/golden/tokenizer_small/tokenizer.json");
  return loaded;
}

const std::vector<int32_t>& frequent_ids() {
  static const std::vector<int32_t> ids = tokenizer().encode_with_control(
      "<|channel><channel|><|tool_call><tool_call|><|\"|><turn|><|think|>thought\n\xF0\x9F\x92\x8E "
      "a\n\u3000thou<|tool_call><|\"|>call:f{a:1,b:[true]}('\\\")");
  return ids;
}

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const int length = lapidary::read_utf8(text, 0).length;
    if (length == 0) return false;
    text.remove_prefix(static_cast<size_t>(length));
  }
  return true;
}

const std::vector<lapidary::ToolDeclaration>& tools() {
  static const std::vector<lapidary::ToolDeclaration> declared = {
      {.name = "f",
       .description = "",
       .parameters = nlohmann::json::parse(
           R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}}})")}};
  return declared;
}

void parse_with_tools(const std::vector<int32_t>& ids, uint8_t flags) {
  const DialectTokens control = DialectTokens::from(tokenizer());
  const bool was_cut = (flags & 8) != 0;
  OutputParser parser(tokenizer(), control, (flags & 1) != 0,
                      {.tools = &tools(), .max_calls = (flags & 4) != 0 ? 1 : 1'000'000});
  std::vector<std::string> arguments;
  for (size_t i = 0; i <= ids.size(); ++i) {
    const OutputDelta delta = i < ids.size() ? parser.push(ids[i]) : parser.finish(was_cut);
    CHECK(is_valid_utf8(delta.reasoning) && is_valid_utf8(delta.content));
    for (const lapidary::CallDelta& call : delta.calls) {
      if (!call.name.empty()) arguments.emplace_back();
      CHECK(static_cast<size_t>(call.index) + 1 == arguments.size());
      CHECK(is_valid_utf8(call.arguments));
      arguments.back() += call.arguments;
    }
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (was_cut && i + 1 == arguments.size()) continue;
    CHECK(nlohmann::json::accept(arguments[i]) && arguments[i].front() == '{');
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::vector<int32_t> ids;
  for (size_t i = 1; i + 1 < size; i += 2) {
    const size_t value = data[i] | static_cast<size_t>(data[i + 1]) << 8;
    ids.push_back(value % 2 == 0 ? frequent_ids()[value / 2 % frequent_ids().size()]
                                 : static_cast<int32_t>(value / 2));
  }
  if ((data[0] & 2) != 0) {
    parse_with_tools(ids, data[0]);
    return 0;
  }
  const bool starts_in_thought = (data[0] & 1) != 0;
  const DialectTokens control = DialectTokens::from(tokenizer());
  OutputParser parser(tokenizer(), control, starts_in_thought);
  OutputDelta whole;
  for (size_t i = 0; i <= ids.size(); ++i) {
    const OutputDelta delta = i < ids.size() ? parser.push(ids[i]) : parser.finish();
    CHECK(is_valid_utf8(delta.reasoning) && is_valid_utf8(delta.content));
    whole.reasoning += delta.reasoning;
    whole.content += delta.content;
  }
  const auto split = lapidary::reference::split_output(tokenizer(), ids, starts_in_thought);
  CHECK(whole.reasoning == split.reasoning);
  CHECK(whole.content == split.content);
  return 0;
}
