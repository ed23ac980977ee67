#include "config/json_scan.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "config/utf8.h"

namespace lapidary {
namespace {

// No double needs more digits than this to be told from its neighbours; longer literals only keep
// the parser behind us busy.
constexpr size_t kMaxNumberLength = 1000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The place of the leading digit of a decimal literal: 0 for 1..9, 3 for 1000, -2 for 0.01.
// Needed only where from_chars says "out of range", which may mean too large or too small.
int64_t leading_exponent(std::string_view number) {
  int64_t exponent = 0;
  const size_t e = number.find_first_of("eE");
  if (e != std::string_view::npos) {
    std::string_view digits = number.substr(e + 1);
    const bool negative = digits.front() == '-';
    if (digits.front() == '-' || digits.front() == '+') digits.remove_prefix(1);
    for (char c : digits) exponent = std::min<int64_t>(exponent * 10 + (c - '0'), 1'000'000'000);
    if (negative) exponent = -exponent;
  }
  const std::string_view mantissa = number.substr(0, e);
  const size_t point = std::min(mantissa.find('.'), mantissa.size());
  const size_t lead = mantissa.find_first_of("123456789");
  if (lead == std::string_view::npos) return exponent;
  const auto place = static_cast<int64_t>(point) - static_cast<int64_t>(lead);
  return exponent + (place > 0 ? place - 1 : place);
}

class Scanner {
 public:
  Scanner(std::string_view text, const JsonLimits& limits) : text_(text), limits_(limits) {}

  std::optional<JsonFault> run() {
    if (text_.size() > limits_.max_bytes) {
      fail("the text is longer than " + std::to_string(limits_.max_bytes) + " bytes",
           limits_.max_bytes);
    } else {
      scan();
    }
    return std::move(fault_);
  }

 private:
  struct Container {
    bool is_object;
    size_t first_key;  // where this object's keys begin in keys_
  };

  // Every step returns whether to go on; a false one has set fault_.
  bool fail(std::string reason, size_t offset) {
    fault_ = JsonFault{std::move(reason), offset};
    return false;
  }
  bool fail_here(const char* expected) {
    if (at_ >= text_.size()) return fail("the text ends too early", text_.size());
    return fail(expected, at_);
  }

  bool scan() {
    do {
      skip_space();
      if (!value()) return false;
    } while (!open_.empty() || !done_);
    skip_space();
    if (at_ < text_.size()) return fail("there is more text after the JSON value", at_);
    return true;
  }

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) {
      ++at_;
    }
  }

  // One value up to the place where the next one begins: opens containers, and behind a complete
  // value closes those that end there.
  bool value() {
    if (++n_values_ > limits_.max_values) {
      return fail("there are more than " + std::to_string(limits_.max_values) + " values", at_);
    }
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    if (c == '{' || c == '[') {
      bool empty = false;
      if (!open(c == '{', empty)) return false;
      if (!empty) return true;
      close();
    } else if (c == '"') {
      if (!string()) return false;
    } else if (c == '-' || is_digit(c)) {
      if (!number()) return false;
    } else if (!literal("true") && !literal("false") && !literal("null")) {
      return fail_here("a value was expected");
    }
    return after_value();
  }

  bool open(bool is_object, bool& empty) {
    if (open_.size() >= limits_.max_depth) {
      return fail("containers are nested more than " + std::to_string(limits_.max_depth) + " deep",
                  at_);
    }
    open_.push_back({is_object, keys_.size()});
    ++at_;
    skip_space();
    empty = at_ < text_.size() && text_[at_] == (is_object ? '}' : ']');
    return empty || !is_object || key();
  }

  // At the closing bracket of the innermost container.
  void close() {
    ++at_;
    open_.pop_back();
  }

  bool after_value() {
    while (!open_.empty()) {
      skip_space();
      const bool is_object = open_.back().is_object;
      const char c = at_ < text_.size() ? text_[at_] : '\0';
      if (c == ',') {
        ++at_;
        if (!is_object) return true;
        skip_space();
        return key();
      }
      if (c != (is_object ? '}' : ']')) {
        return fail_here(is_object ? "',' or '}' was expected" : "',' or ']' was expected");
      }
      if (is_object && limits_.reject_duplicate_keys && !keys_differ()) return false;
      close();
    }
    done_ = true;
    return true;
  }

