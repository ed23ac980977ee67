#include "engine/grammar/regex_reader.h"

#include <optional>
#include <string>

#include "engine/grammar/text_nfa.h"

namespace lapidary {
namespace {

constexpr char32_t kEof = 0xFFFFFFFF;

[[noreturn]] void refuse(const std::string& what) { throw GrammarRefused(what); }

// Recursive descent that writes states as it reads. A piece that is repeated is read again from its
// text for each copy, so nothing needs to be kept of it; the budget of states bounds the copies.
class RegexReader {
 public:
  explicit RegexReader(std::u32string text) : text_(std::move(text)) {}

  TextAutomaton read(RegexUse use) {
    const uint32_t before = nfa_.add_state();
    const uint32_t start = nfa_.add_state();
    const uint32_t end = read_choice(start);
    if (at_ < text_.size()) refuse("the pattern has a `)` too many");
    const uint32_t after = nfa_.add_state();
    const uint32_t done = nfa_.add_state();
    // The marks are consumed by `^` and `$`, or here.
    const bool searches = use == RegexUse::kSearch;
    const uint32_t begun = nfa_.add_state();
    nfa_.add_skip(before, start);
    nfa_.add_arc(before, TextNfa::kBeginMark, TextNfa::kBeginMark, begun);
    nfa_.add_skip(begun, start);
    nfa_.add_skip(end, after);
    nfa_.add_skip(end, done);
    nfa_.add_arc(after, TextNfa::kEndMark, TextNfa::kEndMark, done);
    if (searches) {
      nfa_.add_set(begun, CharSet().opposite(), begun);
      nfa_.add_set(after, CharSet().opposite(), after);
    }
    return nfa_.determinized(before, done);
  }

 private:
  char32_t peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : kEof;
  }
  bool take(char32_t c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  uint32_t read_choice(uint32_t from) {
    if (++nesting_ > GrammarLimits::kMaxNesting) {
      refuse("groups are nested deeper than " + std::to_string(GrammarLimits::kMaxNesting));
    }
    const uint32_t end = nfa_.add_state();
    do {
      nfa_.add_skip(read_sequence(from), end);
    } while (take('|'));
    --nesting_;
    return end;
  }

  uint32_t read_sequence(uint32_t from) {
    uint32_t at = nfa_.add_state();  // loops of a piece must not reach into what came before
    nfa_.add_skip(from, at);
    while (peek() != kEof && peek() != '|' && peek() != ')') at = read_repeated(at);
    return at;
  }

  struct Count {
    int min = 1;
    std::optional<int> max = 1;
  };

  uint32_t read_repeated(uint32_t from) {
    const size_t begin = at_;
    uint32_t at = nfa_.add_state();
    nfa_.add_skip(from, at);
    uint32_t end = read_piece(at);
    const std::optional<Count> count = read_count();
    if (!count) return end;
    const size_t rest = at_;
    // The first copy stands already.
    uint32_t stop = nfa_.add_state();
    if (count->min == 0) nfa_.add_skip(at, stop);
    if (count->max && *count->max == 0) return stop;
    for (int i = 1; i < count->min || (count->max && i < *count->max); ++i) {
      if (i >= count->min) nfa_.add_skip(end, stop);
      at = nfa_.add_state();
      nfa_.add_skip(end, at);
      at_ = begin;
      end = read_piece(at);
    }
    at_ = rest;
    nfa_.add_skip(end, stop);
    if (!count->max) nfa_.add_skip(end, at);
    return stop;
  }

  std::optional<Count> read_count() {
    std::optional<Count> count;
    if (take('*'))
      count = Count{0, std::nullopt};
    else if (take('+'))
      count = Count{1, std::nullopt};
    else if (take('?'))
      count = Count{0, 1};
    else if (peek() == '{')
      count = read_braces();
    if (!count) return count;
    if (peek() == '+') refuse("possessive repetition (`+` behind a count) is not supported");
    take('?');  // lazy: the same strings
    if (peek() == '*' || peek() == '+' || peek() == '?') refuse("two counts follow each other");
    return count;
  }

  Count read_braces() {
    ++at_;
    Count count;
    count.min = read_number();
    count.max = count.min;
    if (take(',')) {
      count.max.reset();
      if (peek() != '}') count.max = read_number();
    }
    if (!take('}')) refuse("a `{` begins no count; write \\{ for the character");
    if (count.max && *count.max < count.min) refuse("a count {m,n} has m above n");
    return count;
  }

  int read_number() {
    int value = 0;
    const size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') {
      value = 10 * value + static_cast<int>(text_[at_++] - '0');
      if (value > GrammarLimits::kMaxRepeat) {
        refuse("a count is above " + std::to_string(GrammarLimits::kMaxRepeat));
      }
    }
    if (at_ == begin) refuse("a `{` begins no count; write \\{ for the character");
    return value;
  }

  uint32_t read_piece(uint32_t from) {
    const char32_t c = text_[at_];
    if (c == '(') return read_group(from);
    if (c == '*' || c == '+' || c == '?' || c == '{') refuse("a count follows nothing");
    const uint32_t to = nfa_.add_state();
    ++at_;
    if (c == '^') {
      nfa_.add_arc(from, TextNfa::kBeginMark, TextNfa::kBeginMark, to);
    } else if (c == '$') {
      nfa_.add_arc(from, TextNfa::kEndMark, TextNfa::kEndMark, to);
    } else if (c == '.') {
      const CharSet ends = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};
      nfa_.add_set(from, ends.opposite(), to);
    } else if (c == '[') {
      nfa_.add_set(from, read_class(), to);
    } else if (c == '\\') {
      nfa_.add_set(from, read_escape(false), to);
    } else {
      nfa_.add_arc(from, c, c, to);
    }
    return to;
  }

