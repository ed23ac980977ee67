// Why a grammar, schema, regular expression or pattern was not compiled: one sentence that names
// what is not supported or which limit it passes. Thrown while compiling only, by whatever thread
// compiles; caught by the room that turns it into an answer. Never thrown by a matcher.
#pragma once

#include <stdexcept>

namespace lapidary {

class GrammarRefused : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What one grammar may take; every reader and builder refuses what goes beyond.
struct GrammarLimits {
  static constexpr size_t kMaxRules = 20000;
  static constexpr size_t kMaxStates = 120000;       // of all rules together, before and after they
  static constexpr size_t kMaxEdges = 1000000;       // are made deterministic
  static constexpr size_t kMaxSubsetWork = 4000000;  // states looked at while doing so
  static constexpr int kMaxNesting = 64;   // of brackets in a pattern, of schemas in a schema
  static constexpr int kMaxRepeat = 1000;  // m and n of {m,n}
  static constexpr size_t kMaxTextBytes = 65536;  // of a pattern or an EBNF grammar
};

}  // namespace lapidary