  bool key() {
    const size_t begin = at_;
    if (at_ >= text_.size() || text_[at_] != '"') return fail_here("an object's key was expected");
    if (!string()) return false;
    if (limits_.reject_duplicate_keys) {
      keys_.push_back({text_.substr(begin + 1, at_ - begin - 2), begin});
    }
    skip_space();
    if (at_ >= text_.size() || text_[at_] != ':') return fail_here("':' was expected");
    ++at_;
    return true;
  }

  // Sorting keeps this O(n log n) for any keys, where a hash table has a worst case.
  bool keys_differ();

  bool literal(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  bool string();
  bool escape();
  bool unicode_escape();
  std::optional<unsigned> four_hex_digits() const;
  bool number();
  bool number_in_range(std::string_view number, bool is_integer);

  struct Key {
    std::string_view raw;  // between the quotes, escapes and all
    size_t offset;
  };

  std::string_view text_;
  const JsonLimits& limits_;
  size_t at_ = 0;
  size_t n_values_ = 0;
  bool done_ = false;
  std::vector<Container> open_;
  std::vector<Key> keys_;  // of the open objects, outermost first
  std::optional<JsonFault> fault_;
};

bool Scanner::keys_differ() {
  const size_t first = open_.back().first_key;
  std::vector<std::string> escaped;
  // Keys without escapes, which is nearly all of them, are compared where they stand.
  std::vector<Key> sorted;
  sorted.reserve(keys_.size() - first);
  escaped.reserve(keys_.size() - first);
  for (size_t i = first; i < keys_.size(); ++i) {
    const Key& key = keys_[i];
    if (key.raw.find('\\') == std::string_view::npos) {
      sorted.push_back(key);
    } else {
      escaped.emplace_back();
      append_unescaped(key.raw, escaped.back());
      sorted.push_back({escaped.back(), key.offset});
    }
  }
  keys_.resize(first);
  std::sort(sorted.begin(), sorted.end(), [](const Key& a, const Key& b) {
    return a.raw != b.raw ? a.raw < b.raw : a.offset < b.offset;
  });
  const auto twin = std::adjacent_find(sorted.begin(), sorted.end(),
                                       [](const Key& a, const Key& b) { return a.raw == b.raw; });
  if (twin == sorted.end()) return true;
  return fail("an object has the same key twice", (twin + 1)->offset);
}

// Whether all eight bytes are plain: ASCII, neither control characters nor '"' nor '\'.
bool plain_eight(const char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, 8);
  constexpr uint64_t kOnes = 0x0101010101010101, kHigh = 0x8080808080808080;
  const auto zero_byte = [](uint64_t x) { return (x - kOnes) & ~x & kHigh; };
  const uint64_t below_space = (word - kOnes * 0x20) & ~word & kHigh;
  return ((word & kHigh) | below_space | zero_byte(word ^ kOnes * '"') |
          zero_byte(word ^ kOnes * '\\')) == 0;
}

bool Scanner::string() {
  const size_t begin = at_;
  ++at_;
  while (at_ < text_.size()) {
    while (text_.size() - at_ >= 8 && plain_eight(text_.data() + at_)) at_ += 8;
    if (at_ >= text_.size()) break;
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (c == '"') {
      ++at_;
      return true;
    }
    if (c == '\\') {
      if (!escape()) return false;
    } else if (c < 0x20) {
      return fail("a string holds an unescaped control character", at_);
    } else {
      const int length = read_utf8(text_, at_).length;
      if (length == 0) return fail("a string is not valid UTF-8", at_);
      at_ += static_cast<size_t>(length);
    }
  }
  return fail("a string is not closed", begin);
}

bool Scanner::escape() {
  if (at_ + 1 >= text_.size()) return fail("a string is not closed", at_);
  const char c = text_[at_ + 1];
  if (c == 'u') return unicode_escape();
  if (std::string_view("\"\\/bfnrt").find(c) == std::string_view::npos) {
    return fail("a string has an unknown escape", at_);
  }
  at_ += 2;
  return true;
}

// The value of the \uXXXX at at_, if it is one.
std::optional<unsigned> Scanner::four_hex_digits() const {
  if (text_.size() - at_ < 6 || text_[at_] != '\\' || text_[at_ + 1] != 'u') return std::nullopt;
  unsigned value = 0;
  for (size_t i = 2; i < 6; ++i) {
    const int digit = hex_digit(text_[at_ + i]);
    if (digit < 0) return std::nullopt;
    value = value << 4 | static_cast<unsigned>(digit);
  }
  return value;
}

bool Scanner::unicode_escape() {
  const size_t begin = at_;
  const std::optional<unsigned> first = four_hex_digits();
  if (!first) return fail("a \\u escape needs four hexadecimal digits", begin);
  at_ += 6;
  if (*first < 0xD800 || *first > 0xDFFF) return true;
  const std::optional<unsigned> second = four_hex_digits();
  if (*first > 0xDBFF || !second || *second < 0xDC00 || *second > 0xDFFF) {
    return fail("a \\u escape is half of a surrogate pair", begin);
  }
  at_ += 6;
  return true;
}

bool Scanner::number() {
  const size_t begin = at_;
  const auto skip_digits = [&] {
    const size_t from = at_;
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    return at_ > from;
  };
  if (text_[at_] == '-') ++at_;
  if (at_ < text_.size() && text_[at_] == '0') {
    ++at_;
    if (at_ < text_.size() && is_digit(text_[at_])) {
      return fail("a number begins with a superfluous zero", begin);
    }
  } else if (!skip_digits()) {
    return fail_here("a digit was expected");
  }
  bool is_integer = true;
  if (at_ < text_.size() && text_[at_] == '.') {
    is_integer = false;
    ++at_;
    if (!skip_digits()) return fail_here("a digit was expected");
  }
  if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
    is_integer = false;
    ++at_;
    if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
    if (!skip_digits()) return fail_here("a digit was expected");
  }
  const std::string_view literal = text_.substr(begin, at_ - begin);
  if (literal.size() > kMaxNumberLength) return fail("a number has too many digits", begin);
  return number_in_range(literal, is_integer) || fail("a number is out of range", begin);
}

