// Regular expressions to automata: the subset of ECMAScript's that describes a regular set of
// strings. Literals, `.`, classes, \d \w \s and their opposites, \t \n \v \f \r \0 \cX \xHH \uHHHH
// \u{H..}, groups (also named and non-capturing), `|`, `* + ? {m} {m,} {m,n}` and their lazy forms,
// `^` and `$` at any place. Any thread; time and memory are bounded whatever the pattern.
// Refuses by name, with GrammarRefused: lookaround, back references, \b, \B, \p, possessive and
// atomic forms, inline flags, and what is beyond GrammarLimits.
#pragma once

#include <string_view>

#include "engine/grammar/text_automaton.h"

namespace lapidary {

enum class RegexUse {
  kWhole,   // the whole string matches
  kSearch,  // some part of it does, as JSON Schema's `pattern` means it
};

TextAutomaton read_regex(std::string_view pattern, RegexUse use);

}  // namespace lapidary
