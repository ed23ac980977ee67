#include "server/schema/decimal.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace lapidary {
namespace {

constexpr int kMaxDigits = 15;

int compare_sizes(const Decimal& a, const Decimal& b) {
  if (a.whole.size() != b.whole.size()) return a.whole.size() < b.whole.size() ? -1 : 1;
  if (const int order = a.whole.compare(b.whole); order != 0) return order < 0 ? -1 : 1;
  const int order = a.fraction.compare(b.fraction);
  return order == 0 ? 0 : order < 0 ? -1 : 1;
}

int64_t remainder(const std::string& digits, int64_t divisor) {
  int64_t rest = 0;
  for (const char digit : digits) rest = (10 * rest + (digit - '0')) % divisor;
  return rest;
}

}  // namespace

std::optional<Decimal> Decimal::of(const OrderedJson& number) {
  std::string text = number.dump();
  Decimal made;
  if (text.front() == '-') {
    made.is_negative = true;
    text.erase(0, 1);
  }
  int exponent = 0;
  if (const size_t e = text.find_first_of("eE"); e != std::string::npos) {
    if (text.size() - e > 5) return std::nullopt;
    exponent = std::stoi(text.substr(e + 1));
    text.resize(e);
  }
  const size_t point = std::min(text.find('.'), text.size());
  std::string digits = text.substr(0, point);
  int n_whole = static_cast<int>(digits.size()) + exponent;
  if (point < text.size()) digits += text.substr(point + 1);
  if (n_whole > 2 * kMaxDigits || n_whole < -kMaxDigits) return std::nullopt;
  if (n_whole < 0) {
    digits.insert(0, static_cast<size_t>(-n_whole), '0');
    n_whole = 0;
  }
  if (digits.size() < static_cast<size_t>(n_whole))
    digits.resize(static_cast<size_t>(n_whole), '0');
  made.whole = digits.substr(0, static_cast<size_t>(n_whole));
  made.fraction = digits.substr(static_cast<size_t>(n_whole));
  made.whole.erase(0, std::min(made.whole.find_first_not_of('0'), made.whole.size()));
  made.fraction.erase(made.fraction.find_last_not_of('0') + 1);
  if (made.whole.size() + made.fraction.size() > kMaxDigits) return std::nullopt;
  if (made.whole.empty()) made.whole = "0";
  if (made.is_zero()) made.is_negative = false;
  return made;
}

int compare(const Decimal& a, const Decimal& b) {
  if (a.is_negative != b.is_negative) return a.is_negative ? -1 : 1;
  return a.is_negative ? compare_sizes(b, a) : compare_sizes(a, b);
}

void NumberBounds::at_least(const Bound& bound) {
  const int order = min ? compare(bound.value, min->value) : 1;
  if (order > 0 || (order == 0 && bound.is_open)) min = bound;
}

void NumberBounds::at_most(const Bound& bound) {
  const int order = max ? compare(bound.value, max->value) : -1;
  if (order < 0 || (order == 0 && bound.is_open)) max = bound;
}

bool NumberBounds::holds(const Decimal& value) const {
  if (min) {
    const int order = compare(value, min->value);
    if (order < 0 || (order == 0 && min->is_open)) return false;
  }
  if (max) {
    const int order = compare(value, max->value);
    if (order > 0 || (order == 0 && max->is_open)) return false;
  }
  if (multiple_of == 1) return true;
  return value.fraction.empty() && remainder(value.whole, multiple_of) == 0;
}

bool NumberBounds::excludes(const NumberBounds& other) const {
  const auto is_below = [](const std::optional<Bound>& a, const std::optional<Bound>& b) {
    if (!a || !b) return false;  // a: the end of one range, b: the begin of the other
    const int order = compare(a->value, b->value);
    return order < 0 || (order == 0 && (a->is_open || b->is_open));
  };
  return is_below(max, other.min) || is_below(other.max, min);
}

