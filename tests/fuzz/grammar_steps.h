// What the fuzz targets of grammars have in common: a vocabulary, and a walk that compares masks
// with acceptance.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "engine/grammar/matcher.h"
#include "kernels/check.h"
#include "server/schema/grammar_compiler.h"

namespace lapidary {

inline const GrammarVocabulary& fuzz_vocabulary() {
  static const GrammarVocabulary made = [] {
    std::vector<GrammarVocabulary::Entry> entries;
    for (int c = 0; c < 256; ++c) entries.push_back({std::string(1, static_cast<char>(c)), false});
    for (const char* text : {"\":", "\",\"", "ab", "{\"", "true", "12", "}}", "  "}) {
      entries.push_back({text, false});
    }
    for (const char* text : {"<|tool_call>", "<tool_call|>", "<|\"|>", "<turn|>"}) {
      entries.push_back({text, true});
    }
    return GrammarVocabulary(entries, {static_cast<int32_t>(entries.size()) - 1});
  }();
  return made;
}

inline void check_steps(const CompiledGrammar& compiled, uint64_t seed) {
  if (const auto* refusal = std::get_if<GrammarRefusal>(&compiled)) {
    CHECK(!refusal->reason.empty());
    return;
  }
  Matcher matcher(std::get<0>(compiled));
  std::vector<uint32_t> mask(matcher.n_words());
  for (int step = 0; step < 6 && !matcher.is_ended(); ++step) {
    matcher.allowed(mask);
    std::vector<int32_t> allowed;
    for (int32_t id = 0; id < fuzz_vocabulary().size(); ++id) {
      const bool is_allowed = ((mask[static_cast<size_t>(id) / 32] >> (id % 32)) & 1) != 0;
      CHECK(is_allowed == Matcher(matcher).accept(id));
      if (is_allowed) allowed.push_back(id);
    }
    if (allowed.empty()) return;  // a limit: the answer cannot go on
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    CHECK(matcher.accept(allowed[(seed >> 33) % allowed.size()]));
  }
}

}  // namespace lapidary
