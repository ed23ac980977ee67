#include "engine/grammar/ebnf_reader.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "engine/grammar/grammar_vocabulary.h"
#include "engine/grammar/rule_inliner.h"
#include "engine/grammar/text_writer.h"

namespace lapidary {
namespace {

constexpr char32_t kEof = 0xFFFFFFFF;

// Recursive descent that writes states as it reads; a repeated piece is read again for each copy.
class EbnfReader {
 public:
  EbnfReader(std::u32string text, const GrammarVocabulary& vocabulary)
      : text_(std::move(text)), vocabulary_(vocabulary) {}

  GrammarSource read() {
    skip_space(true);
    while (peek() != kEof) read_rule();
    for (const auto& [name, rule] : rules_) {
      if (!rule.is_given) refuse("rule `" + name + "` is used but not given", 0);
    }
    const auto root = rules_.find("root");
    if (root == rules_.end()) refuse("there is no rule `root`", 0);
    source_.root = root->second.number;
    inline_small_rules(source_);
    return std::move(source_);
  }

 private:
  struct Rule {
    uint32_t number = 0;
    bool is_given = false;
  };

  [[noreturn]] void refuse(const std::string& what, size_t line) const {
    throw GrammarRefused(line == 0 ? what : "line " + std::to_string(line) + ": " + what);
  }
  [[noreturn]] void refuse(const std::string& what) const {
    const auto here = text_.begin() + static_cast<std::ptrdiff_t>(std::min(at_, text_.size()));
    refuse(what, 1 + static_cast<size_t>(std::count(text_.begin(), here, U'\n')));
  }

