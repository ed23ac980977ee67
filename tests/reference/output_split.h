// The oracle of the output parser: splits a whole output at once, on strings, with none of the
// parser's incremental state. Slow and obvious; used by its test and its fuzz target.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/tokenizer.h"

namespace lapidary::reference {

struct SplitOutput {
  std::string reasoning;
  std::string content;
};

// A run of text, behind the control token (its name; empty at the start) that stands before it.
struct Segment {
  std::string tag;
  std::string text;
};

inline std::vector<Segment> segments_of(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  std::vector<Segment> segments(1);
  std::vector<int32_t> run;
  for (const int32_t id : ids) {
    if (!tokenizer.is_control(id)) {
      run.push_back(id);
      continue;
    }
    segments.back().text = tokenizer.decode(run, true);
    run.clear();
    segments.push_back({.tag = std::string(tokenizer.token_text(id)), .text = {}});
  }
  segments.back().text = tokenizer.decode(run, true);
  return segments;
}

// Python's white space by its spelling, so that the parser's own table does not check itself.
inline std::string right_trimmed(std::string text) {
  static const std::vector<std::string> kSpaces = {
      "\t",     "\n",     "\v",     "\f",     "\r",     "\x1c",   "\x1d",   "\x1e",
      "\x1f",   " ",      "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002",
      "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
      "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};
  for (bool again = true; again;) {
    again = false;
    for (const std::string& space : kSpaces) {
      if (!text.ends_with(space)) continue;
      text.resize(text.size() - space.size());
      again = true;
    }
  }
  return text;
}

// The text behind one opener: a new thought if it has the label, nothing while it is only a part
// of the label, otherwise more of the thought that is open.
inline void add_labelled(const std::string& text, std::vector<std::string>& thoughts) {
  constexpr std::string_view kLabel = "thought\n";
  if (text.starts_with(kLabel)) {
    thoughts.push_back(text.substr(kLabel.size()));
  } else if (!kLabel.starts_with(text)) {
    thoughts.back() += text;
  }
}

inline SplitOutput split_output(const Tokenizer& tokenizer, std::span<const int32_t> ids,
                                bool starts_in_thought) {
  SplitOutput split;
  std::vector<std::string> thoughts(1);
  std::string behind_opener;
  bool in_thought = starts_in_thought;
  bool has_opener = false;
  const auto end_opener = [&] {
    if (has_opener) add_labelled(behind_opener, thoughts);
    behind_opener.clear();
    has_opener = false;
  };
  for (const Segment& segment : segments_of(tokenizer, ids)) {
    if (segment.tag == "<|channel>") {
      end_opener();
      if (!in_thought) thoughts.emplace_back();
      in_thought = has_opener = true;
    } else if (in_thought && (segment.tag == "<channel|>" || segment.tag == "<|tool_call>")) {
      end_opener();
      in_thought = false;
    }
    (has_opener ? behind_opener : in_thought ? thoughts.back() : split.content) += segment.text;
  }
  end_opener();
  for (const std::string& thought : thoughts) {
    const std::string text = right_trimmed(thought);
    if (text.empty()) continue;
    if (!split.reasoning.empty()) split.reasoning += '\n';
    split.reasoning += text;
  }
  return split;
}

}  // namespace lapidary::reference
