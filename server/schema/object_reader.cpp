// SchemaReader's part about objects: which keys an object has, and which alternatives of a oneOf no
// object can satisfy together.
#include <algorithm>

#include "engine/grammar/regex_reader.h"
#include "server/schema/schema_keywords.h"
#include "server/schema/schema_reader.h"
#include "server/schema/value_check.h"

namespace lapidary {
namespace {

constexpr size_t kMaxPatterns = 6;  // every combination of them is a case of its own
constexpr size_t kMaxProperties = 2000;
constexpr int kMaxCompared = 4;  // objects in objects, when alternatives are told apart

const OrderedJson* find(const OrderedJson& schema, const char* key) {
  const auto at = schema.find(key);
  return at == schema.end() ? nullptr : &*at;
}

TextAutomaton pattern_of(const std::string& pattern, const std::string& path) {
  try {
    return read_regex(pattern, RegexUse::kSearch);
  } catch (const GrammarRefused& refused) {
    throw SchemaRefused(path_in(path + "/patternProperties", pattern), refused.what());
  }
}

}  // namespace

ObjectShape SchemaReader::object_shape(const Shape& shape) {
  ObjectShape made;
  std::map<std::string, size_t> places;
  const auto add = [&](const std::string& name) -> ObjectShape::Property& {
    const auto [at, is_new] = places.emplace(name, made.properties.size());
    if (is_new) made.properties.push_back({name, {}, false});
    return made.properties[at->second];
  };
  for (const auto& [schema, path] : shape.object_parts) {
    if (const OrderedJson* properties = find(*schema, "properties")) {
      for (const auto& [name, value] : properties->items()) add(name);
    }
  }
  for (const auto& [schema, path] : shape.object_parts) {
    if (const OrderedJson* required = find(*schema, "required")) {
      for (const OrderedJson& name : *required) add(name.get<std::string>()).is_required = true;
    }
    if (const OrderedJson* min = find(*schema, "minProperties")) {
      made.min = std::max(made.min, min->get<size_t>());
    }
    if (const OrderedJson* max = find(*schema, "maxProperties")) {
      made.max = std::min(made.max.value_or(SIZE_MAX), max->get<size_t>());
    }
    if (made.properties.size() > kMaxProperties) {
      throw SchemaRefused(path, "more than " + std::to_string(kMaxProperties) + " properties");
    }
  }
  for (const auto& [schema, path] : shape.object_parts) {
    const OrderedJson* properties = find(*schema, "properties");
    const OrderedJson* patterns = find(*schema, "patternProperties");
    const OrderedJson* additional = find(*schema, "additionalProperties");
    std::vector<std::pair<TextAutomaton, const OrderedJson*>> automata;
    if (patterns) {
      for (const auto& [pattern, value] : patterns->items()) {
        keep_path(&value, path_in(path + "/patternProperties", pattern));
        automata.emplace_back(pattern_of(pattern, path), &value);
      }
    }
    for (ObjectShape::Property& property : made.properties) {
      bool is_known = false;
      if (properties && properties->contains(property.name)) {
        const OrderedJson* own = &(*properties)[property.name];
        keep_path(own, path_in(path + "/properties", property.name));
        property.schemas.push_back(own);
        is_known = true;
      }
      for (const auto& [automaton, value] : automata) {
        if (!automaton.matches(property.name)) continue;
        property.schemas.push_back(value);
        is_known = true;
      }
      if (is_known || !additional) continue;
      keep_path(additional, path + "/additionalProperties");
      property.schemas.push_back(additional);
    }
  }
  add_others(shape.object_parts, made);
  return made;
}

void SchemaReader::add_others(const std::vector<ObjectPart>& parts, ObjectShape& shape) {
  bool has_names = false, is_open = false;
  std::vector<std::pair<TextAutomaton, size_t>> patterns;  // with the part that they are of
  std::vector<const OrderedJson*> values;
  for (size_t i = 0; i < parts.size(); ++i) {
    const OrderedJson& schema = *parts[i].schema;
    has_names |= schema.contains("properties") || schema.contains("patternProperties");
    if (const OrderedJson* additional = find(schema, "additionalProperties")) {
      keep_path(additional, parts[i].path + "/additionalProperties");
      is_open |= *additional != false;
    }
    const OrderedJson* of_part = find(schema, "patternProperties");
    if (!of_part) continue;
    for (const auto& [pattern, value] : of_part->items()) {
      patterns.emplace_back(pattern_of(pattern, parts[i].path), i);
      values.push_back(&value);
    }
    if (patterns.size() > kMaxPatterns) {
      throw SchemaRefused(parts[i].path + "/patternProperties",
                          "more than " + std::to_string(kMaxPatterns) + " patterns");
    }
  }
  if (has_names && !is_open && patterns.empty()) return;
  std::vector<std::string> names;
  for (const auto& property : shape.properties) names.push_back(property.name);
  const TextAutomaton unlisted =
      names.empty() ? TextAutomaton::any() : TextAutomaton::of_words(names).negated();
  for (size_t held = 0; held < (size_t{1} << patterns.size()); ++held) {
    if (held == 0 && has_names && !is_open) continue;
    ObjectShape::Others others{unlisted, {}};
    std::vector<bool> is_known(parts.size());
    for (size_t p = 0; p < patterns.size(); ++p) {
      const bool holds = ((held >> p) & 1U) != 0;
      others.keys = others.keys.both(holds ? patterns[p].first : patterns[p].first.negated());
      if (!holds) continue;
      others.schemas.push_back(values[p]);
      is_known[patterns[p].second] = true;
    }
    for (size_t i = 0; i < parts.size(); ++i) {
      const OrderedJson* additional = find(*parts[i].schema, "additionalProperties");
      if (!is_known[i] && additional) others.schemas.push_back(additional);
    }
    if (!others.keys.is_empty()) shape.others.push_back(std::move(others));
  }
}

void SchemaReader::check_disjoint(const std::vector<std::vector<Shape>>& alternatives,
                                  const SchemaSet& schemas, const std::string& path) {
  ValueCheck check(*this);
  const auto is_told_apart = [&](size_t i, size_t j) {
    for (const Shape& made : alternatives[i]) {
      const bool values_differ =
          made.values &&
          std::none_of(made.values->begin(), made.values->end(), [&](const OrderedJson* value) {
            return check.holds(*value, *schemas[j], path_of(schemas[j]));
          });
      if (values_differ) continue;
      for (const Shape& other : alternatives[j]) {
        if (!excludes(made, other, 0)) return false;
      }
    }
    return true;
  };
  for (size_t i = 0; i < alternatives.size(); ++i) {
    for (size_t j = 0; j < alternatives.size(); ++j) {
      if (i == j || is_told_apart(i, j)) continue;
      throw SchemaRefused(path, "alternatives " + std::to_string(std::min(i, j)) + " and " +
                                    std::to_string(std::max(i, j)) +
                                    " of `oneOf` may hold at once; use `anyOf`, or a property "
                                    "whose `const` tells them apart");
    }
  }
}

// Nothing that is written for `made` satisfies `other`.
bool SchemaReader::excludes(const Shape& made, const Shape& other, int depth) {
  if (made.values) {
    return std::all_of(made.values->begin(), made.values->end(), [&](const OrderedJson* value) {
      if ((kind_of(*value) & other.kinds) == 0) return true;
      if (other.values) {
        return std::none_of(other.values->begin(), other.values->end(),
                            [&](const OrderedJson* v) { return *v == *value; });
      }
      return value->is_string() && !other.strings().matches(value->get_ref<const std::string&>());
    });
  }
  unsigned common = made.kinds & other.kinds;
  if (other.values) {
    unsigned of_values = 0;
    for (const OrderedJson* value : *other.values) {
      const bool is_made =
          !value->is_string() || made.strings().matches(value->get_ref<const std::string&>());
      if (is_made) of_values |= kind_of(*value);
    }
    common &= of_values;
  }
  if ((common & (kinds::kNull | kinds::kBoolean)) != 0) return false;
  if ((common & kinds::kNumber) != 0 && !made.numbers.excludes(other.numbers)) return false;
  if ((common & kinds::kString) != 0 && !other.values &&
      !made.strings().both(other.strings()).is_empty()) {
    return false;
  }
  if ((common & kinds::kString) != 0 && other.values) return false;
  if ((common & kinds::kArray) != 0) {
    const ArrayShape a = array_shape(made), b = array_shape(other);
    if (a.min <= b.max.value_or(SIZE_MAX) && b.min <= a.max.value_or(SIZE_MAX)) return false;
  }
  return (common & kinds::kObject) == 0 || excludes_objects(made, other, depth);
}

bool SchemaReader::excludes_objects(const Shape& made, const Shape& other, int depth) {
  if (depth >= kMaxCompared) return false;
  const ObjectShape a = object_shape(made), b = object_shape(other);
  const auto in = [](const ObjectShape& shape, const std::string& name) {
    return std::find_if(shape.properties.begin(), shape.properties.end(),
                        [&](const auto& p) { return p.name == name; });
  };
  for (const auto& property : a.properties) {
    if (!property.is_required) continue;
    const auto at = in(b, property.name);
    if (at != b.properties.end() && excludes(property.schemas, at->schemas, depth + 1)) return true;
  }
  for (const auto& property : b.properties) {
    if (!property.is_required || in(a, property.name) != a.properties.end()) continue;
    if (std::none_of(a.others.begin(), a.others.end(),
                     [&](const auto& others) { return others.keys.matches(property.name); })) {
      return true;
    }
  }
  // A key that `made` always has and `other` forbids.
  for (const auto& property : a.properties) {
    if (!property.is_required || in(b, property.name) != b.properties.end()) continue;
    for (const auto& part : other.object_parts) {
      const OrderedJson* additional = find(*part.schema, "additionalProperties");
      if (additional && *additional == false && !part.schema->contains("patternProperties")) {
        return true;
      }
    }
  }
  return false;
}

bool SchemaReader::excludes(const SchemaSet& made, const SchemaSet& other, int depth) {
  // Inside an object nothing is in a circle yet.
  std::set<const OrderedJson*> outer;
  outer.swap(open_);
  const bool all = excludes_all(made, other, depth);
  open_ = std::move(outer);
  return all;
}

bool SchemaReader::excludes_all(const SchemaSet& made, const SchemaSet& other, int depth) {
  for (const Shape& a : shapes(made)) {
    for (const Shape& b : shapes(other)) {
      if (!excludes(a, b, depth)) return false;
    }
  }
  return true;
}

}  // namespace lapidary
