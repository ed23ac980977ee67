// What a call says when it throws.
#pragma once

#include <exception>
#include <string>

namespace lapidary {

// The message; empty when nothing was thrown.
template <typename Error, typename Call>
std::string thrown_by(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace lapidary
