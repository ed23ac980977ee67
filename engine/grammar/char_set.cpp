#include "engine/grammar/char_set.h"

#include <algorithm>

namespace lapidary {
namespace {
constexpr char32_t kLast = 0x10FFFF;
}  // namespace

CharSet::CharSet(std::initializer_list<Range> ranges) : added_(ranges) {}

void CharSet::add(char32_t lo, char32_t hi) { added_.emplace_back(lo, hi); }

void CharSet::add(const CharSet& other) {
  added_.insert(added_.end(), other.added_.begin(), other.added_.end());
}

std::vector<CharSet::Range> CharSet::ranges() const {
  std::vector<Range> cut;
  for (const auto& [lo, hi] : added_) {
    if (lo < 0xD800) cut.emplace_back(lo, std::min<char32_t>(hi, 0xD7FF));
    if (hi > 0xDFFF) cut.emplace_back(std::max<char32_t>(lo, 0xE000), std::min(hi, kLast));
  }
  std::sort(cut.begin(), cut.end());
  std::vector<Range> merged;
  for (const Range& range : cut) {
    if (range.second < range.first) continue;
    if (!merged.empty() && range.first <= merged.back().second + 1) {
      merged.back().second = std::max(merged.back().second, range.second);
    } else {
      merged.push_back(range);
    }
  }
  return merged;
}

CharSet CharSet::opposite() const {
  CharSet made;
  char32_t from = 0;
  for (const auto& [lo, hi] : ranges()) {
    if (from < lo) made.add(from, lo - 1);
    from = hi + 1;
  }
  if (from <= kLast) made.add(from, kLast);
  return made;
}

CharSet CharSet::digits() { return {{'0', '9'}}; }

CharSet CharSet::word() { return {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}; }

CharSet CharSet::white_space() {
  return {{0x09, 0x0D},     {0x20, 0x20},     {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
          {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
}

}  // namespace lapidary
