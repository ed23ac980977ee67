// One step as flat arrays: what the model is called with. Built from the scheduler's Step by the
// engine thread, read by Gemma4::forward, forgotten after the step.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/scheduler.h"
#include "kernels/tensor.h"

namespace lapidary {

// Where the KV of this step goes and stands, for one layer group.
struct GroupPages {
  std::vector<int32_t> slots;        // [n_tokens]: page * kPageSize + offset
  std::vector<int32_t> block_start;  // [n_seqs + 1], into block_table
  std::vector<int32_t> block_table;  // pages of each sequence, -1 behind the window
};

// Soft tokens in a batch: rows [row, row + count) are those of the span from `offset` on.
struct MediaRows {
  const MediaSpan* span = nullptr;
  int row = 0, count = 0, offset = 0;
  Tensor soft_tokens;  // [count, hidden] act: set before the model is called
};

struct Batch {
  std::vector<int32_t> tokens;       // [n_tokens]
  std::vector<int32_t> positions;    // [n_tokens]
  std::vector<int32_t> query_start;  // [n_seqs + 1]: rows of each sequence
  std::vector<int32_t> logit_rows;   // rows whose logits are wanted, ascending
  GroupPages sliding, global;
  int max_keys = 0;  // positions of the longest sequence, those of this step included
  std::vector<MediaRows> media;
  // [n_tokens]: the last position that a token sees on sliding layers, where images are seen whole;
  // empty: its own.
  std::vector<int32_t> last_visible;

  int n_tokens() const { return static_cast<int>(tokens.size()); }
  int n_seqs() const { return static_cast<int>(query_start.size()) - 1; }

  // Whether every sequence brings one token and wants its logits.
  bool is_decode() const;
  // A decode batch grown to n rows that repeat the first and write no KV: steps of few sizes can be
  // recorded and replayed. max_keys grows to a power of two for the same reason.
  void pad_decode(int n);

  // `sees_images_whole`: ModelConfig's. REQUIRES: then no chunk ends inside a span.
  // Logits are wanted of a chunk's last row when it reaches the sequence's end, and of every
  // prompt row that is not scored yet when the request asks for the prompt's logprobs.
  static Batch from(const Step& step, bool sees_images_whole);
};

// Rows that a decode batch of n is padded to: a little more than n, one of few sizes.
int padded_decode_rows(int n);

// What max_keys of a padded decode batch grows to: the next power of two.
int padded_decode_keys(int max_keys);

// First row of the logits that chunk `c` of the step wants, counted in the chunk; == count: none.
int first_logit_row(const Chunk& chunk);

}  // namespace lapidary
