// The shapes each verb is tested on and timed with: scaled copies of what the served models need,
// and the edges. kernel_bench times those marked `timed`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace lapidary::cases {

struct Linear {
  const char* name;
  int64_t n_tokens, rows, cols;
  bool timed = false;
};

inline const std::vector<Linear>& linears() {
  static const std::vector<Linear> cases = {
      {"one output, one input", 1, 1, 1},
      {"odd inputs, rows beyond a panel", 3, 17, 33},
      {"rows below a panel", 2, 5, 64},
      {"tile of rows and a rest", 13, 80, 96},
      {"all row tails", 11, 67, 130},
      {"many rows, few panels", 200, 24, 40},
      {"attention output, 1 token", 1, 1024, 1024, true},
      {"attention output, 8 tokens", 8, 1024, 1024, true},
      {"attention output, 512 tokens", 512, 1024, 1024, true},
      {"dense down, 1 token", 1, 1024, 4096, true},
      {"dense down, 512 tokens", 512, 1024, 4096, true},
  };
  return cases;
}

// rows: of gate, and as many of up.
inline const std::vector<Linear>& geglus() {
  static const std::vector<Linear> cases = {
      {"one output", 1, 1, 2},
      {"ffn below a panel", 2, 12, 33},
      {"ffn beyond a panel", 7, 24, 64},
      {"several groups and a rest", 14, 104, 64},
      {"dense, 1 token", 1, 2048, 1024, true},
      {"dense, 512 tokens", 512, 2048, 1024, true},
  };
  return cases;
}

inline const std::vector<Linear>& logits() {
  static const std::vector<Linear> cases = {
      {"odd vocabulary", 3, 301, 64},
      {"lm head, 1 token", 1, 32768, 1024, true},
      {"lm head, 8 tokens", 8, 32768, 1024, true},
  };
  return cases;
}

// Positions that see one another both ways, both included.
struct Span {
  int first, last;
};

struct Sequence {
  int n_before;                  // positions already in the cache
  int n_tokens;                  // queries of this step
  std::vector<Span> spans = {};  // of these, ascending

  // The last key that the query at a position sees.
  int last_visible(int position) const {
    for (const Span& span : spans) {
      if (position >= span.first && position <= span.last) return span.last;
    }
    return position;
  }
};

struct Attention {
  const char* name;
  int n_heads, n_kv_heads, head_dim, window;
  std::vector<Sequence> sequences;
  bool timed = false;

  bool has_spans() const {
    return std::any_of(sequences.begin(), sequences.end(),
                       [](const Sequence& s) { return !s.spans.empty(); });
  }
};

inline const std::vector<Attention>& attentions() {
  static const std::vector<Attention> cases = {
      {"one token of one", 1, 1, 16, 0, {{0, 1}}},
      {"prompt below a page", 4, 2, 32, 0, {{0, 5}}},
      {"prompt ends on a page", 4, 1, 16, 0, {{0, 32}}},
      {"prompt beyond a block", 2, 2, 48, 0, {{0, 70}}},
      {"window edge", 4, 2, 32, 20, {{0, 19}, {0, 20}, {0, 21}, {60, 3}}},
      {"window begins at the edge of a page", 4, 2, 32, 20, {{34, 2}, {35, 1}, {33, 4}}},
      {"window of one", 2, 1, 16, 1, {{5, 40}}},
      {"window of whole pages", 4, 4, 16, 16, {{17, 30}}},
      {"decode and prefill mixed", 8, 2, 64, 0, {{100, 1}, {0, 33}, {31, 17}, {15, 1}}},
      {"decode beyond a segment", 4, 1, 32, 0, {{2100, 1}}},
      {"prefill across a segment", 4, 2, 32, 0, {{1000, 60}}},
      {"window across a segment", 4, 2, 32, 300, {{1100, 50}, {1023, 1}}},
      {"many heads a kv head", 16, 1, 32, 0, {{20, 9}}},
      {"span inside a prompt", 4, 2, 32, 20, {{0, 30, {{7, 13}}}}},
      {"spans that touch do not see one another", 2, 1, 16, 20, {{0, 40, {{3, 17}, {18, 33}}}}},
      {"spans at both ends of a chunk", 4, 2, 32, 24, {{37, 50, {{37, 60}, {70, 86}}}}},
      {"span beyond its window", 2, 2, 16, 9, {{20, 60, {{22, 70}}}}},
      {"span of one position, chunk of one span",
       4,
       1,
       64,
       30,
       {{16, 5, {{18, 18}}}, {9, 6, {{9, 14}}}}},
      {"span across blocks and a segment", 4, 2, 32, 300, {{960, 150, {{970, 1100}}}}},
      {"spans beside decodes",
       8,
       2,
       64,
       40,
       {{100, 1}, {31, 17, {{33, 40}}}, {0, 9}, {0, 33, {{1, 12}, {14, 30}}}, {15, 1}}},
      {"spans without a window", 2, 1, 32, 0, {{0, 40, {{5, 30}}}, {700, 90, {{705, 780}}}}},
      {"sliding prefill, 512 tokens", 8, 4, 256, 512, {{0, 512}}, true},
      {"global prefill, 512 tokens at 2048", 8, 2, 256, 0, {{2048, 512}}, true},
      {"sliding decode", 16, 8, 256, 1024, {{4000, 1}}, true},
      {"global decode at 16K", 16, 2, 512, 0, {{16000, 1}}, true},
      {"decode, batch 8 at 2K",
       8,
       4,
       256,
       0,
       {{2000, 1}, {2001, 1}, {2002, 1}, {2003, 1}, {2004, 1}, {2005, 1}, {2006, 1}, {2007, 1}},
       true},
  };
  return cases;
}

enum class Routing : uint8_t { random, all_to_one, few_experts };

struct Moe {
  const char* name;
  int64_t n_tokens, hidden, ffn;
  int n_experts, top_k;
  Routing routing = Routing::random;
  bool timed = false;
};

inline const std::vector<Moe>& moes() {
  static const std::vector<Moe> cases = {
      {"one token", 1, 64, 16, 8, 2},
      {"ffn beyond a panel", 5, 96, 24, 16, 4},
      {"odd ffn", 4, 33, 7, 4, 2},
      {"all tokens to one expert", 40, 64, 32, 8, 1, Routing::all_to_one},
      {"most experts empty", 30, 64, 32, 64, 2, Routing::few_experts},
      {"every expert chosen", 3, 32, 16, 4, 4},
      {"more tokens than a tile", 120, 80, 48, 8, 3},
      {"1 token", 1, 1024, 256, 128, 8, Routing::random, true},
      {"8 tokens", 8, 1024, 256, 128, 8, Routing::random, true},
      {"32 tokens", 32, 1024, 256, 128, 8, Routing::random, true},
      {"512 tokens", 512, 1024, 256, 128, 8, Routing::random, true},
  };
  return cases;
}

// Row lengths of norms and of what else goes along a row.
inline const std::vector<int64_t>& widths() {
  static const std::vector<int64_t> cases = {1, 2, 15, 16, 17, 63, 64, 65, 96, 128, 1000, 2816};
  return cases;
}

}  // namespace lapidary::cases
