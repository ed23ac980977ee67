// Writes what a SchemaReader reads as a grammar's rules, in one of two spellings:
// - JSON: strings with escapes; between the tokens nothing, one space, or a new line and up to 32
//   spaces, so that compact, spaced and indented answers are all possible and white space ends;
// - Gemma's calls: keys bare, strings between two <|"|> tokens as they are, no white space, keys in
//   the order of Python's lower(), which is how the model is shown declarations and earlier calls.
// Properties come in a fixed order; optional ones may be left out. One thread.
// Refuses, with SchemaRefused, what the reader refuses, and keys that Gemma's syntax cannot spell.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/grammar/rule_graph.h"
#include "engine/grammar/text_writer.h"
#include "server/schema/schema_reader.h"

namespace lapidary {

enum class LeafSyntax { kJson, kGemmaCall };

class SchemaWriter {
 public:
  // `quote`: the id of <|"|>, for Gemma's calls.
  SchemaWriter(GrammarSource& source, LeafSyntax syntax, int32_t quote);

  // The rule of all answers that satisfy the reader's root schema; with `only_objects` those that
  // are objects.
  uint32_t write_root(SchemaReader& reader, const OrderedJson& root, bool only_objects);
  // The rule of all JSON values, and of all objects.
  uint32_t any_value() { return rule_of({}); }
  uint32_t any_object();

  static constexpr size_t kMaxPlaces = 4000;

 private:
  struct Place {
    SchemaSet schemas;
    uint32_t rule = 0;
  };

  uint32_t rule_of(SchemaSet schemas);
  void write_open_places();
  void write_place(const Place& place);
  void write_shape(RuleGraph& graph, const Shape& shape, const std::string& path, uint32_t end);

  uint32_t free_string();
  uint32_t string_rule(const TextAutomaton& text);
  uint32_t space();
  uint32_t add_value(RuleGraph& graph, uint32_t from, const OrderedJson& value,
                     const std::string& path);
  uint32_t add_string(RuleGraph& graph, uint32_t from, const std::string& text);
  uint32_t add_key(RuleGraph& graph, uint32_t from, const std::string& name,
                   const std::string& path);
  uint32_t add_space(RuleGraph& graph, uint32_t from);
  void add_close(RuleGraph& graph, uint32_t from, char bracket, uint32_t to);
  uint32_t number_rule(const NumberBounds& bounds, bool integers_only);

  uint32_t object_rule(ObjectShape shape, const std::string& path);
  uint32_t property_rule(const ObjectShape::Property& property, const std::string& path);
  uint32_t others_rule(const ObjectShape& shape, const std::string& path);
  uint32_t array_rule(const ArrayShape& shape, const std::string& path);

  GrammarSource& source_;
  const LeafSyntax syntax_;
  const int32_t quote_;
  SchemaReader* reader_ = nullptr;
  std::map<SchemaSet, uint32_t> rules_;
  std::deque<Place> open_;
  std::map<std::string, uint32_t> shared_;  // rules that all schemas have in common
};

}  // namespace lapidary
