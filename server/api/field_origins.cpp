#include "server/api/field_origins.h"

#include <cctype>
#include <utility>

namespace lapidary {
namespace {

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// The first place where `path` stands by itself, not as a part of a longer word.
size_t find_path(const std::string& text, const std::string& path) {
  for (size_t at = text.find(path); at != std::string::npos; at = text.find(path, at + 1)) {
    const size_t end = at + path.size();
    const bool begins = at == 0 || (!is_word(text[at - 1]) && text[at - 1] != '.');
    if (begins && (end == text.size() || !is_word(text[end]))) return at;
  }
  return std::string::npos;
}

}  // namespace

void FieldOrigins::add(std::string chat_path, std::string own_path) {
  origins_.insert_or_assign(std::move(chat_path), std::move(own_path));
}

std::string FieldOrigins::own_path(std::string_view chat_path) const {
  std::string_view known = chat_path;
  while (!known.empty()) {
    const auto it = origins_.find(known);
    if (it != origins_.end()) return it->second + std::string(chat_path.substr(known.size()));
    const size_t cut = known.find_last_of(".[");
    known = known.substr(0, cut == std::string_view::npos ? 0 : cut);
  }
  return std::string(chat_path);
}

ApiError FieldOrigins::restate(ApiError error) const {
  if (error.param.empty()) return error;
  std::string own = own_path(error.param);
  if (own == error.param) return error;
  const size_t at = find_path(error.message, error.param);
  if (at != std::string::npos) error.message.replace(at, error.param.size(), own);
  error.param = std::move(own);
  return error;
}

std::string element_path(std::string_view list, size_t index) {
  return std::string(list) + "[" + std::to_string(index) + "]";
}

}  // namespace lapidary
