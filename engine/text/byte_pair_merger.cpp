#include "engine/text/byte_pair_merger.h"

#include <algorithm>
#include <functional>

#include "config/utf8.h"
#include "kernels/check.h"

namespace lapidary {
namespace {

// Up to here looking at all pairs for the best one beats a heap.
constexpr size_t kShortSymbols = 32;

constexpr uint32_t kNoSymbol = ~uint32_t{0};

}  // namespace

void BytePairMerger::encode(const Vocabulary& vocabulary, const MergeTable& merges,
                            std::string_view piece, std::vector<int32_t>& ids) {
  CHECK(piece.size() < size_t{1} << 31);
  split(vocabulary, piece);
  if (symbols_.size() <= kShortSymbols) {
    merge_short(merges);
  } else {
    merge_long(merges);
  }
  ids.insert(ids.end(), symbols_.begin(), symbols_.end());
}

void BytePairMerger::split(const Vocabulary& vocabulary, std::string_view piece) {
  symbols_.clear();
  for (size_t at = 0; at < piece.size();) {
    const Utf8CodePoint code_point = read_utf8(piece, at);
    const int32_t id =
        code_point.length == 0 ? Vocabulary::kNone : vocabulary.code_point_id(code_point.value);
    const auto length = static_cast<size_t>(std::max(code_point.length, 1));
    if (id != Vocabulary::kNone) {
      symbols_.push_back(id);
    } else if (piece[at] == ' ') {  // a vocabulary without U+2581
      for (const char byte : kWordMarkUtf8) {
        symbols_.push_back(vocabulary.byte_id(static_cast<unsigned char>(byte)));
      }
    } else {
      for (const char byte : piece.substr(at, length)) {
        symbols_.push_back(vocabulary.byte_id(static_cast<unsigned char>(byte)));
      }
    }
    at += length;
  }
}

void BytePairMerger::merge_short(const MergeTable& merges) {
  size_t n = symbols_.size();
  ranks_.resize(n);
  for (size_t i = 0; i + 1 < n; ++i) ranks_[i] = merges.rank(symbols_[i], symbols_[i + 1]);
  while (n > 1) {
    const auto best = std::min_element(ranks_.begin(), ranks_.begin() + static_cast<int>(n) - 1);
    if (*best == MergeTable::kNone) break;
    const auto i = static_cast<size_t>(best - ranks_.begin());
    symbols_[i] = merges.result(*best);
    std::copy(symbols_.begin() + static_cast<int>(i) + 2, symbols_.begin() + static_cast<int>(n),
              symbols_.begin() + static_cast<int>(i) + 1);
    std::copy(best + 2, ranks_.begin() + static_cast<int>(n), best + 1);
    --n;
    if (i + 1 < n) ranks_[i] = merges.rank(symbols_[i], symbols_[i + 1]);
    if (i > 0) ranks_[i - 1] = merges.rank(symbols_[i - 1], symbols_[i]);
  }
  symbols_.resize(n);
}

// Looks the pair up anew, since one of its two has changed.
void BytePairMerger::offer(const MergeTable& merges, uint32_t left, uint32_t right) {
  ranks_[left] = merges.rank(symbols_[left], symbols_[right]);
  if (ranks_[left] == MergeTable::kNone) return;
  heap_.push_back(uint64_t{ranks_[left]} << 32 | left);
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
}

void BytePairMerger::merge_long(const MergeTable& merges) {
  const auto n = static_cast<uint32_t>(symbols_.size());
  ranks_.assign(n, MergeTable::kNone);
  next_.resize(n);
  previous_.resize(n);
  heap_.clear();
  for (uint32_t i = 0; i < n; ++i) {
    next_[i] = i + 1 < n ? i + 1 : kNoSymbol;
    previous_[i] = i > 0 ? i - 1 : kNoSymbol;
    if (i + 1 == n) break;
    ranks_[i] = merges.rank(symbols_[i], symbols_[i + 1]);
    if (ranks_[i] != MergeTable::kNone) heap_.push_back(uint64_t{ranks_[i]} << 32 | i);
  }
  std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const auto rank = static_cast<uint32_t>(heap_.back() >> 32);
    const auto i = static_cast<uint32_t>(heap_.back());
    heap_.pop_back();
    if (ranks_[i] != rank) continue;  // the pair has changed since it was put here
    const uint32_t gone = next_[i];
    symbols_[i] = merges.result(rank);
    ranks_[gone] = MergeTable::kNone;
    next_[i] = next_[gone];
    ranks_[i] = MergeTable::kNone;
    if (next_[i] != kNoSymbol) {
      previous_[next_[i]] = i;
      offer(merges, i, next_[i]);
    }
    if (previous_[i] != kNoSymbol) offer(merges, previous_[i], i);
  }
  size_t kept = 0;
  for (uint32_t i = 0; i != kNoSymbol; i = next_[i]) symbols_[kept++] = symbols_[i];
  symbols_.resize(kept);
}

}  // namespace lapidary
