// Whether a JSON value satisfies a schema: which values of an enum its other keywords leave. Knows
// the keywords that SchemaReader knows. One thread.
// Refuses, with SchemaRefused, what the reader refuses. Where the reader takes a narrower set of
// strings (formats), so does this.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "engine/grammar/regex_reader.h"
#include "server/schema/schema_reader.h"

namespace lapidary {

class ValueCheck {
 public:
  explicit ValueCheck(SchemaReader& reader) : reader_(reader) {}

  bool holds(const OrderedJson& value, const OrderedJson& schema, const std::string& path);

 private:
  bool holds_scalar(const OrderedJson& value, const OrderedJson& schema);
  bool holds_object(const OrderedJson& value, const OrderedJson& schema, const std::string& path);
  bool holds_array(const OrderedJson& value, const OrderedJson& schema, const std::string& path);
  bool holds_joined(const OrderedJson& value, const OrderedJson& schema, const std::string& path);

  bool matches(const std::string& pattern, RegexUse use, const std::string& text);

  SchemaReader& reader_;
  std::map<std::pair<RegexUse, std::string>, TextAutomaton> patterns_;
  int nesting_ = 0;
  size_t n_checks_ = 0;
};

}  // namespace lapidary
