// Grammars in the GBNF dialect of EBNF: `name ::= ...`, "text", [classes], `.`, ( ), `|`,
// `* + ? {m} {m,} {m,n}`, # comments, and control tokens as <[id]> or by their spelling, <name>.
// The rule `root` is what an answer matches. Any thread.
// Refuses, with GrammarRefused and the line: rules that are missing or given twice, tokens by
// negation, left recursion (by build_automaton), and what is beyond GrammarLimits.
#pragma once

#include <string_view>

#include "engine/grammar/rule_graph.h"

namespace lapidary {

class GrammarVocabulary;

GrammarSource read_ebnf(std::string_view text, const GrammarVocabulary& vocabulary);

}  // namespace lapidary
