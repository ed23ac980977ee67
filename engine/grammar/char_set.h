// A set of code points as sorted, disjoint ranges; what a character class of a regular expression
// or a grammar stands for. A value.
#pragma once

#include <utility>
#include <vector>

namespace lapidary {

class CharSet {
 public:
  using Range = std::pair<char32_t, char32_t>;  // both ends belong to it

  CharSet() = default;
  CharSet(std::initializer_list<Range> ranges);

  void add(char32_t lo, char32_t hi);
  void add(const CharSet& other);
  // Of all code points but the surrogates.
  CharSet opposite() const;
  // Sorted, disjoint, without surrogates.
  std::vector<Range> ranges() const;

  static CharSet digits();       // 0-9
  static CharSet word();         // letters, digits, underscore, of ASCII
  static CharSet white_space();  // ECMAScript's WhiteSpace and LineTerminator

 private:
  std::vector<Range> added_;
};

}  // namespace lapidary
