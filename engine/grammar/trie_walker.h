// Walks configurations and the trie of tokens side by side: which tokens can follow. One thread at
// a time; holds scratch space only.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/grammar/stacks.h"
#include "engine/grammar/token_trie.h"

namespace lapidary {

class TrieWalker {
 public:
  TrieWalker(const Automaton& automaton, const TokenTrie& trie);

  struct Found {
    std::vector<int32_t> tokens;    // in the trie's order
    std::vector<uint32_t> returns;  // inner trie nodes where a frame of kUnknown was returned to
  };

  // Everything that may follow `raw`: control tokens too. False when it took more than `max_steps`
  // steps; `found` is then of no use.
  bool walk(std::span<const Config> raw, Stacks& stacks, Found& found, size_t max_steps = SIZE_MAX);
  // The same near Stacks::kMaxDepth: without the tokens that leave no call to go on with.
  void walk_at_limit(std::span<const Config> raw, Stacks& stacks, Found& found);
  // What may follow `raw` when the tokens' bytes up to the trie nodes `at` are behind them.
  void walk_from(std::span<const uint32_t> at, std::span<const Config> raw, Stacks& stacks,
                 Found& found);

  // What it keeps between walks.
  size_t bytes() const;

 private:
  struct Level {
    size_t begin = 0, end = 0;  // in ready_
    size_t n_cells = 0;
  };
  using Row = std::array<uint32_t, 256>;

  void begin(std::span<const Config> raw, uint32_t depth);
  void visit_children(uint32_t node);
  void visit(uint32_t node);
  bool enter(uint32_t node, const Level& level);
  void visit_plain(uint32_t node, Config config);
  uint32_t step(uint32_t node, uint8_t byte);
  void add_tokens(uint32_t node);

  const Automaton& automaton_;
  const TokenTrie& trie_;
  Stepper stepper_;
  // Rows of nodes with many ranges, by node; dropped together when there are too many.
  std::vector<int32_t> row_of_;
  std::vector<Row> rows_;

  // Of one walk:
  Stacks* stacks_ = nullptr;
  Found* found_ = nullptr;
  size_t steps_left_ = 0;
  bool is_at_limit_ = false;
  std::vector<Config> ready_, raw_;
  std::vector<Level> levels_;          // by trie depth
  std::vector<uint32_t> plain_nodes_;  // by trie depth
};

}  // namespace lapidary
