// The JSON of schemas: an object keeps the order of its keys, since that is the order in which an
// answer has to give them.
#pragma once

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace lapidary {

using OrderedJson = nlohmann::ordered_json;

// What about a schema is not supported, and where: "/properties/a/pattern". Thrown while a schema
// is compiled, caught by GrammarCompiler.
class SchemaRefused : public std::runtime_error {
 public:
  SchemaRefused(std::string path, const std::string& reason)
      : std::runtime_error(reason), path_(std::move(path)) {}
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace lapidary
