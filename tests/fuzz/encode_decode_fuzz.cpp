// Any bytes as text: the ids are those of merging pair by pair, no byte is lost, no control token
// comes up, and decoding a token at a time gives what decoding at once gives.
// Input: the first byte chooses the tokenizer and how often the text is repeated.

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/decoder.h"
#include "engine/text/tokenizer.h"
#include "engine/text/tokenizer_json.h"
#include "kernels/check.h"
#include "tests/reference/byte_pair.h"

namespace {

using lapidary::IncrementalDecoder;
using lapidary::Tokenizer;
using lapidary::TokenizerParts;

struct Subject {
  explicit Subject(const std::string& path)
      : tokenizer(Tokenizer::from_file(path)), parts(read(path)) {}

  static TokenizerParts read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(file), {}};
    return lapidary::read_tokenizer_json(content, path);
  }

  Tokenizer tokenizer;
  TokenizerParts parts;
};

const std::vector<Subject>& subjects() {
  static const std::vector<Subject> all = [] {
    const std::string golden = LAPIDARY_SOURCE_DIR "/tests/golden/";
    std::vector<Subject> loaded;
    loaded.emplace_back(golden + "tokenizer_small/tokenizer.json");
    loaded.emplace_back(golden + "tokenizer/unsplit.tokenizer.json");
    return loaded;
  }();
  return all;
}

void check_text(const Subject& subject, std::string_view text) {
  const Tokenizer& tokenizer = subject.tokenizer;
  const std::vector<int32_t> ids = tokenizer.encode(text);
  CHECK(ids ==
        lapidary::reference::byte_pair_ids(subject.parts.vocabulary, subject.parts.merges, text));
  IncrementalDecoder decoder(tokenizer, false);
  std::string bytes, streamed;
  for (const int32_t id : ids) {
    CHECK(!tokenizer.is_control(id));
    bytes += tokenizer.token_bytes(id);
    streamed += decoder.push(id);
  }
  streamed += decoder.finish();
  CHECK(streamed == tokenizer.decode(ids, false));
  std::string spaced;
  for (size_t at = 0; at < text.size();) {
    const bool is_mark = text.substr(at, 3) == lapidary::kWordMarkUtf8;
    spaced.push_back(is_mark ? ' ' : text[at]);
    at += is_mark ? 3 : 1;
  }
  CHECK(bytes == spaced);
  // With control tokens read from it the text is still the same text.
  CHECK(tokenizer.decode(tokenizer.encode_with_control(text), false) == streamed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > 2000) return 0;
  const std::string_view part(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string text;
  for (int i = 0; i <= data[0] / 2 % 4; ++i) text += part;
  check_text(subjects()[data[0] % 2], text);
  return 0;
}
