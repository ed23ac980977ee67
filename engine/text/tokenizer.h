// Text to token ids and back, for tokenizer.json files of Gemma's form: byte-pair merges over the
// whole text (no pre-splitting), a space written as U+2581, bytes as <0xHH> for what the vocabulary
// lacks. Immutable once loaded: every const member may be called from any number of threads.
// Refuses, with StartupError, files of any other form; never refuses a text: invalid UTF-8 becomes
// byte tokens, one a byte. Encoding is O(n log n) in the length of the text, whatever it holds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lapidary {

class EncodeScratchPool;
struct TokenizerParts;

class Tokenizer {
 public:
  // Throws StartupError, naming the file and what is wrong with it.
  static Tokenizer from_file(const std::filesystem::path& path);
  // The same from the file's content; `name` stands for the file in error messages.
  static Tokenizer from_json(std::string_view json, const std::string& name);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Text only: no result ever holds a control id, whatever the text spells. A prompt is made of
  // runs of text between control ids; each run must be encoded by one call, since text that is
  // cut elsewhere can give other ids than the model was trained on.
  std::vector<int32_t> encode(std::string_view text) const;
  // The same, appended to `ids`.
  void encode(std::string_view text, std::vector<int32_t>& ids) const;
  // The official library's behaviour: control tokens spelled in the text become their ids, the
  // longest at each place. For trusted text only.
  std::vector<int32_t> encode_with_control(std::string_view text) const;

  // The concatenated token_bytes with invalid UTF-8 replaced, as IncrementalDecoder does it.
  std::string decode(std::span<const int32_t> ids, bool skip_control) const;

  // Ids run from 0 to vocab_size() - 1. A model may have more rows than that (padding): the
  // members below take any id and answer "nothing" for one that is outside.
  int32_t vocab_size() const;
  // Control tokens: the file's added tokens, e.g. "<|turn>". No text encodes to them.
  std::optional<int32_t> control_id(std::string_view text) const;
  bool is_control(int32_t id) const;
  // The entry as the file spells it: "\u2581Hello", "<0x0A>", "<bos>".
  std::string_view token_text(int32_t id) const;
  // What the token stands for in a text: " Hello", "\n", "<bos>". May be part of a code point.
  std::string_view token_bytes(int32_t id) const;
  // The id of an ordinary or control entry by its spelling in the file.
  std::optional<int32_t> token_id(std::string_view token_text) const;

 private:
  explicit Tokenizer(std::unique_ptr<const TokenizerParts> parts);

  std::unique_ptr<const TokenizerParts> parts_;
  std::unique_ptr<EncodeScratchPool> scratch_;  // has its own lock
};

}  // namespace lapidary
