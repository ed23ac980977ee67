#include "engine/grammar/stacks.h"

#include <algorithm>

namespace lapidary {

uint32_t Stacks::push(uint32_t node, uint32_t parent) {
  // Equal frames made just now are shared, so that ambiguous grammars do not multiply them.
  constexpr size_t kLooked = 8;
  const size_t first =
      std::max<size_t>(kFirstCell, cells_.size() - std::min(cells_.size(), kLooked));
  for (size_t i = first; i < cells_.size(); ++i) {
    if (cells_[i].node == node && cells_[i].parent == parent) return static_cast<uint32_t>(i);
  }
  cells_.push_back({node, parent, cells_[parent].depth + 1});
  return static_cast<uint32_t>(cells_.size() - 1);
}

void Stacks::compact(std::vector<Config>& configs) {
  std::vector<uint32_t> renamed(cells_.size(), 0);
  for (const Config& config : configs) {
    for (uint32_t at = config.cell; at >= kFirstCell && renamed[at] == 0;) {
      renamed[at] = 1;
      at = cells_[at].parent;
    }
  }
  uint32_t n_kept = kFirstCell;
  for (uint32_t i = kFirstCell; i < cells_.size(); ++i) {
    if (renamed[i] == 0) continue;
    StackCell cell = cells_[i];  // its parent came before it
    if (cell.parent >= kFirstCell) cell.parent = renamed[cell.parent];
    renamed[i] = n_kept;
    cells_[n_kept++] = cell;
  }
  cells_.resize(n_kept);
  for (Config& config : configs) {
    if (config.cell >= kFirstCell) config.cell = renamed[config.cell];
  }
}

bool Stepper::add_seen(Config config) {
  if (seen_.size() < kSearched) {
    if (std::find(seen_.begin(), seen_.end(), config) != seen_.end()) return false;
    seen_.push_back(config);
    return true;
  }
  const auto slot_of = [](Config c) {
    return (c.node * 0x9E3779B1U ^ (c.cell * 0x85EBCA77U >> 7)) % kTableSize;
  };
  const auto insert = [&](Config c, size_t position) {
    for (size_t slot = slot_of(c);; slot = (slot + 1) % kTableSize) {
      if (table_[slot] == 0) {
        table_[slot] = static_cast<uint16_t>(position + 1);
        return true;
      }
      if (seen_[table_[slot] - 1U] == c) return false;
    }
  };
  if (seen_.size() == kSearched) {
    table_.assign(kTableSize, 0);
    for (size_t i = 0; i < kSearched; ++i) insert(seen_[i], i);
  }
  if (seen_.size() >= Stacks::kMaxConfigs || !insert(config, seen_.size())) return false;
  seen_.push_back(config);
  return true;
}

// True when there is a known frame to return to.
bool Stepper::pop(Config config, const Stacks& stacks, Reached& reached) {
  if (!automaton_.accepts(config.node)) return false;
  reached.bottom |= config.cell == Stacks::kBottom;
  reached.unknown |= config.cell == Stacks::kUnknown;
  if (config.cell < Stacks::kFirstCell) return false;
  const StackCell& cell = stacks.cell(config.cell);
  return add_seen({cell.node, cell.parent});
}

Stepper::Reached Stepper::expand(std::span<const Config> raw, Stacks& stacks,
                                 std::vector<Config>& ready) {
  Reached reached;
  if (raw.size() == 1 && automaton_.is_plain(raw[0].node)) {
    ready.push_back(raw[0]);
    return reached;
  }
  seen_.clear();
  for (const Config& config : raw) add_seen(config);
  for (size_t i = 0; i < seen_.size(); ++i) {
    const Config config = seen_[i];
    pop(config, stacks, reached);
    bool leads_on = !automaton_.bytes(config.node).empty();
    for (const OtherEdge& edge : automaton_.others(config.node)) {
      if (!edge.is_call) {
        leads_on = true;
      } else if (edge.returns_at_once) {
        add_seen({automaton_.entry(edge.operand), config.cell});
      } else if (stacks.cell(config.cell).depth < Stacks::kMaxDepth) {
        add_seen({automaton_.entry(edge.operand), stacks.push(edge.target, config.cell)});
      }
    }
    if (leads_on) ready.push_back(config);
  }
  return reached;
}

Stepper::Reached Stepper::unwind(std::span<const Config> raw, const Stacks& stacks,
                                 std::vector<Config>& returned) {
  Reached reached;
  seen_.clear();
  for (const Config& config : raw) add_seen(config);
  for (size_t i = 0; i < seen_.size(); ++i) {
    const Config config = seen_[i];
    pop(config, stacks, reached);
    returned.push_back(config);
  }
  return reached;
}

void Stepper::step(std::span<const Config> ready, uint8_t byte, std::vector<Config>& raw) {
  const size_t first = raw.size();
  for (const Config& config : ready) {
    const uint32_t target = automaton_.step(config.node, byte);
    if (target == Automaton::kNone) continue;
    const Config next = {target, config.cell};
    // Many are left only in grammars that are ambiguous; expand() drops doubles of any number.
    const size_t n = raw.size() - first;
    if (n > 0 && n <= kSearched && std::find(raw.begin() + first, raw.end(), next) != raw.end()) {
      continue;
    }
    raw.push_back(next);
  }
}

void Stepper::step_token(std::span<const Config> ready, int32_t token, std::vector<Config>& raw) {
  for (const Config& config : ready) {
    for (const OtherEdge& edge : automaton_.others(config.node)) {
      if (edge.is_call || edge.operand != static_cast<uint32_t>(token)) continue;
      raw.push_back({edge.target, config.cell});
    }
  }
}

}  // namespace lapidary
