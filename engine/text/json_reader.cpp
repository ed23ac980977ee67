#include "engine/text/json_reader.h"

#include <charconv>
#include <system_error>

#include "config/json_scan.h"
#include "kernels/check.h"

namespace lapidary {
void JsonReader::skip_space() {
  while (at_ < text_.size() &&
         (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) {
    ++at_;
  }
  CHECK(at_ < text_.size());
}

JsonReader::Kind JsonReader::kind() {
  skip_space();
  switch (text_[at_]) {
    case '{':
      return Kind::kObject;
    case '[':
      return Kind::kArray;
    case '"':
      return Kind::kString;
    case 't':
    case 'f':
    case 'n':
      return Kind::kLiteral;
    default:
      return Kind::kNumber;
  }
}

void JsonReader::enter() {
  skip_space();
  CHECK(text_[at_] == '{' || text_[at_] == '[');
  ++at_;
  first_ = true;
}

bool JsonReader::next(char closing) {
  skip_space();
  const bool was_first = first_;
  first_ = false;
  if (text_[at_] == closing) {
    ++at_;
    return false;
  }
  if (!was_first) {
    CHECK(text_[at_] == ',');
    ++at_;
    skip_space();
  }
  return true;
}

bool JsonReader::next_key(std::string& key) {
  if (!next('}')) return false;
  read_string(key);
  skip_space();
  CHECK(text_[at_] == ':');
  ++at_;
  return true;
}

bool JsonReader::next_element() { return next(']'); }

void JsonReader::skip_string() {
  CHECK(text_[at_] == '"');
  ++at_;
  while (text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
  ++at_;
}

void JsonReader::read_string(std::string& text) {
  skip_space();
  const size_t begin = at_;
  skip_string();
  text.clear();
  append_unescaped(text_.substr(begin + 1, at_ - begin - 2), text);
}

std::optional<long long> JsonReader::read_integer() {
  const std::string_view raw = read_raw();
  long long value = 0;
  const auto [end, error] = std::from_chars(raw.data(), raw.data() + raw.size(), value);
  if (error != std::errc() || end != raw.data() + raw.size()) return std::nullopt;
  return value;
}

std::string_view JsonReader::read_raw() {
  skip_space();
  const size_t begin = at_;
  size_t depth = 0;
  do {
    const char c = text_[at_];
    if (c == '"') {
      skip_string();
    } else if (c == '{' || c == '[') {
      ++depth;
      ++at_;
    } else if (c == '}' || c == ']') {
      --depth;
      ++at_;
    } else if (depth > 0) {
      ++at_;
    } else {
      while (at_ < text_.size() &&
             std::string_view(",}] \n\t\r").find(text_[at_]) == std::string_view::npos) {
        ++at_;
      }
    }
  } while (depth > 0);
  first_ = false;
  return text_.substr(begin, at_ - begin);
}

}  // namespace lapidary
