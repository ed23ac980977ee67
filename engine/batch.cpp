#include "engine/batch.h"

#include <algorithm>

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

}  // namespace

int first_logit_row(const Chunk& chunk) {
  const Sequence& s = *chunk.sequence;
  const int last = chunk.reaches_end() ? chunk.count - 1 : chunk.count;
  if (!s.request->prompt_logprobs || s.n_prompt_published == s.n_prompt) return last;
  // The row before a token scores it; what was scored before a preemption is not scored again.
  return std::clamp(s.n_prompt_published - 1 - chunk.start, 0, last);
}

Batch Batch::from(const Step& step) {
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
    batch.query_start.push_back(batch.n_tokens());
    batch.max_keys = std::max(batch.max_keys, chunk.start + chunk.count);
    add_group(batch.sliding, chunk.sequence->sliding, chunk);
    add_group(batch.global, chunk.sequence->global, chunk);
  }
  return batch;
}

}  // namespace lapidary
