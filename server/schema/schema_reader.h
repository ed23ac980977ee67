// Reads JSON Schema (2020-12 and 7) into shapes. Follows local references, joins allOf, spreads
// anyOf and oneOf. Holds on to the schema it was made with; one thread.
// Refuses, with SchemaRefused and the path: keywords that are not supported, oneOf whose
// alternatives it cannot tell apart, references that lead nowhere or in a circle, and more than the
// limits below. What it accepts it never loosens; where the exact set of answers cannot be written
// it takes a narrower one:
// - objects with `properties` or `patternProperties` have no other keys unless
//   `additionalProperties` is there and is not false;
// - a schema without `type` but with keywords of some types means these types.
#pragma once

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "server/schema/schema_shape.h"

namespace lapidary {

class SchemaReader {
 public:
  explicit SchemaReader(const OrderedJson& root);

  // The shapes of all schemas of the set joined.
  std::vector<Shape> shapes(const SchemaSet& schemas);
  ObjectShape object_shape(const Shape& shape);
  ArrayShape array_shape(const Shape& shape);

  // Where it stands in the root, for messages.
  std::string path_of(const OrderedJson* schema) const;
  const OrderedJson* resolve(const OrderedJson& reference, const std::string& path) const;

  static constexpr size_t kMaxReads = 20000;  // of schemas, each as often as it is referred to
  static constexpr size_t kMaxParts = 500;    // of one allOf
  static constexpr size_t kMaxShapes = 256;   // of one place
  static constexpr size_t kMaxValues = 5000;  // of one enum
  static constexpr size_t kMaxTold = 64;      // alternatives of one oneOf, compared pair by pair

 private:
  std::vector<Shape> read(const OrderedJson* schema, const std::string& path);
  Shape own_shape(const OrderedJson& schema, const std::string& path);
  void read_numbers(const OrderedJson& schema, const std::string& path, Shape& shape);
  void read_strings(const OrderedJson& schema, const std::string& path, Shape& shape);
  void read_values(const OrderedJson& schema, const std::string& path, Shape& shape);
  std::vector<Shape> read_alternatives(const OrderedJson& schema, const char* keyword,
                                       const std::string& path);
  void check_disjoint(const std::vector<std::vector<Shape>>& alternatives, const SchemaSet& schemas,
                      const std::string& path);
  bool excludes(const Shape& made, const Shape& other, int depth);
  bool excludes(const SchemaSet& made, const SchemaSet& other, int depth);
  bool excludes_all(const SchemaSet& made, const SchemaSet& other, int depth);
  bool excludes_objects(const Shape& made, const Shape& other, int depth);
  std::vector<Shape> joined(const std::vector<Shape>& a, const std::vector<Shape>& b,
                            const std::string& path);
  void keep_path(const OrderedJson* schema, const std::string& path);
  void add_others(const std::vector<ObjectPart>& parts, ObjectShape& shape);

  const OrderedJson& root_;
  std::unordered_map<const OrderedJson*, std::string> paths_;
  std::set<const OrderedJson*> open_;  // being read: what comes back to one goes in a circle
  std::map<std::pair<std::string, std::string>, TextAutomaton> patterns_;
  size_t n_reads_ = 0;
  int nesting_ = 0;
};

// Joins the values of `type` into kinds. Throws SchemaRefused.
unsigned read_kinds(const OrderedJson& type, const std::string& path);
unsigned kind_of(const OrderedJson& value);

}  // namespace lapidary
