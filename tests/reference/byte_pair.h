// Byte-pair encoding as its definition reads: look at every pair, merge the best, begin again.
// Quadratic; the oracle of engine/text. Knows nothing of cuts, caches or heaps.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/utf8.h"
#include "engine/text/merge_table.h"
#include "engine/text/vocabulary.h"

namespace lapidary::reference {

inline std::vector<int32_t> byte_pair_symbols(const Vocabulary& vocabulary, std::string_view text) {
  std::vector<int32_t> symbols;
  for (size_t at = 0; at < text.size();) {
    const int length = read_utf8(text, at).length;
    std::string symbol(text.substr(at, length > 0 ? static_cast<size_t>(length) : 1));
    at += symbol.size();
    if (symbol == " ") symbol = "\xE2\x96\x81";
    const int32_t id = length > 0 ? vocabulary.find(symbol) : Vocabulary::kNone;
    if (id != Vocabulary::kNone) {
      symbols.push_back(id);
    } else {
      for (const char byte : symbol) {
        symbols.push_back(vocabulary.byte_id(static_cast<unsigned char>(byte)));
      }
    }
  }
  return symbols;
}

inline std::vector<int32_t> byte_pair_ids(const Vocabulary& vocabulary, const MergeTable& merges,
                                          std::string_view text) {
  std::vector<int32_t> ids = byte_pair_symbols(vocabulary, text);
  for (;;) {
    uint32_t best = MergeTable::kNone;
    size_t where = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const uint32_t rank = merges.rank(ids[i], ids[i + 1]);
      if (rank < best) {
        best = rank;
        where = i;
      }
    }
    if (best == MergeTable::kNone) return ids;
    ids[where] = merges.result(best);
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(where) + 1);
  }
}

}  // namespace lapidary::reference
