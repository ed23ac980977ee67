// Attention of sequences with several queries on Hopper's own instructions (wgmma, TMA): what
// attention.cu launches in place of its kernel for them where the backend's path and the shapes
// allow it. Heads of 256 dims with K and V in two tensors, heads of 512 with V stored once.
#pragma once

#include "kernels/backend.h"
#include "kernels/cuda/launch.h"

namespace lapidary::cuda {

struct AttentionView;

// Rows of a tile.
int hopper_attention_rows(int head_dim);

// The work that view's sequences of several queries make in tiles of so many rows. REQUIRES: bf16
// pages, no spans, view.splits not set. `blocks` walk over the (tile, kv head) pairs.
void launch_hopper_attention(const AttentionArgs& args, const AttentionView& view, int64_t blocks,
                             cudaStream_t stream);

}  // namespace lapidary::cuda
