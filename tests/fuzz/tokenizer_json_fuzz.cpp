// Any tokenizer.json: refused in words, or a tokenizer that loses no byte of a text and makes no
// control token of it.
// Input: the first byte chooses between a whole file (even) and lines that go into a file which is
// good otherwise (odd): entries of the vocabulary, of the merges, of the added tokens.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "config/startup_error.h"
#include "engine/text/tokenizer.h"
#include "kernels/check.h"

namespace {

using lapidary::StartupError;
using lapidary::Tokenizer;

std::string next_line(std::string_view& rest) {
  const size_t end = std::min(rest.find('\n'), rest.size());
  const std::string line(rest.substr(0, end));
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return line;
}

std::string file_with(std::string_view lines) {
  std::string vocab;
  for (int byte = 0; byte < 256; ++byte) {
    char entry[24];
    std::snprintf(entry, sizeof(entry), "\"<0x%02X>\":%d,", byte, byte);
    vocab += entry;
  }
  const std::string entries = next_line(lines), merges = next_line(lines), added = next_line(lines);
  return R"({"added_tokens":[{"id":256,"content":"<bos>"})" + added +
         R"(],"normalizer":{"type":"Replace","pattern":{"String":" "},"content":"▁"},)"
         R"("decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},)"
         R"("content":" "},{"type":"ByteFallback"},{"type":"Fuse"}]},)"
         R"("model":{"type":"BPE","byte_fallback":true,"vocab":{)" +
         vocab + R"("<bos>":256,"a":257,"b":258,"▁":259)" + entries + R"(},"merges":[)" + merges +
         "]}}";
}

void check(const Tokenizer& tokenizer, std::string_view text) {
  std::string bytes;
  for (const int32_t id : tokenizer.encode(text)) {
    CHECK(!tokenizer.is_control(id));
    bytes += tokenizer.token_bytes(id);
  }
  CHECK(bytes == text);
  tokenizer.encode_with_control(text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    const Tokenizer tokenizer =
        Tokenizer::from_json(data[0] % 2 == 0 ? std::string(rest) : file_with(rest), "input");
    check(tokenizer, "a ba  abab aab<bos> a\n\xF0\x9F\xFF b");
  } catch (const StartupError& error) {
    CHECK(std::string_view(error.what()).substr(0, 7) == "input: ");
  }
  return 0;
}
