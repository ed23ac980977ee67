// Gathers the pieces of a prompt: control tokens by name, and texts between them. Adjacent texts
// become one, so that each is a whole byte-pair run. Owned by one rendering.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lapidary {

struct PromptPiece {
  bool is_control = false;
  std::string text;  // a control token's name (`<|turn>`), or text in UTF-8, never empty
  // Instead of a text: a run of tokens that begins and ends with control tokens, as generated.
  std::vector<int32_t> tokens = {};
  int media = -1;  // of a placeholder: whose soft tokens stand here
};

class PromptWriter {
 public:
  void control(std::string_view name) {
    pieces_.push_back({.is_control = true, .text = std::string(name)});
  }

  void media(std::string_view placeholder, int place) {
    pieces_.push_back({.is_control = true, .text = std::string(placeholder), .media = place});
  }

  void generated(std::span<const int32_t> tokens) {
    pieces_.push_back({.is_control = true, .text = {}, .tokens = {tokens.begin(), tokens.end()}});
  }

  void text(std::string_view text) {
    if (text.empty()) return;
    if (pieces_.empty() || pieces_.back().is_control) pieces_.emplace_back();
    pieces_.back().text += text;
  }

  // A string as tools are told one: no escapes, since its delimiter cannot be spelled by a text.
  void quoted(std::string_view content) {
    control("<|\"|>");
    text(content);
    control("<|\"|>");
  }

  bool empty() const { return pieces_.empty(); }
  std::vector<PromptPiece> take() { return std::move(pieces_); }

 private:
  std::vector<PromptPiece> pieces_;
};

}  // namespace lapidary
