// Compiled grammars by what was asked for, so that a schema that comes with every request is
// compiled once. Least recently used ones go first when the memory is spent; those that answers
// still use stay alive with them. Compiles on the caller's thread, only a few at a time, and has
// the masks made on one of its own: what a client can make the server hold and compute is bounded.
// Any thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/grammar/mask_maker.h"
#include "server/schema/grammar_compiler.h"

namespace lapidary {

class GrammarCache {
 public:
  // Nothing: others are compiling and the wait was too long.
  using Answer = std::optional<CompiledGrammar>;

  // The vocabulary must outlive the cache and the grammars.
  explicit GrammarCache(const GrammarVocabulary& vocabulary, size_t max_bytes = kMaxBytes);

  // As GrammarCompiler has them.
  Answer json_schema(const OrderedJson& schema);
  Answer json_object();
  Answer regex(const std::string& pattern);
  Answer ebnf(const std::string& text);
  Answer choice(const std::vector<std::string>& choices);
  Answer tool_calls(const std::vector<ToolArguments>& tools, int min_calls, int max_calls);

  struct Counts {
    int64_t hits = 0, compiled = 0;
    size_t entries = 0;
  };
  Counts counts() const;

  static constexpr size_t kMaxBytes = size_t{256} << 20;
  static constexpr size_t kCompilesAtOnce = 2;

 private:
  struct Entry {
    std::string key;
    CompiledGrammar made;
    size_t bytes() const;
  };

  Answer get(std::string key, const std::function<CompiledGrammar()>& compile);
  // With mutex_ held.
  Answer find(const std::string& key);
  void keep(Entry entry);

  const GrammarCompiler compiler_;
  const size_t max_bytes_;
  MaskMaker mask_maker_;
  mutable std::mutex mutex_;         // guards all below
  std::condition_variable changed_;  // compiling_ and by_key_
  std::set<std::string> compiling_;
  std::list<Entry> entries_;  // the most recently used first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_key_;
  Counts counts_;
};

}  // namespace lapidary
