// Where a matcher stands: configurations, each a node of the automaton and the frames of the calls
// around it. Frames are cells of one arena that point to the frame below, so that configurations
// share what they have in common and copying a matcher copies two small vectors.
// Used by one thread at a time.
// Drops configurations beyond kMaxConfigs and calls beyond kMaxDepth: what is dropped can no longer
// match, so a limit makes an answer end, never escape its grammar.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/grammar/automaton.h"

namespace lapidary {

struct Config {
  uint32_t node = 0;
  uint32_t cell = 0;

  friend bool operator==(const Config&, const Config&) = default;
};

struct StackCell {
  uint32_t node = 0;    // where the call returns to
  uint32_t parent = 0;  // the cell below
  uint32_t depth = 0;
};

class Stacks {
 public:
  static constexpr uint32_t kBottom = 0;   // below the root rule: returning here ends the grammar
  static constexpr uint32_t kUnknown = 1;  // below a node seen by itself: anything may follow
  static constexpr uint32_t kFirstCell = 2;
  static constexpr uint32_t kMaxDepth = 1024;
  static constexpr size_t kMaxConfigs = 1024;

  Stacks() : cells_(kFirstCell) {}

  const StackCell& cell(uint32_t index) const { return cells_[index]; }
  uint32_t push(uint32_t node, uint32_t parent);
  size_t size() const { return cells_.size(); }
  void truncate(size_t n_cells) { cells_.resize(n_cells); }
  // Keeps what `configs` can reach and renames it in them.
  void compact(std::vector<Config>& configs);

 private:
  std::vector<StackCell> cells_;
};

// Steps configurations through an automaton. Holds scratch space only.
class Stepper {
 public:
  explicit Stepper(const Automaton& automaton) : automaton_(automaton) {}

  struct Reached {
    bool bottom = false, unknown = false;
  };
  // Appends to `ready` those that a byte or a token can lead on from: `raw`, what they return to,
  // what they call. Pushes frames on `stacks`.
  Reached expand(std::span<const Config> raw, Stacks& stacks, std::vector<Config>& ready);
  // Appends to `raw` what they and all that they return to are; calls are not followed.
  Reached unwind(std::span<const Config> raw, const Stacks& stacks, std::vector<Config>& returned);
  // Appends to `raw` where `byte` leads from `ready`.
  void step(std::span<const Config> ready, uint8_t byte, std::vector<Config>& raw);
  void step_token(std::span<const Config> ready, int32_t token, std::vector<Config>& raw);

 private:
  bool add_seen(Config config);
  bool pop(Config config, const Stacks& stacks, Reached& reached);

  const Automaton& automaton_;
  std::vector<Config> seen_;  // in the order in which they are worked on
  // Beyond a few, finding an element of seen_ takes a table: positions + 1, 0 for free. Empty until
  // it is needed.
  std::vector<uint16_t> table_;
  static constexpr size_t kTableSize = 4 * Stacks::kMaxConfigs;
  static constexpr size_t kSearched = 12;
};

}  // namespace lapidary
