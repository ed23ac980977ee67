#include "engine/text/control_tokens.h"

#include <algorithm>
#include <functional>

namespace lapidary {

void ControlTokens::add(std::string_view text, int32_t id) {
  ids_.emplace(text, id);
  begins_[static_cast<unsigned char>(text.front())] = true;
  const auto place =
      std::lower_bound(lengths_.begin(), lengths_.end(), text.size(), std::greater<>());
  if (place == lengths_.end() || *place != text.size()) lengths_.insert(place, text.size());
  const auto i = static_cast<size_t>(id);
  if (i >= is_control_.size()) is_control_.resize(i + 1);
  is_control_[i] = true;
}

std::optional<int32_t> ControlTokens::find(std::string_view text) const {
  const auto entry = ids_.find(std::string(text));
  if (entry == ids_.end()) return std::nullopt;
  return entry->second;
}

std::optional<ControlTokens::Match> ControlTokens::next_match(std::string_view text,
                                                              size_t from) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    if (!begins_[static_cast<unsigned char>(text[begin])]) continue;
    for (const size_t length : lengths_) {
      if (length > text.size() - begin) continue;
      if (const std::optional<int32_t> id = find(text.substr(begin, length))) {
        return Match{begin, length, *id};
      }
    }
  }
  return std::nullopt;
}

}  // namespace lapidary
