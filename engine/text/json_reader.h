// Walks over JSON text value by value without building a tree: a tokenizer.json holds 800,000
// values, of which most are needed once. Owns nothing but its position; used by one thread.
// REQUIRES: the text has passed scan_json. Asking for another kind of value than is there is a
// mistake of the caller, who looks at kind() first.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace lapidary {

class JsonReader {
 public:
  enum class Kind { kObject, kArray, kString, kNumber, kLiteral };

  explicit JsonReader(std::string_view text) : text_(text) {}

  Kind kind();

  // enter(); while (next_key(key)) { one value is read }       for an object
  // enter(); while (next_element()) { one value is read }      for an array
  void enter();
  bool next_key(std::string& key);
  bool next_element();

  void read_string(std::string& text);
  // Nothing when the number is no integer of 64 bits.
  std::optional<long long> read_integer();
  // Passes over one value of any kind; gives its text.
  std::string_view read_raw();

 private:
  void skip_space();
  bool next(char closing);
  void skip_string();

  std::string_view text_;
  size_t at_ = 0;
  bool first_ = false;  // just behind an opening bracket
};

}  // namespace lapidary
