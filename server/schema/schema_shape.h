// What a schema says once its references are followed and its parts joined: a list of shapes, of
// which an answer has one. Made by SchemaReader, read by SchemaWriter, on the thread that compiles.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/grammar/text_automaton.h"
#include "server/schema/decimal.h"
#include "server/schema/json_value.h"

namespace lapidary {

namespace kinds {
inline constexpr unsigned kNull = 1, kBoolean = 2, kInteger = 4, kReal = 8, kString = 16,
                          kObject = 32, kArray = 64, kAll = 127;
inline constexpr unsigned kNumber = kInteger | kReal;
}  // namespace kinds

// All of them hold at once.
using SchemaSet = std::vector<const OrderedJson*>;

// The object and array keywords of one schema.
struct ObjectPart {
  const OrderedJson* schema = nullptr;
  std::string path;
};

struct Shape {
  unsigned kinds = kinds::kAll;
  std::optional<std::vector<const OrderedJson*>> values;  // const and enum
  NumberBounds numbers;
  std::optional<TextAutomaton> text;  // pattern and format
  size_t min_length = 0;
  std::optional<size_t> max_length;
  std::vector<ObjectPart> object_parts, array_parts;

  // The strings it allows.
  TextAutomaton strings() const {
    return (text ? *text : TextAutomaton::any()).of_length(min_length, max_length);
  }
  bool has_free_strings() const { return !text && min_length == 0 && !max_length; }
};

struct ObjectShape {
  struct Property {
    std::string name;
    SchemaSet schemas;
    bool is_required = false;
  };
  struct Others {  // keys that are not listed
    TextAutomaton keys;
    SchemaSet schemas;
  };
  std::vector<Property> properties;  // in the order in which they are written
  std::vector<Others> others;
  size_t min = 0;
  std::optional<size_t> max;
  bool is_impossible = false;
};

struct ArrayShape {
  std::vector<SchemaSet> prefix;
  SchemaSet items;
  size_t min = 0;
  std::optional<size_t> max;
};

}  // namespace lapidary
