// Puts the graphs of small rules that do not recur in the place of their calls: what is one rule
// needs no frames, and its masks depend less on what is around it. Changes no language. Used by the
// thread that compiles.
#pragma once

#include "engine/grammar/rule_graph.h"

namespace lapidary {

void inline_small_rules(GrammarSource& source);

}  // namespace lapidary