namespace {

// The sizes (numbers without sign) between two bounds, digit by digit. A state is: how many digits
// of the whole part are to come, how many of the fraction are there, whether all digits so far are
// those of the lower and of the upper bound, and the rest by `multiple_of`.
class SizeWriter {
 public:
  using Bound = NumberBounds::Bound;
  SizeWriter(RuleGraph& graph, std::optional<Bound> min, std::optional<Bound> max,
             int64_t multiple_of, bool integers_only, uint32_t to)
      : graph_(graph),
        min_(std::move(min)),
        max_(std::move(max)),
        multiple_of_(multiple_of),
        integers_only_(integers_only),
        to_(to) {}

  void write(uint32_t from) {
    for (int n_whole = 1; n_whole <= kMaxDigits; ++n_whole) {
      n_whole_ = n_whole;
      const int low = min_ ? compare_length(min_->value.whole) : 1;
      const int high = max_ ? compare_length(max_->value.whole) : -1;
      if (low < 0 || high > 0) continue;
      graph_.add_skip(from, state({0, -1, low == 0, high == 0, 0}));
    }
  }

 private:
  struct Place {
    int n_digits = 0;     // of the whole part that are there
    int n_fraction = -1;  // of the fraction; -1: no point yet
    bool at_min = false, at_max = false;
    int64_t rest = 0;
  };

  using Key = std::tuple<int, int, int, bool, bool, int64_t>;
  // Away from the bounds integers of all lengths share what follows.
  Key key(const Place& place) const {
    const bool is_shared = integers_only_ && !place.at_min && !place.at_max && place.n_digits > 0;
    return {is_shared ? 0 : n_whole_,
            n_whole_ - place.n_digits,
            place.n_fraction,
            place.at_min,
            place.at_max,
            place.rest};
  }

  int compare_length(const std::string& whole) const {
    const int n = static_cast<int>(whole.size());
    return n_whole_ < n ? -1 : n_whole_ > n ? 1 : 0;
  }

  uint32_t state(const Place& place) {
    const auto [at, is_new] = states_.emplace(key(place), 0);
    if (!is_new) return at->second;
    const uint32_t made = at->second = graph_.add_state();
    if (may_end(place)) graph_.add_skip(made, to_);
    const bool is_whole = place.n_digits == n_whole_;
    if (!is_whole || place.n_fraction >= 0) {
      if (n_whole_ + std::max(place.n_fraction, 0) < kMaxDigits || !is_whole) {
        for (int digit = 0; digit <= 9; ++digit) add_digit(made, place, digit);
      }
    } else if (!integers_only_ && n_whole_ < kMaxDigits) {
      Place next = place;
      next.n_fraction = 0;
      graph_.add_bytes(made, '.', '.', state(next));
    }
    return made;
  }

  static int digit_of(const Decimal& value, const Place& place) {
    const std::string& part = place.n_fraction < 0 ? value.whole : value.fraction;
    const auto i = static_cast<size_t>(std::max(place.n_fraction, 0) +
                                       (place.n_fraction < 0 ? place.n_digits : 0));
    return i < part.size() ? part[i] - '0' : 0;
  }

  void add_digit(uint32_t from, const Place& place, int digit) {
    if (digit == 0 && place.n_digits == 0 && n_whole_ > 1) return;
    Place next = place;
    if (place.at_min) {
      const int low = digit_of(min_->value, place);
      if (digit < low) return;
      next.at_min = digit == low;
    }
    if (place.at_max) {
      const int high = digit_of(max_->value, place);
      if (digit > high) return;
      next.at_max = digit == high;
    }
    (place.n_fraction < 0 ? next.n_digits : next.n_fraction) += 1;
    next.rest = (10 * place.rest + digit) % multiple_of_;
    const auto byte = static_cast<uint8_t>('0' + digit);
    graph_.add_bytes(from, byte, byte, state(next));
  }

