// How Python writes what JSON holds: the official chat template runs on Python, and the model has
// seen its spelling. Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace lapidary {

// str.lower(), by which the template orders keys; but for the final sigma, which stays `σ`.
// REQUIRES: valid UTF-8.
std::string python_lower(std::string_view text);

// str() of a number: an integer as its digits, any other shortest first and always told apart from
// an integer: "2.0", "1e-07", "1e+20", "-0.0". REQUIRES: value.is_number().
std::string python_number(const nlohmann::json& value);

// The entries of an object as `dictsort` lists them: by python_lower of the key, keys that differ
// only in case by code point.
std::vector<std::pair<const std::string*, const nlohmann::json*>> python_sorted(
    const nlohmann::json& object);

}  // namespace lapidary
