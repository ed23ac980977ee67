#include "engine/batch.h"

#include <algorithm>
#include <bit>

#include "kernels/backend.h"

namespace lapidary {
namespace {

void add_group(GroupPages& group, const PageTable& table, const Chunk& chunk) {
  if (table.n_blocks() > 0) {
    for (int p = chunk.start; p < chunk.start + chunk.count; ++p) {
      group.slots.push_back(table.page_of(p) * kPageSize + p % kPageSize);
    }
    const auto& pages = table.pages();
    group.block_table.insert(group.block_table.end(), pages.begin(), pages.end());
  }
  group.block_start.push_back(static_cast<int32_t>(group.block_table.size()));
}

void repeat_first(GroupPages& group, int n) {
  const std::vector<int32_t> first(group.block_table.begin(),
                                   group.block_table.begin() + group.block_start[1]);
  while (static_cast<int>(group.block_start.size()) <= n) {
    group.block_table.insert(group.block_table.end(), first.begin(), first.end());
    group.block_start.push_back(static_cast<int32_t>(group.block_table.size()));
  }
  if (!group.slots.empty()) group.slots.resize(n, -1);
}

}  // namespace

int padded_decode_rows(int n) {
  int unit = 1;  // at most an eighth of n
  while (16 * unit <= n) unit *= 2;
  return (n + unit - 1) / unit * unit;
}

int padded_decode_keys(int max_keys) {
  return static_cast<int>(std::bit_ceil(static_cast<unsigned>(max_keys)));
}

bool Batch::is_decode() const {
  return n_tokens() == n_seqs() && logit_rows.size() == tokens.size() && media.empty();
}

void Batch::pad_decode(int n) {
  CHECK(is_decode() && n >= n_tokens());
  while (n_tokens() < n) {
    tokens.push_back(tokens[0]);
    positions.push_back(positions[0]);
    logit_rows.push_back(0);
    query_start.push_back(n_tokens());
  }
  repeat_first(sliding, n);
  repeat_first(global, n);
  max_keys = padded_decode_keys(max_keys);
}

int first_logit_row(const Chunk& chunk) {
  const Sequence& s = *chunk.sequence;
  const int last = chunk.reaches_end() ? chunk.count - 1 : chunk.count;
  if (!s.request->prompt_logprobs || s.n_prompt_published == s.n_prompt) return last;
  // The row before a token scores it; what was scored before a preemption is not scored again.
  return std::clamp(s.n_prompt_published - 1 - chunk.start, 0, last);
}

namespace {

void add_media(Batch& batch, const Chunk& chunk, int row, bool sees_images_whole) {
  const int end = chunk.start + chunk.count;
  for (const MediaSpan& span : chunk.sequence->request->media) {
    const int first = std::max(span.first, chunk.start);
    const int last = std::min(span.end(), end);
    if (first >= last) continue;
    batch.media.push_back({.span = &span,
                           .row = row + first - chunk.start,
                           .count = last - first,
                           .offset = first - span.first,
                           .soft_tokens = {}});
    if (!sees_images_whole) continue;
    CHECK(last - first == span.count);
    if (batch.last_visible.empty()) batch.last_visible = batch.positions;
    std::fill_n(batch.last_visible.begin() + batch.media.back().row, span.count, span.end() - 1);
  }
}

}  // namespace

Batch Batch::from(const Step& step, bool sees_images_whole) {
  Batch batch;
  batch.query_start.push_back(0);
  batch.sliding.block_start.push_back(0);
  batch.global.block_start.push_back(0);
  for (const Chunk& chunk : step.chunks) {
    const int row = batch.n_tokens();
    for (int i = first_logit_row(chunk); i < chunk.count; ++i) batch.logit_rows.push_back(row + i);
    for (int p = chunk.start; p < chunk.start + chunk.count; ++p) {
      batch.tokens.push_back(chunk.sequence->tokens[p]);
      batch.positions.push_back(p);
    }
    if (!batch.last_visible.empty()) {
      batch.last_visible.insert(batch.last_visible.end(), batch.positions.begin() + row,
                                batch.positions.end());
    }
    add_media(batch, chunk, row, sees_images_whole);
    batch.query_start.push_back(batch.n_tokens());
    batch.max_keys = std::max(batch.max_keys, chunk.start + chunk.count);
    add_group(batch.sliding, chunk.sequence->sliding, chunk);
    add_group(batch.global, chunk.sequence->global, chunk);
  }
  return batch;
}

}  // namespace lapidary
