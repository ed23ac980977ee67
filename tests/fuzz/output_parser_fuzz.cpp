// Any ids, in any order: the parser's deltas are valid UTF-8, their sum is what the oracle says
// of the whole.
// Input: first byte bit 0 = starts in a thought, then two bytes an id; small ids are control
// tokens and words that thoughts are made of, so that random bytes reach every state.

#include <cstddef>
#include <cstdint>
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
      "a\n\u3000thou");
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::vector<int32_t> ids;
  for (size_t i = 1; i + 1 < size; i += 2) {
    const size_t value = data[i] | static_cast<size_t>(data[i + 1]) << 8;
    ids.push_back(value % 2 == 0 ? frequent_ids()[value / 2 % frequent_ids().size()]
                                 : static_cast<int32_t>(value / 2));
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
