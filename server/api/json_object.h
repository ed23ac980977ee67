// Taking a JSON object apart: for bodies that are rewritten. Pure, any thread.
#pragma once

#include <initializer_list>

#include <nlohmann/json.hpp>

namespace lapidary {

// A copy of a field; `fallback` where it is absent or null. REQUIRES: an object.
nlohmann::json field(const nlohmann::json& object, const char* name,
                     nlohmann::json fallback = nullptr);

// Takes a field out; null where it is absent. REQUIRES: an object.
nlohmann::json take(nlohmann::json& object, const char* name);

// Takes these fields out, those that are there, as an object. REQUIRES: an object.
nlohmann::json moved(nlohmann::json& object, std::initializer_list<const char*> names);

}  // namespace lapidary
