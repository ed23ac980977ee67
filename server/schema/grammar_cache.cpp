#include "server/schema/grammar_cache.h"

#include <chrono>
#include <utility>

namespace lapidary {
namespace {

constexpr std::chrono::seconds kLongestWait{5};

// Each with its length, so that no list looks like another.
std::string key_of(char kind, const std::vector<std::string>& parts) {
  std::string key(1, kind);
  for (const std::string& part : parts) key += std::to_string(part.size()) + ":" + part;
  return key;
}

}  // namespace

GrammarCache::GrammarCache(const GrammarVocabulary& vocabulary, size_t max_bytes)
    : compiler_(vocabulary), max_bytes_(max_bytes) {}

GrammarCache::Answer GrammarCache::json_schema(const OrderedJson& schema) {
  std::string text = schema.dump();
  if (text.size() > GrammarCompiler::kMaxSchemaBytes) {
    return GrammarRefusal{"", "the schema is longer than " +
                                  std::to_string(GrammarCompiler::kMaxSchemaBytes) + " bytes"};
  }
  return get(key_of('s', {std::move(text)}), [&] { return compiler_.json_schema(schema); });
}

GrammarCache::Answer GrammarCache::json_object() {
  return get(key_of('o', {}), [&] { return compiler_.json_object(); });
}

GrammarCache::Answer GrammarCache::regex(const std::string& pattern) {
  return get(key_of('r', {pattern}), [&] { return compiler_.regex(pattern); });
}

GrammarCache::Answer GrammarCache::ebnf(const std::string& text) {
  return get(key_of('e', {text}), [&] { return compiler_.ebnf(text); });
}

GrammarCache::Answer GrammarCache::choice(const std::vector<std::string>& choices) {
  return get(key_of('c', choices), [&] { return compiler_.choice(choices); });
}

GrammarCache::Answer GrammarCache::tool_calls(const std::vector<ToolArguments>& tools,
                                              int min_calls, int max_calls) {
  std::vector<std::string> parts = {std::to_string(min_calls), std::to_string(max_calls)};
  size_t bytes = 0;
  for (size_t i = 0; i < tools.size(); ++i) {
    parts.push_back(tools[i].name);
    parts.push_back(tools[i].parameters.dump());
    bytes += parts.back().size();
    if (bytes > GrammarCompiler::kMaxSchemaBytes) {
      return GrammarRefusal{"/" + std::to_string(i) + "/parameters",
                            "the schemas of the functions that may be called are longer than " +
                                std::to_string(GrammarCompiler::kMaxSchemaBytes) +
                                " bytes together"};
    }
  }
  return get(key_of('t', parts), [&] { return compiler_.tool_calls(tools, min_calls, max_calls); });
}

GrammarCache::Counts GrammarCache::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

size_t GrammarCache::Entry::bytes() const {
  const auto* grammar = std::get_if<std::shared_ptr<const Grammar>>(&made);
  return key.size() + sizeof(Entry) + (grammar != nullptr ? (*grammar)->bytes() : 256);
}

GrammarCache::Answer GrammarCache::get(std::string key,
                                       const std::function<CompiledGrammar()>& compile) {
  std::unique_lock lock(mutex_);
  // What somebody else compiles is waited for, not compiled twice.
  const bool came = changed_.wait_for(lock, kLongestWait, [&] {
    return by_key_.contains(key) ||
           (compiling_.size() < kCompilesAtOnce && !compiling_.contains(key));
  });
  if (Answer known = find(key)) return known;
  if (!came) return std::nullopt;
  struct Leave {
    GrammarCache& cache;
    std::unique_lock<std::mutex>& lock;
    const std::set<std::string>::iterator at;
    ~Leave() {
      if (!lock.owns_lock()) lock.lock();
      cache.compiling_.erase(at);
      cache.changed_.notify_all();
    }
  } const leave{*this, lock, compiling_.insert(key).first};
  lock.unlock();
  CompiledGrammar made = compile();
  if (const auto* grammar = std::get_if<std::shared_ptr<const Grammar>>(&made)) {
    mask_maker_.add(*grammar);
  }
  lock.lock();
  keep({std::move(key), made});
  return made;
}

GrammarCache::Answer GrammarCache::find(const std::string& key) {
  const auto at = by_key_.find(key);
  if (at == by_key_.end()) return std::nullopt;
  entries_.splice(entries_.begin(), entries_, at->second);
  ++counts_.hits;
  return entries_.front().made;
}

// The masks of a grammar grow while it is used, so all are counted anew.
void GrammarCache::keep(Entry entry) {
  ++counts_.compiled;
  entries_.push_front(std::move(entry));
  by_key_.emplace(entries_.front().key, entries_.begin());
  size_t bytes = 0;
  for (auto at = entries_.begin(); at != entries_.end();) {
    bytes += at->bytes();
    if (bytes <= max_bytes_ || at == entries_.begin()) {
      ++at;
      continue;
    }
    by_key_.erase(at->key);
    at = entries_.erase(at);
  }
  counts_.entries = entries_.size();
}

}  // namespace lapidary