  char32_t peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : kEof;
  }
  bool take(char32_t c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  void skip_space(bool with_lines) {
    for (;; ++at_) {
      if (peek() == '#') {
        while (peek() != kEof && peek() != '\n' && peek() != '\r') ++at_;
      }
      const char32_t c = peek();
      const bool is_line = c == '\n' || c == '\r';
      if (c != ' ' && c != '\t' && !(is_line && with_lines)) return;
    }
  }

  static bool is_name(char32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  }

  std::string read_name() {
    std::string name;
    while (is_name(peek())) name.push_back(static_cast<char>(text_[at_++]));
    if (name.empty()) refuse("a rule's name is expected");
    return name;
  }

  Rule& rule(const std::string& name) {
    const auto [at, is_new] = rules_.emplace(name, Rule{});
    if (is_new) at->second.number = source_.add_rule(name);
    return at->second;
  }

  void read_rule() {
    const std::string name = read_name();
    skip_space(false);
    if (!(take(':') && take(':') && take('='))) refuse("`::=` is expected behind a rule's name");
    Rule& given = rule(name);
    if (given.is_given) refuse("rule `" + name + "` is given twice");
    given.is_given = true;
    RuleGraph graph;
    graph_ = &graph;
    skip_space(true);
    graph.set_final(read_choice(RuleGraph::kStart, false));
    source_.graph(given.number) = std::move(graph);
    if (peek() != kEof && peek() != '\n' && peek() != '\r') refuse("a new line is expected");
    skip_space(true);
  }

  uint32_t read_choice(uint32_t from, bool in_group) {
    if (++nesting_ > GrammarLimits::kMaxNesting) {
      refuse("groups are nested deeper than " + std::to_string(GrammarLimits::kMaxNesting));
    }
    const uint32_t end = graph_->add_state();
    do {
      skip_space(true);
      graph_->add_skip(read_sequence(from, in_group), end);
    } while (take('|'));
    --nesting_;
    return end;
  }

  uint32_t read_sequence(uint32_t from, bool in_group) {
    uint32_t at = graph_->add_state();
    graph_->add_skip(from, at);
    for (;;) {
      skip_space(in_group);
      const char32_t c = peek();
      if (c == kEof || c == '|' || c == ')' || c == '\n' || c == '\r') return at;
      at = read_repeated(at, in_group);
    }
  }

  struct Count {
    int min = 1;
    std::optional<int> max = 1;
  };

  uint32_t read_repeated(uint32_t from, bool in_group) {
    const size_t begin = at_;
    uint32_t at = graph_->add_state();
    graph_->add_skip(from, at);
    uint32_t end = read_piece(at);
    const size_t behind = at_;
    skip_space(in_group);
    const std::optional<Count> count = read_count();
    if (!count) {
      at_ = behind;
      return end;
    }
    const size_t rest = at_;
    const uint32_t stop = graph_->add_state();
    if (count->min == 0) graph_->add_skip(at, stop);
    if (count->max && *count->max == 0) return stop;
    for (int i = 1; i < count->min || (count->max && i < *count->max); ++i) {
      if (i >= count->min) graph_->add_skip(end, stop);
      at = graph_->add_state();
      graph_->add_skip(end, at);
      at_ = begin;
      end = read_piece(at);
    }
    at_ = rest;
    graph_->add_skip(end, stop);
    if (!count->max) graph_->add_skip(end, at);
    return stop;
  }

  std::optional<Count> read_count() {
    if (take('*')) return Count{0, std::nullopt};
    if (take('+')) return Count{1, std::nullopt};
    if (take('?')) return Count{0, 1};
    if (!take('{')) return std::nullopt;
    Count count;
    skip_space(true);
    count.min = read_number();
    count.max = count.min;
    skip_space(true);
    if (take(',')) {
      count.max.reset();
      skip_space(true);
      if (peek() != '}') count.max = read_number();
      skip_space(true);
    }
    if (!take('}')) refuse("a count {m,n} is not closed");
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
    if (at_ == begin) refuse("a number is expected in { }");
    return value;
  }

  uint32_t read_piece(uint32_t from) {
    const char32_t c = peek();
    if (is_name(c)) return read_call(from);
    ++at_;
    if (c == '(') {
      const uint32_t end = read_choice(from, true);
      if (!take(')')) refuse("a `(` is not closed");
      return end;
    }
    if (c == '"') return read_literal(from);
    if (c == '<') return read_token(from);
    const uint32_t to = graph_->add_state();
    if (c == '[') {
      TextWriter(*graph_).add_set(from, read_class(), to);
    } else if (c == '.') {
      TextWriter(*graph_).add_set(from, CharSet().opposite(), to);
    } else if (c == '!') {
      refuse("tokens by negation, !<...>, are not supported");
    } else {
      refuse("this begins no part of a rule");
    }
    return to;
  }

  uint32_t read_call(uint32_t from) {
    const uint32_t to = graph_->add_state();
    graph_->add_call(from, rule(read_name()).number, to);
    return to;
  }

  uint32_t read_literal(uint32_t from) {
    while (!take('"')) {
      if (peek() == kEof || peek() == '\n') refuse("a \" is not closed");
      const char32_t c = read_char();
      const uint32_t to = graph_->add_state();
      TextWriter(*graph_).add_range(from, c, c, to);
      from = to;
    }
    return from;
  }

  CharSet read_class() {
    const bool is_negated = take('^');
    CharSet set;
    while (!take(']')) {
      if (peek() == kEof) refuse("a `[` is not closed");
      const char32_t lo = read_char();
      char32_t hi = lo;
      if (peek() == '-' && peek(1) != ']') {
        ++at_;
        if (peek() == kEof) refuse("a `[` is not closed");
        hi = read_char();
        if (hi < lo) refuse("a range in [ ] is out of order");
      }
      set.add(lo, hi);
    }
    return is_negated ? set.opposite() : set;
  }

  uint32_t read_token(uint32_t from) {
    std::string name = "<";
    while (peek() != '>' && peek() != kEof && peek() < 0x80) {
      name.push_back(static_cast<char>(text_[at_++]));
    }
    if (!take('>')) refuse("a token's `<` is not closed");
    name.push_back('>');
    std::optional<int32_t> id = vocabulary_.control_id(name);
    if (!id && name.size() > 4 && name.size() < 13 && name.starts_with("<[") &&
        name.ends_with("]>")) {
      const std::string digits = name.substr(2, name.size() - 4);
      if (digits.find_first_not_of("0123456789") == std::string::npos) {
        const long value = std::stol(digits);
        if (value < vocabulary_.size()) id = static_cast<int32_t>(value);
      }
    }
    if (!id || !vocabulary_.is_control(*id)) refuse(name + " is no control token of this model");
    if (vocabulary_.is_stop(*id)) refuse(name + " ends an answer: no rule may use it");
    const uint32_t to = graph_->add_state();
    graph_->add_token(from, *id, to);
    return to;
  }

  char32_t read_char() {
    const char32_t c = text_[at_++];
    if (c != '\\') return c;
    if (peek() == kEof) refuse("the grammar ends with a backslash");
    const char32_t escaped = text_[at_++];
    switch (escaped) {
      case 'x':
        return read_hex(2);
      case 'u':
        return read_hex(4);
      case 'U':
        return read_hex(8);
      case 't':
        return '\t';
      case 'r':
        return '\r';
      case 'n':
        return '\n';
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
        return escaped;
      default:
        refuse("an escape that is none of \\x \\u \\U \\t \\r \\n \\\\ \\\" \\[ \\]");
    }
  }

  char32_t read_hex(int n_digits) {
    char32_t value = 0;
    for (int i = 0; i < n_digits; ++i, ++at_) {
      const char32_t c = peek(), lower = c | 0x20U;
      if (c >= '0' && c <= '9')
        value = 16 * value + (c - '0');
      else if (lower >= 'a' && lower <= 'f')
        value = 16 * value + (lower - 'a' + 10);
      else
        refuse("an escape wants more hexadecimal digits");
      if (value > TextAutomaton::kLastCodePoint) refuse("an escape names no code point");
    }
    if (value >= 0xD800 && value <= 0xDFFF) refuse("an escape names half of a surrogate pair");
    return value;
  }

  std::u32string text_;
  const GrammarVocabulary& vocabulary_;
  size_t at_ = 0;
  int nesting_ = 0;
  RuleGraph* graph_ = nullptr;  // of the rule that is being read
  std::map<std::string, Rule> rules_;
  GrammarSource source_;
};

}  // namespace

GrammarSource read_ebnf(std::string_view text, const GrammarVocabulary& vocabulary) {
  if (text.size() > GrammarLimits::kMaxTextBytes) throw GrammarRefused("the grammar is too long");
  auto characters = code_points(text);
  if (!characters) throw GrammarRefused("the grammar is not valid UTF-8");
  return EbnfReader(std::move(*characters), vocabulary).read();
}

}  // namespace lapidary
