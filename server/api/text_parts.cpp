#include "server/api/text_parts.h"

#include <utility>

#include "server/api/field_origins.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxParts = 256;
constexpr size_t kMaxTypeBytes = 64;
constexpr size_t kAnyLength = SIZE_MAX;  // the body's size is the limit

}  // namespace

std::string parse_text_part(const Fields& part, std::span<const TextPart> kinds) {
  const auto type = part.text("type", kMaxTypeBytes);
  if (!type) throw api_error::missing_parameter(part.path("type"));
  for (const TextPart& kind : kinds) {
    if (*type != kind.type) continue;
    auto text = part.text(kind.field, kAnyLength);
    if (!text) throw api_error::missing_parameter(part.path(kind.field));
    return *std::move(text);
  }
  throw api_error::unsupported_value(part.path("type"),
                                     "content of type '" + *type +
                                         "' cannot be read by this server here; it takes '" +
                                         kinds.front().type + "'.");
}

std::vector<std::string> parse_texts(const Json& content, const std::string& path,
                                     std::span<const TextPart> kinds) {
  if (content.is_string()) return {content.get<std::string>()};
  if (!content.is_array()) {
    throw api_error::invalid_type(path, "a string or an array of parts", type_name(content));
  }
  check_array(content, path, 0, kMaxParts);
  std::vector<std::string> texts;
  for (size_t i = 0; i < content.size(); ++i) {
    const std::string part = element_path(path, i);
    check_object(content[i], part);
    texts.push_back(parse_text_part(Fields(content[i], part), kinds));
  }
  return texts;
}

Json chat_content(std::vector<std::string> texts) {
  if (texts.empty()) return "";
  if (texts.size() == 1) return std::move(texts.front());
  Json parts = Json::array();
  for (std::string& text : texts) {
    parts.push_back({{"type", "text"}, {"text", std::move(text)}});
  }
  return parts;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += text;
  return all;
}

}  // namespace lapidary
