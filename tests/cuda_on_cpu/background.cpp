#include "tests/cuda_on_cpu/background.h"

#include <algorithm>
#include <vector>

#include "tests/cuda_on_cpu/block.h"

namespace cuda_on_cpu {
namespace {

struct Piece {
  unsigned owner;
  std::function<void()> work;
};

std::vector<Piece> under_way;

}  // namespace

void in_background(unsigned owner, std::function<void()> work) {
  const Unobserved by_nobody;
  const Piece piece{owner, std::move(work)};
  // In random orders some land before products that were issued earlier have read what they
  // replace.
  const bool may_hurry = schedule().seed > 1;
  if (schedule().late_copies && !(may_hurry && choose(2) == 0)) {
    under_way.push_back(piece);
  } else {
    piece.work();
  }
}

void finish_background(unsigned owner) {
  const Unobserved by_nobody;
  const auto is_other = [owner](const Piece& piece) { return piece.owner != owner; };
  const auto mine = std::stable_partition(under_way.begin(), under_way.end(), is_other);
  const std::vector<Piece> pieces(mine, under_way.end());
  under_way.erase(mine, under_way.end());
  for (const Piece& piece : pieces) piece.work();
}

bool has_background(unsigned owner) {
  return std::any_of(under_way.begin(), under_way.end(),
                     [owner](const Piece& piece) { return piece.owner == owner; });
}

void begin_background() { under_way.clear(); }

bool advance_background() {
  const Unobserved by_nobody;
  if (under_way.empty()) return false;
  const auto at = under_way.begin() + static_cast<std::ptrdiff_t>(choose(under_way.size()));
  const Piece piece = std::move(*at);
  under_way.erase(at);
  piece.work();
  return true;
}

void end_background() {
  require(under_way.empty(), "a block ends while copies into its shared memory are under way");
}

}  // namespace cuda_on_cpu
