#include "server/dialect/python_spelling.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <iterator>

#include "config/utf8.h"
#include "kernels/check.h"
#include "server/dialect/lower_case_table.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

char32_t lower(char32_t c) {
  const auto* after = std::upper_bound(
      std::begin(kLowerCaseRanges), std::end(kLowerCaseRanges), c,
      [](char32_t code, const LowerCaseRange& range) { return code < range.first; });
  if (after == std::begin(kLowerCaseRanges)) return c;
  const LowerCaseRange& range = *(after - 1);
  if (c > range.last || (c - range.first) % range.step != 0) return c;
  return static_cast<char32_t>(static_cast<int32_t>(c) + range.shift);
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

std::string python_float(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end =
      std::to_chars(buffer, std::end(buffer), value, std::chars_format::scientific).ptr;
  const std::string_view text(buffer, static_cast<size_t>(end - buffer));
  const size_t e = text.find('e');
  int exponent = 0;
  const char* digits_of_exponent = text.data() + e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(digits_of_exponent, end, exponent);
  // As Python's repr: fixed from 1e-4 up to below 1e16. The scientific form is already Python's.
  if (exponent < -4 || exponent >= 16) return std::string(text);
  const auto fixed_end =
      std::to_chars(buffer, std::end(buffer), value, std::chars_format::fixed).ptr;
  std::string fixed(buffer, fixed_end);
  if (fixed.find('.') == std::string::npos) fixed += ".0";
  return fixed;
}

}  // namespace

std::string python_lower(std::string_view text) {
  std::string lowered;
  lowered.reserve(text.size());
  if (is_ascii(text)) {
    for (const char c : text) {
      lowered += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return lowered;
  }
  for (size_t at = 0; at < text.size();) {
    const Utf8CodePoint point = read_utf8(text, at);
    if (point.length == 0) {
      lowered += text[at++];
      continue;
    }
    at += static_cast<size_t>(point.length);
    if (point.value == 0x130) {
      lowered += "i\u0307";
    } else {
      append_utf8(lower(point.value), lowered);
    }
  }
  return lowered;
}

std::string python_number(const Json& value) {
  CHECK(value.is_number());
  if (value.is_number_float()) return python_float(value.get<double>());
  return value.dump();
}

std::vector<std::pair<const std::string*, const Json*>> python_sorted(const Json& object) {
  struct Entry {
    std::string lowered;
    std::pair<const std::string*, const Json*> item;
  };
  std::vector<Entry> entries;
  for (auto it = object.begin(); it != object.end(); ++it) {
    entries.push_back({python_lower(it.key()), {&it.key(), &*it}});
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.lowered < b.lowered; });
  std::vector<std::pair<const std::string*, const Json*>> sorted;
  for (Entry& entry : entries) sorted.push_back(entry.item);
  return sorted;
}

}  // namespace lapidary
