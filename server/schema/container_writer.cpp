// SchemaWriter's part about objects and arrays.
#include <algorithm>

#include "server/dialect/python_spelling.h"
#include "server/schema/schema_keywords.h"
#include "server/schema/schema_writer.h"

namespace lapidary {
namespace {

constexpr size_t kMaxItems = 5000;  // that are counted
constexpr size_t kMaxCounted = 20000;

// The characters of bare keys: those that end none and are not trimmed.
CharSet bare_characters() {
  CharSet set = CharSet::word();
  set.add({{'-', '-'}, {'.', '.'}, {'$', '$'}, {'@', '@'}, {'/', '/'}, {'+', '+'}, {'#', '#'}});
  set.add(0xC0, 0x1FFF);
  set.add(0x2C00, 0x2FFF);
  set.add(0x3001, 0xD7FF);
  set.add(0x10000, 0x1FFFF);
  return set;
}

bool is_bare(const std::string& name) {
  const auto text = code_points(name);
  const auto ranges = bare_characters().ranges();
  return text && !text->empty() && std::all_of(text->begin(), text->end(), [&](char32_t c) {
           return std::any_of(ranges.begin(), ranges.end(),
                              [&](const auto& r) { return r.first <= c && c <= r.second; });
         });
}

TextAutomaton bare_keys() {
  std::vector<TextAutomaton::State> states(2);
  states[1].accepts = true;
  for (const auto& [lo, hi] : bare_characters().ranges()) {
    states[0].arcs.push_back({lo, hi, 1});
    states[1].arcs.push_back({lo, hi, 1});
  }
  return TextAutomaton(std::move(states));
}

}  // namespace

uint32_t SchemaWriter::add_key(RuleGraph& graph, uint32_t from, const std::string& name,
                               const std::string& path) {
  if (syntax_ == LeafSyntax::kJson) {
    return add_space(graph, graph.add_literal(add_string(graph, from, name), ":"));
  }
  if (!is_bare(name)) {
    throw SchemaRefused(path_in(path + "/properties", name),
                        "the name cannot be written as a key of a call");
  }
  return graph.add_literal(graph.add_literal(from, name), ":");
}

uint32_t SchemaWriter::property_rule(const ObjectShape::Property& property,
                                     const std::string& path) {
  const uint32_t rule = source_.add_rule(property.name);
  RuleGraph graph;
  const uint32_t end = graph.add_state();
  graph.set_final(end);
  const uint32_t at = add_key(graph, RuleGraph::kStart, property.name, path);
  graph.add_call(at, rule_of(property.schemas), end);
  source_.graph(rule) = std::move(graph);
  return rule;
}

// The key's rule holds the colon: while a key is open nothing of what follows is looked at.
uint32_t SchemaWriter::others_rule(const ObjectShape& shape, const std::string& path) {
  const uint32_t rule = source_.add_rule("other property");
  RuleGraph graph;
  const uint32_t end = graph.add_state();
  graph.set_final(end);
  for (const ObjectShape::Others& others : shape.others) {
    uint32_t colon = graph.add_state();
    if (syntax_ == LeafSyntax::kJson) {
      const uint32_t behind = graph.add_state();
      const bool is_free = others.keys.is_any();
      graph.add_call(RuleGraph::kStart, is_free ? free_string() : string_rule(others.keys), behind);
      graph.add_bytes(behind, ':', ':', colon);
      colon = add_space(graph, colon);
    } else {
      const TextAutomaton keys = others.keys.both(bare_keys());
      if (keys.is_empty()) {
        throw SchemaRefused(path, "some keys cannot be written as keys of a call");
      }
      const uint32_t key_rule = source_.add_rule("key");
      RuleGraph key;
      const uint32_t close = key.add_state(), key_end = key.add_state();
      TextWriter(key).add_text(RuleGraph::kStart, keys, close);
      key.add_bytes(close, ':', ':', key_end);
      key.set_final(key_end);
      source_.graph(key_rule) = std::move(key);
      graph.add_call(RuleGraph::kStart, key_rule, colon);
    }
    graph.add_call(colon, rule_of(others.schemas), end);
  }
  source_.graph(rule) = std::move(graph);
  return rule;
}

// Rules "a member is to come, the i-th or a later one, n are there" and "a comma or the end is to
// come". Each names the next, so that their size grows with the number of properties and not with
// its square.
uint32_t SchemaWriter::object_rule(ObjectShape shape, const std::string& path) {
  auto& properties = shape.properties;
  if (syntax_ == LeafSyntax::kJson) space();  // adding a rule moves the graphs written below
  if (syntax_ == LeafSyntax::kGemmaCall) {
    std::stable_sort(properties.begin(), properties.end(), [](const auto& a, const auto& b) {
      return python_lower(a.name) < python_lower(b.name);
    });
  }
  const auto n_required = static_cast<size_t>(std::count_if(
      properties.begin(), properties.end(), [](const auto& p) { return p.is_required; }));
  size_t min = shape.min <= n_required ? 0 : shape.min;
  if (min > 0 && !shape.others.empty()) {
    throw SchemaRefused(path,
                        "`minProperties` beyond the required ones needs "
                        "`additionalProperties: false`");
  }
  const bool has_max = shape.max && (!shape.others.empty() || *shape.max < properties.size());
  const size_t last = has_max ? *shape.max : min;  // counted so far
  if ((properties.size() + 1) * (last + 1) > kMaxCounted || min > properties.size()) {
    if (min > properties.size()) return source_.add_rule("impossible");
    throw SchemaRefused(path, "too many properties to count");
  }
  const size_t n = properties.size();
  std::vector<uint32_t> members;
  for (const auto& property : properties) members.push_back(property_rule(property, path));
  const bool has_others = !shape.others.empty();
  const uint32_t others = has_others ? others_rule(shape, path) : 0;
  std::vector<bool> may_end(n + 1, true);
  for (size_t i = n; i-- > 0;) may_end[i] = may_end[i + 1] && !properties[i].is_required;

  const size_t n_counts = last + 1;
  std::vector<uint32_t> next(n_counts * (n + 1)), rest(n_counts * (n + 1));
  for (auto* rules : {&next, &rest}) {
    for (uint32_t& rule : *rules) rule = source_.add_rule("members");
  }
  for (size_t i = 0; i <= n; ++i) {
    for (size_t count = 0; count < n_counts; ++count) {
      const size_t at = i * n_counts + count;
      const bool is_full = has_max && count == last;
      const size_t more = std::min(count + 1, last);
      RuleGraph& member = source_.graph(next[at]);
      const uint32_t end = member.add_state();
      member.set_final(end);
      const uint32_t behind = member.add_state();
      if (!is_full && (i < n || has_others)) {
        member.add_call(RuleGraph::kStart, i < n ? members[i] : others, behind);
        member.add_call(behind, rest[std::min(i + 1, n) * n_counts + more], end);
      }
      if (i < n && !properties[i].is_required) {
        member.add_call(RuleGraph::kStart, next[at + n_counts], end);
      }
      RuleGraph& follow = source_.graph(rest[at]);
      const uint32_t close = follow.add_state();
      follow.set_final(close);
      if (may_end[i] && count >= min) {
        add_close(follow, RuleGraph::kStart, '}', close);
      }
      if (!is_full && (i < n || has_others)) {
        const uint32_t comma = add_space(follow, follow.add_literal(RuleGraph::kStart, ","));
        follow.add_call(comma, next[at], close);
      }
    }
  }
  const uint32_t rule = source_.add_rule("object");
  RuleGraph graph;
  const uint32_t end = graph.add_state();
  graph.set_final(end);
  const uint32_t open = graph.add_literal(RuleGraph::kStart, "{");
  graph.add_call(add_space(graph, open), next[0], end);
  if (may_end[0] && min == 0) graph.add_bytes(open, '}', '}', end);
  source_.graph(rule) = std::move(graph);
  return rule;
}

void SchemaWriter::add_close(RuleGraph& graph, uint32_t from, char bracket, uint32_t to) {
  const auto byte = static_cast<uint8_t>(bracket);
  graph.add_bytes(add_space(graph, from), byte, byte, to);
}

uint32_t SchemaWriter::array_rule(const ArrayShape& shape, const std::string& path) {
  const size_t counted = std::max({shape.min, shape.prefix.size(), shape.max.value_or(0)});
  if (counted > kMaxItems) {
    throw SchemaRefused(path, "more than " + std::to_string(kMaxItems) + " items are counted");
  }
  const uint32_t rule = source_.add_rule("array");
  RuleGraph graph;
  const uint32_t end = graph.add_state();
  graph.set_final(end);
  const uint32_t items = rule_of(shape.items);
  const uint32_t open = graph.add_literal(RuleGraph::kStart, "[");
  if (shape.min == 0) graph.add_bytes(open, ']', ']', end);
  uint32_t at = add_space(graph, open);  // an item is to come
  for (size_t i = 0; !shape.max || i < *shape.max; ++i) {
    const uint32_t behind = graph.add_state();
    graph.add_call(at, i < shape.prefix.size() ? rule_of(shape.prefix[i]) : items, behind);
    if (i + 1 >= shape.min) add_close(graph, behind, ']', end);
    const uint32_t comma = add_space(graph, graph.add_literal(behind, ","));
    if (!shape.max && i + 1 >= counted) {
      // From here on all items are alike.
      const uint32_t again = graph.add_state();
      graph.add_call(comma, items, again);
      if (i + 2 >= shape.min) add_close(graph, again, ']', end);
      graph.add_skip(add_space(graph, graph.add_literal(again, ",")), comma);
      break;
    }
    at = comma;
  }
  source_.graph(rule) = std::move(graph);
  return rule;
}

}  // namespace lapidary
