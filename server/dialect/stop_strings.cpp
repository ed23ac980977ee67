#include "server/dialect/stop_strings.h"

#include <algorithm>
#include <utility>

#include "kernels/check.h"

namespace lapidary {
namespace {

// failure[i]: length of the longest proper beginning of text[0..i] that is also its end.
std::vector<uint32_t> failure_table(std::string_view text) {
  std::vector<uint32_t> failure(text.size(), 0);
  uint32_t matched = 0;
  for (size_t i = 1; i < text.size(); ++i) {
    while (matched > 0 && text[i] != text[matched]) matched = failure[matched - 1];
    if (text[i] == text[matched]) ++matched;
    failure[i] = matched;
  }
  return failure;
}

}  // namespace

StopMatcher::StopMatcher(const StopOptions& options)
    : include_in_output_(options.include_in_output), min_tokens_(options.min_tokens) {
  for (const std::string& text : options.strings) {
    CHECK(!text.empty());
    patterns_.push_back({.text = text, .failure = failure_table(text)});
  }
}

bool StopMatcher::Pattern::step(char byte) {
  if (matched == text.size()) matched = failure[matched - 1];
  while (matched > 0 && text[matched] != byte) matched = failure[matched - 1];
  if (text[matched] == byte) ++matched;
  return matched == text.size();
}

std::string StopMatcher::push(std::string_view text) {
  if (stopped()) return {};
  ++n_tokens_;
  return scan(text);
}

std::string StopMatcher::finish(std::string_view rest) {
  if (stopped()) return {};
  std::string sent = scan(rest);
  sent += std::exchange(held_, {});
  return sent;
}

std::string StopMatcher::scan(std::string_view text) {
  if (patterns_.empty()) return std::string(text);
  const bool armed = n_tokens_ > min_tokens_;
  for (const char byte : text) {
    held_ += byte;
    const std::optional<size_t> match = match_byte(byte);
    if (!match || !armed) continue;
    found_ = match;
    if (!include_in_output_) held_.resize(held_.size() - patterns_[*match].text.size());
    return std::exchange(held_, {});
  }
  const size_t n_sent = held_.size() - longest_partial();
  std::string sent = held_.substr(0, n_sent);
  held_.erase(0, n_sent);
  return sent;
}

// Of the strings that end at this byte the longest, which begins first: the text before it is the
// shortest.
std::optional<size_t> StopMatcher::match_byte(char byte) {
  std::optional<size_t> best;
  for (size_t i = 0; i < patterns_.size(); ++i) {
    if (!patterns_[i].step(byte)) continue;
    if (!best || patterns_[i].text.size() > patterns_[*best].text.size()) best = i;
  }
  return best;
}

// A whole string that was ignored (min_tokens) need not be held as such: what may still become a
// match is the part of it that begins the string anew.
size_t StopMatcher::longest_partial() const {
  size_t longest = 0;
  for (const Pattern& pattern : patterns_) {
    const size_t matched = pattern.matched == pattern.text.size()
                               ? pattern.failure[pattern.matched - 1]
                               : pattern.matched;
    longest = std::max(longest, matched);
  }
  return longest;
}

}  // namespace lapidary