  bool may_end(const Place& place) const {
    if (place.n_digits < n_whole_ || place.n_fraction == 0) return false;
    if (place.rest != 0) return false;
    const int n = std::max(place.n_fraction, 0);
    if (place.at_min) {  // as far as it goes it is the bound
      const int n_bound = static_cast<int>(min_->value.fraction.size());
      if (n < n_bound || min_->is_open) return false;
    }
    if (place.at_max) {
      const int n_bound = static_cast<int>(max_->value.fraction.size());
      if (n >= n_bound && max_->is_open) return false;
    }
    return true;
  }

  RuleGraph& graph_;
  const std::optional<Bound> min_, max_;
  const int64_t multiple_of_;
  const bool integers_only_;
  const uint32_t to_;
  int n_whole_ = 0;
  std::map<Key, uint32_t> states_;
};

void add_free_number(RuleGraph& graph, uint32_t from, bool integers_only, uint32_t to) {
  const uint32_t whole = graph.add_state();
  graph.add_bytes(from, '0', '0', whole);
  std::vector<uint32_t> digits = {graph.add_state()};
  graph.add_bytes(from, '1', '9', digits[0]);
  while (digits.size() < kMaxDigits) {
    digits.push_back(graph.add_state());
    graph.add_bytes(digits[digits.size() - 2], '0', '9', digits.back());
  }
  for (const uint32_t state : digits) graph.add_skip(state, whole);
  graph.add_skip(whole, to);
  if (integers_only) return;
  const uint32_t scaled = graph.add_state();
  uint32_t at = graph.add_state();
  graph.add_bytes(whole, '.', '.', at);
  for (int i = 0; i < kMaxDigits; ++i) {
    const uint32_t next = graph.add_state();
    graph.add_bytes(at, '0', '9', next);
    graph.add_skip(next, scaled);
    at = next;
  }
  graph.add_skip(scaled, to);
  graph.add_skip(whole, scaled);
  const uint32_t sign = graph.add_state(), first = graph.add_state(), last = graph.add_state();
  graph.add_bytes(scaled, 'e', 'e', sign);
  graph.add_bytes(scaled, 'E', 'E', sign);
  graph.add_bytes(sign, '+', '+', first);
  graph.add_bytes(sign, '-', '-', first);
  graph.add_skip(sign, first);
  graph.add_bytes(first, '0', '9', last);
  graph.add_bytes(last, '0', '9', to);
  graph.add_skip(last, to);
}

}  // namespace

void add_numbers(RuleGraph& graph, uint32_t from, const NumberBounds& bounds, bool integers_only,
                 uint32_t to) {
  integers_only |= bounds.multiple_of > 1;
  uint32_t minus = graph.add_state();
  graph.add_bytes(from, '-', '-', minus);
  if (bounds.is_free()) {
    add_free_number(graph, from, integers_only, to);
    add_free_number(graph, minus, integers_only, to);
    return;
  }
  const auto write = [&](uint32_t at, std::optional<NumberBounds::Bound> min,
                         std::optional<NumberBounds::Bound> max) {
    SizeWriter(graph, std::move(min), std::move(max), bounds.multiple_of, integers_only, to)
        .write(at);
  };
  const auto& min = bounds.min;
  const auto& max = bounds.max;
  // Of the numbers from 0 up a negative bound says nothing, and of those below 0 the bounds change
  // sides. -0 is not written.
  if (!max || !max->value.is_negative) {
    write(from, min && !min->value.is_negative ? min : std::nullopt, max);
  }
  if (!min || min->value.is_negative) {
    const auto turned = [](NumberBounds::Bound bound) {
      bound.value.is_negative = false;
      return bound;
    };
    std::optional<NumberBounds::Bound> smallest = NumberBounds::Bound{Decimal(), true};
    if (max && max->value.is_negative) smallest = turned(*max);
    write(minus, smallest, min ? std::optional(turned(*min)) : std::nullopt);
  }
}

}  // namespace lapidary