bool Scanner::number_in_range(std::string_view number, bool is_integer) {
  const char* begin = number.data();
  const char* end = begin + number.size();
  if (is_integer && number.front() == '-') {
    int64_t value;
    return std::from_chars(begin, end, value).ec == std::errc();
  }
  if (is_integer) {
    uint64_t value;
    return std::from_chars(begin, end, value).ec == std::errc();
  }
  double value;
  if (std::from_chars(begin, end, value).ec == std::errc()) return true;
  return leading_exponent(number) < 0;  // too small for a double: reads as zero
}

}  // namespace

std::optional<JsonFault> scan_json(std::string_view text, const JsonLimits& limits) {
  return Scanner(text, limits).run();
}

void append_unescaped(std::string_view raw, std::string& text) {
  const auto unit = [&](size_t i) {
    char32_t value = 0;
    for (const char c : raw.substr(i, 4)) value = value << 4 | static_cast<char32_t>(hex_digit(c));
    return value;
  };
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\') {
      text.push_back(raw[i]);
      continue;
    }
    constexpr std::string_view kFrom = "bfnrt", kTo = "\b\f\n\r\t";
    const char c = raw[++i];
    if (const size_t k = kFrom.find(c); k != std::string_view::npos) {
      text.push_back(kTo[k]);
    } else if (c != 'u') {
      text.push_back(c);
    } else {
      char32_t value = unit(i + 1);
      i += 4;
      if (value >= 0xD800 && value < 0xDC00) {
        value = 0x10000 + ((value - 0xD800) << 10) + (unit(i + 3) - 0xDC00);
        i += 6;
      }
      append_utf8(value, text);
    }
  }
}

}  // namespace lapidary
