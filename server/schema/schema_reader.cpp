#include "server/schema/schema_reader.h"

#include <algorithm>
#include <numeric>

#include "engine/grammar/regex_reader.h"
#include "server/schema/schema_keywords.h"
#include "server/schema/string_format.h"
#include "server/schema/value_check.h"

namespace lapidary {
namespace {

constexpr size_t kMaxCompared = 1000000;  // values of one enum with those of another

const OrderedJson* find(const OrderedJson& schema, const char* key) {
  const auto at = schema.find(key);
  return at == schema.end() ? nullptr : &*at;
}

bool has_any(const OrderedJson& schema, std::initializer_list<const char*> keys) {
  return std::any_of(keys.begin(), keys.end(),
                     [&](const char* key) { return schema.contains(key); });
}

// A schema without `type` is about the types that its keywords are about.
unsigned implied_kinds(const OrderedJson& schema) {
  unsigned implied = 0;
  if (has_any(schema, {"properties", "required", "additionalProperties", "patternProperties",
                       "minProperties", "maxProperties"})) {
    implied |= kinds::kObject;
  }
  if (has_any(schema, {"items", "prefixItems", "minItems", "maxItems", "uniqueItems"})) {
    implied |= kinds::kArray;
  }
  if (has_any(schema, {"minLength", "maxLength", "pattern", "format"})) implied |= kinds::kString;
  if (has_any(schema,
              {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})) {
    implied |= kinds::kNumber;
  }
  return implied == 0 ? kinds::kAll : implied;
}

}  // namespace

unsigned read_kinds(const OrderedJson& type, const std::string& path) {
  if (type.is_array()) {
    unsigned joined = 0;
    for (const OrderedJson& one : type) {
      if (!one.is_string()) throw SchemaRefused(path, "`type` must be a string or a list of them");
      joined |= read_kinds(one, path);
    }
    return joined;
  }
  static const std::map<std::string, unsigned> names = {
      {"null", kinds::kNull},     {"boolean", kinds::kBoolean}, {"integer", kinds::kInteger},
      {"number", kinds::kNumber}, {"string", kinds::kString},   {"object", kinds::kObject},
      {"array", kinds::kArray}};
  if (!type.is_string()) throw SchemaRefused(path, "`type` must be a string or a list of them");
  const auto at = names.find(type.get<std::string>());
  if (at == names.end()) throw SchemaRefused(path, "`" + type.get<std::string>() + "` is no type");
  return at->second;
}

unsigned kind_of(const OrderedJson& value) {
  if (value.is_null()) return kinds::kNull;
  if (value.is_boolean()) return kinds::kBoolean;
  if (value.is_number_integer()) return kinds::kInteger;
  if (value.is_number()) return kinds::kReal;
  if (value.is_string()) return kinds::kString;
  return value.is_object() ? kinds::kObject : kinds::kArray;
}

SchemaReader::SchemaReader(const OrderedJson& root) : root_(root) { keep_path(&root, ""); }

void SchemaReader::keep_path(const OrderedJson* schema, const std::string& path) {
  paths_.emplace(schema, path);
}

std::string SchemaReader::path_of(const OrderedJson* schema) const {
  const auto at = paths_.find(schema);
  return at == paths_.end() ? "" : at->second;
}

const OrderedJson* SchemaReader::resolve(const OrderedJson& reference,
                                         const std::string& path) const {
  const std::string text = reference.get<std::string>();
  if (text.empty() || text[0] != '#' || (text.size() > 1 && text[1] != '/') ||
      text.find('%') != std::string::npos) {
    throw SchemaRefused(path, "only references into the schema itself, #/..., are supported");
  }
  try {
    const OrderedJson::json_pointer pointer(text.substr(1));
    if (root_.contains(pointer)) return &root_.at(pointer);
  } catch (const OrderedJson::exception&) {
  }
  throw SchemaRefused(path, "the reference leads nowhere");
}

std::vector<Shape> SchemaReader::shapes(const SchemaSet& schemas) {
  std::vector<Shape> all = {Shape()};
  for (const OrderedJson* schema : schemas) {
    const std::string path = path_of(schema);
    all = joined(all, read(schema, path), path);
  }
  ValueCheck check(*this);
  for (Shape& shape : all) {
    if (!shape.values) continue;
    std::erase_if(*shape.values, [&](const OrderedJson* value) {
      return (kind_of(*value) & shape.kinds) == 0 &&
             !(value->is_number_integer() && (shape.kinds & kinds::kNumber) != 0);
    });
    std::erase_if(*shape.values, [&](const OrderedJson* value) {
      return !std::all_of(schemas.begin(), schemas.end(), [&](const OrderedJson* schema) {
        return check.holds(*value, *schema, path_of(schema));
      });
    });
  }
  std::erase_if(all, [](const Shape& s) { return s.values && s.values->empty(); });
  return all;
}

std::vector<Shape> SchemaReader::read(const OrderedJson* schema, const std::string& path) {
  if (++n_reads_ > kMaxReads) throw SchemaRefused(path, "the schema is too large");
  keep_path(schema, path);
  check_keywords(*schema, path);
  if (schema->is_boolean()) {
    return schema->get<bool>() ? std::vector<Shape>{Shape()} : std::vector<Shape>{};
  }
  if (!open_.insert(schema).second) {
    throw SchemaRefused(path, "the schema refers to itself without an object or array in between");
  }
  if (++nesting_ > GrammarLimits::kMaxNesting) throw SchemaRefused(path, "nested too deep");
  std::vector<Shape> all = {own_shape(*schema, path)};
  if (all[0].kinds == 0) all.clear();
  if (const OrderedJson* reference = find(*schema, "$ref")) {
    const OrderedJson* target = resolve(*reference, path + "/$ref");
    const std::string known = path_of(target);
    all = joined(
        all,
        read(target,
             known.empty() && target != &root_ ? reference->get<std::string>().substr(1) : known),
        path);
  }
  if (const OrderedJson* parts = find(*schema, "allOf")) {
    if (parts->size() > kMaxParts) {
      throw SchemaRefused(path + "/allOf", "more than " + std::to_string(kMaxParts) + " parts");
    }
    for (size_t i = 0; i < parts->size(); ++i) {
      all = joined(all, read(&(*parts)[i], path_in(path + "/allOf", i)), path);
    }
  }
  for (const char* keyword : {"anyOf", "oneOf"}) {
    if (!schema->contains(keyword)) continue;
    all = joined(all, read_alternatives(*schema, keyword, path), path);
  }
  --nesting_;
  open_.erase(schema);
  return all;
}

std::vector<Shape> SchemaReader::read_alternatives(const OrderedJson& schema, const char* keyword,
                                                   const std::string& path) {
  const std::string list_path = path_in(path, keyword);
  std::vector<std::vector<Shape>> alternatives;
  SchemaSet members;
  std::vector<Shape> all;
  for (const OrderedJson& alternative : schema[keyword]) {
    alternatives.push_back(read(&alternative, path_in(list_path, members.size())));
    members.push_back(&alternative);
    all.insert(all.end(), alternatives.back().begin(), alternatives.back().end());
    if (all.size() > kMaxShapes) throw SchemaRefused(list_path, "too many alternatives");
  }
  if (std::string_view(keyword) == "oneOf" && members.size() > kMaxTold) {
    throw SchemaRefused(list_path, "too many alternatives to tell apart");
  }
  if (std::string_view(keyword) == "oneOf") check_disjoint(alternatives, members, list_path);
  return all;
}

std::vector<Shape> SchemaReader::joined(const std::vector<Shape>& a, const std::vector<Shape>& b,
                                        const std::string& path) {
  std::vector<Shape> made;
  for (const Shape& x : a) {
    for (const Shape& y : b) {
      if (x.values && y.values && x.values->size() * y.values->size() > kMaxCompared) {
        throw SchemaRefused(path, "too many values to compare");
      }
      Shape both = x;
      both.kinds &= y.kinds;
      if (!both.values)
        both.values = y.values;
      else if (y.values) {
        std::erase_if(*both.values, [&](const OrderedJson* value) {
          return std::none_of(y.values->begin(), y.values->end(),
                              [&](const OrderedJson* other) { return *value == *other; });
        });
      }
      if (y.numbers.min) both.numbers.at_least(*y.numbers.min);
      if (y.numbers.max) both.numbers.at_most(*y.numbers.max);
      both.numbers.multiple_of = std::lcm(x.numbers.multiple_of, y.numbers.multiple_of);
      if (both.numbers.multiple_of > NumberBounds::kMaxMultiple) {
        throw SchemaRefused(
            path, "the common multiple is above " + std::to_string(NumberBounds::kMaxMultiple));
      }
      if (y.text) both.text = both.text ? both.text->both(*y.text) : *y.text;
      both.min_length = std::max(x.min_length, y.min_length);
      if (y.max_length) {
        both.max_length =
            both.max_length ? std::min(*both.max_length, *y.max_length) : y.max_length;
      }
      both.object_parts.insert(both.object_parts.end(), y.object_parts.begin(),
                               y.object_parts.end());
      both.array_parts.insert(both.array_parts.end(), y.array_parts.begin(), y.array_parts.end());
      if (both.kinds == 0 || (both.values && both.values->empty())) continue;
      if (made.size() >= kMaxShapes) throw SchemaRefused(path, "too many alternatives");
      made.push_back(std::move(both));
    }
  }
  return made;
}

Shape SchemaReader::own_shape(const OrderedJson& schema, const std::string& path) {
  Shape shape;
  const OrderedJson* type = find(schema, "type");
  read_values(schema, path, shape);
  if (type)
    shape.kinds = read_kinds(*type, path + "/type");
  else if (!shape.values)
    shape.kinds = implied_kinds(schema);
  if (const OrderedJson* nullable = find(schema, "nullable");
      type && nullable && *nullable == true) {
    shape.kinds |= kinds::kNull;
  }
  if ((shape.kinds & kinds::kNumber) != 0) read_numbers(schema, path, shape);
  if ((shape.kinds & kinds::kString) != 0) read_strings(schema, path, shape);
  if (has_any(schema, {"properties", "required", "additionalProperties", "patternProperties",
                       "minProperties", "maxProperties"})) {
    shape.object_parts.push_back({&schema, path});
  }
  if (has_any(schema,
              {"items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems"})) {
    shape.array_parts.push_back({&schema, path});
  }
  return shape;
}

void SchemaReader::read_values(const OrderedJson& schema, const std::string& path, Shape& shape) {
  if (const OrderedJson* value = find(schema, "const")) shape.values = {{value}};
  const OrderedJson* list = find(schema, "enum");
  if (!list) return;
  if (list->size() > kMaxValues) throw SchemaRefused(path + "/enum", "too many values");
  std::vector<const OrderedJson*> values;
  for (const OrderedJson& value : *list) {
    if (!shape.values || value == *(*shape.values)[0]) values.push_back(&value);
  }
  shape.values = std::move(values);
}

void SchemaReader::read_numbers(const OrderedJson& schema, const std::string& path, Shape& shape) {
  const auto bound = [&](const char* keyword, bool is_open) -> std::optional<NumberBounds::Bound> {
    const OrderedJson* number = find(schema, keyword);
    if (!number) return std::nullopt;
    const std::optional<Decimal> value = Decimal::of(*number);
    if (!value) throw SchemaRefused(path_in(path, keyword), "more than 15 significant digits");
    return NumberBounds::Bound{*value, is_open};
  };
  if (const auto b = bound("minimum", false)) shape.numbers.at_least(*b);
  if (const auto b = bound("exclusiveMinimum", true)) shape.numbers.at_least(*b);
  if (const auto b = bound("maximum", false)) shape.numbers.at_most(*b);
  if (const auto b = bound("exclusiveMaximum", true)) shape.numbers.at_most(*b);
  if (const OrderedJson* multiple = find(schema, "multipleOf")) {
    const bool is_whole =
        multiple->is_number_unsigned() && *multiple > 0 && *multiple <= NumberBounds::kMaxMultiple;
    if (!is_whole) {
      throw SchemaRefused(path + "/multipleOf", "`multipleOf` must be a whole number from 1 to " +
                                                    std::to_string(NumberBounds::kMaxMultiple) +
                                                    " to be exact");
    }
    shape.numbers.multiple_of = multiple->get<int64_t>();
  }
}

void SchemaReader::read_strings(const OrderedJson& schema, const std::string& path, Shape& shape) {
  if (const OrderedJson* min = find(schema, "minLength")) shape.min_length = min->get<size_t>();
  if (const OrderedJson* max = find(schema, "maxLength")) shape.max_length = max->get<size_t>();
  const auto add = [&](const char* keyword, const std::string& pattern, RegexUse use) {
    try {
      auto [at, is_new] = patterns_.emplace(std::pair{keyword, pattern}, TextAutomaton({}));
      if (is_new) at->second = read_regex(pattern, use);
      shape.text = shape.text ? shape.text->both(at->second) : at->second;
    } catch (const GrammarRefused& refused) {
      throw SchemaRefused(path_in(path, keyword), refused.what());
    }
  };
  if (const OrderedJson* pattern = find(schema, "pattern")) {
    add("pattern", pattern->get<std::string>(), RegexUse::kSearch);
  }
  const OrderedJson* format = find(schema, "format");
  if (!format || is_free_format(format->get<std::string>())) return;
  if (const auto pattern = format_pattern(format->get<std::string>(), shape.max_length)) {
    return add("format", *pattern, RegexUse::kWhole);
  }
  throw SchemaRefused(path + "/format",
                      "the format `" + format->get<std::string>() + "` is not supported");
}

ArrayShape SchemaReader::array_shape(const Shape& shape) {
  ArrayShape made;
  for (const auto& [schema, path] : shape.array_parts) {
    const OrderedJson* prefix = find(*schema, "prefixItems");
    const OrderedJson* items = find(*schema, "items");
    std::string prefix_path = path + "/prefixItems", items_path = path + "/items";
    if (items && items->is_array()) {  // draft 7
      if (prefix) throw SchemaRefused(path, "`items` as a list beside `prefixItems`");
      prefix = items;
      prefix_path = items_path;
      items = find(*schema, "additionalItems");
      items_path = path + "/additionalItems";
    }
    const size_t n = std::max(made.prefix.size(), prefix ? prefix->size() : 0);
    while (made.prefix.size() < n) made.prefix.push_back(made.items);
    for (size_t i = 0; i < n; ++i) {
      const bool is_own = prefix && i < prefix->size();
      const OrderedJson* one = is_own ? &(*prefix)[i] : items;
      if (!one) continue;
      keep_path(one, is_own ? path_in(prefix_path, i) : items_path);
      made.prefix[i].push_back(one);
    }
    if (items) {
      keep_path(items, items_path);
      made.items.push_back(items);
    }
    if (const OrderedJson* min = find(*schema, "minItems")) {
      made.min = std::max(made.min, min->get<size_t>());
    }
    if (const OrderedJson* max = find(*schema, "maxItems")) {
      made.max = std::min(made.max.value_or(SIZE_MAX), max->get<size_t>());
    }
  }
  for (const auto& [schema, path] : shape.array_parts) {
    const OrderedJson* unique = find(*schema, "uniqueItems");
    if (unique && *unique == true && made.max.value_or(2) > 1) {
      throw SchemaRefused(path + "/uniqueItems", "`uniqueItems` is not supported");
    }
  }
  return made;
}

}  // namespace lapidary