  uint32_t read_group(uint32_t from) {
    ++at_;
    if (take('?')) {
      if (take('P') && peek() != '<') refuse("back references are not supported");
      if (peek() == '=' || peek() == '!' || (peek() == '<' && (peek(1) == '=' || peek(1) == '!'))) {
        refuse("lookaround is not supported");
      }
      if (take('<')) {
        while (peek() != kEof && peek() != '>') ++at_;
        if (!take('>')) refuse("a group's name does not end");
      } else if (!take(':')) {
        refuse("inline flags and atomic groups, (?x), are not supported");
      }
    }
    const uint32_t end = read_choice(from);
    if (!take(')')) refuse("a `(` is not closed");
    return end;
  }

  CharSet read_class() {
    const bool is_negated = take('^');
    CharSet set;
    while (peek() != ']') {
      if (peek() == kEof) refuse("a `[` is not closed");
      const CharSet lo = read_class_piece();
      if (peek() == '-' && peek(1) != ']' && peek(1) != kEof) {
        ++at_;
        const CharSet hi = read_class_piece();
        const auto first = single(lo), last = single(hi);
        if (!first || !last || *last < *first) refuse("a range in [ ] is out of order");
        set.add(*first, *last);
      } else {
        set.add(lo);
      }
    }
    ++at_;
    return is_negated ? set.opposite() : set;
  }

  CharSet read_class_piece() {
    const char32_t c = text_[at_++];
    if (c == '\\') return read_escape(true);
    if (c == '[' && (peek() == ':' || peek() == '.' || peek() == '=')) {
      refuse("POSIX classes such as [:alpha:] are not supported");
    }
    return {{c, c}};
  }

  static std::optional<char32_t> single(const CharSet& set) {
    const auto ranges = set.ranges();
    if (ranges.size() != 1 || ranges[0].first != ranges[0].second) return std::nullopt;
    return ranges[0].first;
  }

  CharSet read_escape(bool in_class) {
    if (peek() == kEof) refuse("the pattern ends with a backslash");
    const char32_t c = text_[at_++];
    switch (c) {
      case 'd':
        return CharSet::digits();
      case 'D':
        return CharSet::digits().opposite();
      case 'w':
        return CharSet::word();
      case 'W':
        return CharSet::word().opposite();
      case 's':
        return CharSet::white_space();
      case 'S':
        return CharSet::white_space().opposite();
      case 't':
        return {{'\t', '\t'}};
      case 'n':
        return {{'\n', '\n'}};
      case 'v':
        return {{'\v', '\v'}};
      case 'f':
        return {{'\f', '\f'}};
      case 'r':
        return {{'\r', '\r'}};
      case 'x':
        return one(read_hex(2));
      case 'u':
        return one(read_unicode());
      case 'b':
        if (in_class) return {{'\b', '\b'}};
        refuse("word boundaries, \\b, are not supported");
      case 'B':
        refuse("word boundaries, \\B, are not supported");
      case 'p':
      case 'P':
        refuse("Unicode properties, \\p, are not supported");
      case 'k':
        refuse("back references are not supported");
      case 'c':
        return one(read_control());
      default:
        break;
    }
    if (c == '0' && !(peek() >= '0' && peek() <= '9')) return {{0, 0}};
    if (c >= '0' && c <= '9') refuse("back references are not supported");
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      refuse(std::string("the escape \\") + static_cast<char>(c) + " is not supported");
    }
    return one(c);
  }

  static CharSet one(char32_t c) { return {{c, c}}; }

  char32_t read_control() {
    const char32_t c = peek();
    const char32_t lower = c | 0x20U;
    if (lower < 'a' || lower > 'z') refuse("\\c is followed by no letter");
    ++at_;
    return c & 0x1FU;
  }

  char32_t read_hex(int n_digits) {
    char32_t value = 0;
    for (int i = 0; i < n_digits; ++i) {
      const char32_t c = peek();
      const char32_t lower = c | 0x20U;
      if (c >= '0' && c <= '9')
        value = 16 * value + (c - '0');
      else if (lower >= 'a' && lower <= 'f')
        value = 16 * value + (lower - 'a' + 10);
      else
        refuse("an escape wants more hexadecimal digits");
      ++at_;
    }
    return value;
  }

  char32_t read_unicode() {
    char32_t value = 0;
    if (take('{')) {
      do {
        value = 16 * value + read_hex(1);
        if (value > TextAutomaton::kLastCodePoint) refuse("\\u{...} is no code point");
      } while (!take('}'));
    } else {
      value = read_hex(4);
    }
    if (value >= 0xD800 && value <= 0xDBFF && peek() == '\\' && peek(1) == 'u') {
      at_ += 2;
      const char32_t low = read_hex(4);
      if (low < 0xDC00 || low > 0xDFFF) refuse("\\u names half of a surrogate pair");
      return 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
    }
    if (value >= 0xD800 && value <= 0xDFFF) refuse("\\u names half of a surrogate pair");
    return value;
  }

  std::u32string text_;
  size_t at_ = 0;
  int nesting_ = 0;
  TextNfa nfa_;
};

}  // namespace

TextAutomaton read_regex(std::string_view pattern, RegexUse use) {
  if (pattern.size() > GrammarLimits::kMaxTextBytes) refuse("the pattern is too long");
  auto text = code_points(pattern);
  if (!text) refuse("the pattern is not valid UTF-8");
  return RegexReader(std::move(*text)).read(use);
}

}  // namespace lapidary
