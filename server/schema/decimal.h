// Decimal numbers as digits, and the ranges of them that a schema allows, written as the texts of
// all numbers inside. Exact: a number is written with at most 15 significant digits, so that two of
// them compare alike as decimals and as doubles. Used by the thread that compiles.
#pragma once

#include <optional>
#include <string>

#include "engine/grammar/rule_graph.h"
#include "server/schema/json_value.h"

namespace lapidary {

struct Decimal {
  bool is_negative = false;
  std::string whole = "0";  // without leading zeros
  std::string fraction;     // without trailing zeros

  bool is_zero() const { return whole == "0" && fraction.empty(); }
  // Nothing for more than 15 significant digits or an exponent that needs more than 15 places.
  static std::optional<Decimal> of(const OrderedJson& number);
};

// -1, 0 or 1.
int compare(const Decimal& a, const Decimal& b);

struct NumberBounds {
  struct Bound {
    Decimal value;
    bool is_open = false;  // the value itself does not belong to the range
  };
  std::optional<Bound> min, max;
  int64_t multiple_of = 1;  // above 1: integers only

  void at_least(const Bound& bound);
  void at_most(const Bound& bound);
  bool is_free() const { return !min && !max && multiple_of == 1; }
  bool holds(const Decimal& value) const;
  // No number is in both.
  bool excludes(const NumberBounds& other) const;

  static constexpr int64_t kMaxMultiple = 1000;
};

// Every number in the bounds leads from `from` to `to`: integers as -?digits, others with a
// fraction too. Without bounds numbers may have an exponent of one or two digits.
void add_numbers(RuleGraph& graph, uint32_t from, const NumberBounds& bounds, bool integers_only,
                 uint32_t to);

}  // namespace lapidary
