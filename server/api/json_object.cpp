#include "server/api/json_object.h"

#include <utility>

namespace lapidary {

using Json = nlohmann::json;

Json field(const Json& object, const char* name, Json fallback) {
  const auto it = object.find(name);
  return it == object.end() || it->is_null() ? std::move(fallback) : *it;
}

Json take(Json& object, const char* name) {
  const auto it = object.find(name);
  if (it == object.end()) return nullptr;
  Json value = std::move(*it);
  object.erase(it);
  return value;
}

Json moved(Json& object, std::initializer_list<const char*> names) {
  Json to = Json::object();
  for (const char* name : names) {
    if (Json value = take(object, name); !value.is_null()) to[name] = std::move(value);
  }
  return to;
}

}  // namespace lapidary
