#include "server/schema/schema_writer.h"

#include <algorithm>

#include "server/schema/schema_keywords.h"

namespace lapidary {
namespace {

constexpr int kMaxIndent = 32;

void add_unicode_escapes(RuleGraph& graph, uint32_t from, uint32_t to) {
  const auto add_digit = [&](uint32_t a, uint32_t b, std::string_view digits) {
    for (const char digit : digits) {
      graph.add_bytes(a, static_cast<uint8_t>(digit), static_cast<uint8_t>(digit), b);
    }
  };
  constexpr std::string_view kAll = "0123456789abcdefABCDEF", kNoD = "0123456789abcefABCEF";
  const auto add_digits = [&](uint32_t a, int n) {
    for (int i = 0; i < n; ++i) {
      const uint32_t b = graph.add_state();
      add_digit(a, b, kAll);
      a = b;
    }
    return a;
  };
  const uint32_t u = graph.add_state();
  graph.add_bytes(from, 'u', 'u', u);
  // A unit that is no surrogate, or a pair of them.
  const uint32_t plain = graph.add_state(), d = graph.add_state(), low = graph.add_state();
  add_digit(u, plain, kNoD);
  graph.add_skip(add_digits(plain, 3), to);
  add_digit(u, d, "dD");
  const uint32_t below = graph.add_state(), high = graph.add_state();
  add_digit(d, below, "01234567");
  graph.add_skip(add_digits(below, 2), to);
  add_digit(d, high, "89abAB");
  const uint32_t second = graph.add_literal(add_digits(high, 2), "\\u");
  const uint32_t second_d = graph.add_state();
  add_digit(second, second_d, "dD");
  add_digit(second_d, low, "cdefCDEF");
  graph.add_skip(add_digits(low, 2), to);
}

}  // namespace

SchemaWriter::SchemaWriter(GrammarSource& source, LeafSyntax syntax, int32_t quote)
    : source_(source), syntax_(syntax), quote_(quote) {}

uint32_t SchemaWriter::write_root(SchemaReader& reader, const OrderedJson& root,
                                  bool only_objects) {
  static const OrderedJson kObject = {{"type", "object"}};
  reader_ = &reader;
  rules_.clear();  // places are those of one reader
  const uint32_t rule = rule_of(only_objects ? SchemaSet{&kObject, &root} : SchemaSet{&root});
  write_open_places();
  return rule;
}

uint32_t SchemaWriter::any_object() {
  static const OrderedJson kObject = {{"type", "object"}};
  static const OrderedJson kAny = true;
  SchemaReader reader(kAny);
  reader_ = &reader;
  const uint32_t rule = rule_of({&kObject});
  write_open_places();
  reader_ = nullptr;
  return rule;
}

uint32_t SchemaWriter::rule_of(SchemaSet schemas) {
  std::erase_if(schemas, [](const OrderedJson* schema) {
    return *schema == true || (schema->is_object() && schema->empty());
  });
  std::sort(schemas.begin(), schemas.end());
  schemas.erase(std::unique(schemas.begin(), schemas.end()), schemas.end());
  const auto [at, is_new] = rules_.emplace(schemas, 0);
  if (!is_new) return at->second;
  if (rules_.size() > kMaxPlaces) throw SchemaRefused("", "the schema is too large");
  at->second = source_.add_rule(schemas.empty() ? "any" : reader_->path_of(schemas.back()));
  open_.push_back({schemas, at->second});
  return at->second;
}

void SchemaWriter::write_open_places() {
  while (!open_.empty()) {
    const Place place = open_.front();
    open_.pop_front();
    write_place(place);
  }
}

void SchemaWriter::write_place(const Place& place) {
  const std::string path = place.schemas.empty() ? "" : reader_->path_of(place.schemas.back());
  RuleGraph graph;
  const uint32_t end = graph.add_state();
  graph.set_final(end);
  try {
    for (const Shape& shape : reader_->shapes(place.schemas)) write_shape(graph, shape, path, end);
  } catch (const GrammarRefused& refused) {
    throw SchemaRefused(path, refused.what());
  }
  source_.graph(place.rule) = std::move(graph);
}

void SchemaWriter::write_shape(RuleGraph& graph, const Shape& shape, const std::string& path,
                               uint32_t end) {
  constexpr uint32_t kStart = RuleGraph::kStart;
  if (shape.values) {
    std::vector<std::string> strings;
    for (const OrderedJson* value : *shape.values) {
      if (value->is_string()) {
        strings.push_back(value->get<std::string>());
        continue;
      }
      graph.add_skip(add_value(graph, kStart, *value, path), end);
    }
    if (!strings.empty()) {
      graph.add_call(kStart, string_rule(TextAutomaton::of_words(strings)), end);
    }
    return;
  }
  if (shape.kinds & kinds::kNull) graph.add_skip(graph.add_literal(kStart, "null"), end);
  if (shape.kinds & kinds::kBoolean) {
    graph.add_skip(graph.add_literal(kStart, "true"), end);
    graph.add_skip(graph.add_literal(kStart, "false"), end);
  }
  if (shape.kinds & kinds::kNumber) {
    const bool integers_only = (shape.kinds & kinds::kReal) == 0;
    graph.add_call(kStart, number_rule(shape.numbers, integers_only), end);
  }
  if (shape.kinds & kinds::kString) {
    graph.add_call(kStart, shape.has_free_strings() ? free_string() : string_rule(shape.strings()),
                   end);
  }
  if (shape.kinds & kinds::kObject) {
    graph.add_call(kStart, object_rule(reader_->object_shape(shape), path), end);
  }
  if (shape.kinds & kinds::kArray) {
    graph.add_call(kStart, array_rule(reader_->array_shape(shape), path), end);
  }
}

uint32_t SchemaWriter::free_string() {
  const auto [at, is_new] = shared_.emplace("string", 0);
  if (!is_new) return at->second;
  const uint32_t rule = at->second = string_rule(TextAutomaton::any());
  if (syntax_ == LeafSyntax::kGemmaCall) return rule;
  // Beside the one spelling of TextWriter, all other escapes of JSON.
  RuleGraph graph;
  const uint32_t body = graph.add_state(), escape = graph.add_state(), end = graph.add_state();
  graph.add_bytes(RuleGraph::kStart, '"', '"', body);
  for (const auto& [lo, hi] : {CharSet::Range{0x20, 0x21}, {0x23, 0x5B}, {0x5D, 0x10FFFF}}) {
    TextWriter(graph).add_set(body, {{lo, hi}}, body);
  }
  graph.add_bytes(body, '\\', '\\', escape);
  for (const char c : std::string_view("\"\\/bfnrt")) {
    graph.add_bytes(escape, static_cast<uint8_t>(c), static_cast<uint8_t>(c), body);
  }
  add_unicode_escapes(graph, escape, body);
  graph.add_bytes(body, '"', '"', end);
  graph.set_final(end);
  source_.graph(rule) = std::move(graph);
  return rule;
}

uint32_t SchemaWriter::string_rule(const TextAutomaton& text) {
  const uint32_t rule = source_.add_rule("string");
  RuleGraph graph;
  const uint32_t body = graph.add_state(), close = graph.add_state(), end = graph.add_state();
  const bool is_json = syntax_ == LeafSyntax::kJson;
  if (is_json) {
    graph.add_bytes(RuleGraph::kStart, '"', '"', body);
    graph.add_bytes(close, '"', '"', end);
  } else {
    graph.add_token(RuleGraph::kStart, quote_, body);
    graph.add_token(close, quote_, end);
  }
  TextWriter(graph, is_json ? TextSpelling::kJson : TextSpelling::kRaw).add_text(body, text, close);
  graph.set_final(end);
  source_.graph(rule) = std::move(graph);
  return rule;
}

uint32_t SchemaWriter::space() {
  const auto [at, is_new] = shared_.emplace("space", 0);
  if (!is_new) return at->second;
  at->second = source_.add_rule("space");
  RuleGraph graph;
  const uint32_t end = graph.add_state();
  graph.set_final(end);
  graph.add_bytes(RuleGraph::kStart, ' ', ' ', end);
  uint32_t indent = graph.add_state();
  graph.add_bytes(RuleGraph::kStart, '\n', '\n', indent);
  for (int i = 0; i < kMaxIndent; ++i) {
    graph.add_skip(indent, end);
    const uint32_t next = graph.add_state();
    graph.add_bytes(indent, ' ', ' ', next);
    indent = next;
  }
  graph.add_skip(indent, end);
  source_.graph(at->second) = std::move(graph);
  return at->second;
}

uint32_t SchemaWriter::add_space(RuleGraph& graph, uint32_t from) {
  if (syntax_ == LeafSyntax::kGemmaCall) return from;
  const uint32_t to = graph.add_state();
  graph.add_skip(from, to);
  graph.add_call(from, space(), to);
  return to;
}

uint32_t SchemaWriter::number_rule(const NumberBounds& bounds, bool integers_only) {
  const auto write = [&] {
    RuleGraph graph;
    const uint32_t end = graph.add_state();
    graph.set_final(end);
    add_numbers(graph, RuleGraph::kStart, bounds, integers_only, end);
    const uint32_t rule = source_.add_rule("number");
    source_.graph(rule) = std::move(graph);
    return rule;
  };
  if (!bounds.is_free()) return write();
  const auto [at, is_new] = shared_.emplace(integers_only ? "integer" : "number", 0);
  if (is_new) at->second = write();
  return at->second;
}

uint32_t SchemaWriter::add_string(RuleGraph& graph, uint32_t from, const std::string& text) {
  const bool is_json = syntax_ == LeafSyntax::kJson;
  const auto characters = code_points(text);
  if (!characters) throw GrammarRefused("a string is not valid UTF-8");
  uint32_t at = graph.add_state();
  if (is_json)
    graph.add_bytes(from, '"', '"', at);
  else
    graph.add_token(from, quote_, at);
  TextWriter writer(graph, is_json ? TextSpelling::kJson : TextSpelling::kRaw);
  for (const char32_t c : *characters) {
    const uint32_t next = graph.add_state();
    writer.add_range(at, c, c, next);
    at = next;
  }
  const uint32_t end = graph.add_state();
  if (is_json)
    graph.add_bytes(at, '"', '"', end);
  else
    graph.add_token(at, quote_, end);
  return end;
}

uint32_t SchemaWriter::add_value(RuleGraph& graph, uint32_t from, const OrderedJson& value,
                                 const std::string& path) {
  if (value.is_string()) return add_string(graph, from, value.get<std::string>());
  if (!value.is_structured()) return graph.add_literal(from, value.dump());
  const bool is_object = value.is_object();
  uint32_t at = graph.add_literal(from, is_object ? "{" : "[");
  bool is_first = true;
  for (const auto& [key, member] : value.items()) {
    if (!is_first) at = graph.add_literal(at, ",");
    is_first = false;
    if (is_object) at = add_key(graph, at, key, path);
    at = add_value(graph, at, member, path);
  }
  return graph.add_literal(at, is_object ? "}" : "]");
}

}  // namespace lapidary
