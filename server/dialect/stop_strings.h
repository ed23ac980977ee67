// Finds stop strings in a growing text and holds back what may be the beginning of one. One
// matcher per generated sequence, on the HTTP thread that streams it; it sees content only (of a
// chat answer: OutputDelta::content), so stop strings sleep inside a thought. The result does not
// depend on how the text is cut into tokens. Refuses nothing: limits on number and length are the
// validator's. Cost: a few table steps per byte and string.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lapidary {

struct StopOptions {
  std::vector<std::string> strings;  // none empty
  bool include_in_output = false;    // keep the found string at the end of the text
  int64_t min_tokens = 0;            // a string that ends within the first min_tokens is ignored
};

class StopMatcher {
 public:
  explicit StopMatcher(const StopOptions& options);

  // The text of the next token; call it for every token, also where there is no text, so that
  // n_tokens() is right. Returns what may be sent. Once stopped() it takes and returns nothing.
  std::string push(std::string_view text);
  // The end of the output. `rest` is text that no further token brings (OutputParser::finish).
  // Returns it after what was held back; a stop string may still end in it. Nothing if stopped().
  std::string finish(std::string_view rest = {});

  bool stopped() const { return found_.has_value(); }
  // Index into StopOptions::strings of the one found.
  std::optional<size_t> found() const { return found_; }
  // Tokens taken, the one that completed the stop string included: what is billed.
  int64_t n_tokens() const { return n_tokens_; }

 private:
  // One string with its Knuth-Morris-Pratt failure table.
  struct Pattern {
    std::string text;
    std::vector<uint32_t> failure;
    uint32_t matched = 0;  // bytes of `text` that the end of the input matches

    bool step(char byte);  // true when the whole string ends here
  };

  std::string scan(std::string_view text);
  std::optional<size_t> match_byte(char byte);
  size_t longest_partial() const;

  std::vector<Pattern> patterns_;
  bool include_in_output_;
  int64_t min_tokens_;
  std::string held_;  // text not sent yet: ends in the longest partial match
  std::optional<size_t> found_;
  int64_t n_tokens_ = 0;
};

}  // namespace lapidary
