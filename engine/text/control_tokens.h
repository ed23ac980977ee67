// The control tokens of a tokenizer (its file's added tokens) and where a text spells them. Filled
// while a tokenizer is loaded, read by any thread afterwards.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace lapidary {

class ControlTokens {
 public:
  struct Match {
    size_t begin;
    size_t length;
    int32_t id;
  };

  // REQUIRES: text is not empty and was not added before.
  void add(std::string_view text, int32_t id);

  std::optional<int32_t> find(std::string_view text) const;
  bool contains(int32_t id) const {
    const auto i = static_cast<size_t>(id);
    return i < is_control_.size() && is_control_[i];
  }
  // The first control token at or behind `from`; of several that begin there, the longest.
  std::optional<Match> next_match(std::string_view text, size_t from) const;

 private:
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<size_t> lengths_;  // that occur, longest first
  std::array<bool, 256> begins_{};
  std::vector<bool> is_control_;
};

}  // namespace lapidary
