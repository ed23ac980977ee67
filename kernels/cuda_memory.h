// What the CUDA backend's verbs take of its workspace, in bytes: known in every build, so that the
// memory of a GPU can be planned on any machine. The verbs take turns, so a step needs the largest.
// tests/cuda/memory_test.cpp holds them to what is really taken. Pure functions, any thread.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lapidary::cuda {

constexpr int64_t kLibraryBytes = int64_t{32} << 20;  // cuBLASLt's, beside the workspace

// A part of the workspace begins on 256 bytes.
constexpr int64_t part_bytes(int64_t bytes) { return (bytes + 255) / 256 * 256; }

// --- attention ---

constexpr int kAttentionSegment = 256;  // keys, at least
// A step with this many queries beside the first of each sequence, or fewer, cuts the keys of all
// its sequences: a short prompt behind a long context would else keep few multiprocessors busy.
constexpr int kMostCutQueries = 64;

// Segments that a sequence's keys are cut into at most; and one more, where its window starts
// within one.
constexpr int max_segments(int n_kv_heads) { return std::max(8, 128 / n_kv_heads); }

// Partial results of a row and head: one for each segment that a sequence can have.
constexpr int attention_slots(int max_keys, int window, int n_kv_heads) {
  const int most = max_segments(n_kv_heads);
  const int in_context = (max_keys + kAttentionSegment - 1) / kAttentionSegment;
  const int in_window =
      window == 0 ? most
                  : (window + kMostCutQueries + kAttentionSegment - 1) / kAttentionSegment + 1;
  return std::min({in_context, in_window, most + 1});
}

// A softmax's maximum and sum, and the sums of values.
constexpr int64_t attention_bytes(int64_t n_seqs, int slots, int n_heads, int head_dim) {
  if (slots == 1) return 0;
  const int64_t n = (n_seqs + kMostCutQueries) * slots * n_heads;
  return part_bytes(n * 8) + part_bytes(n * head_dim * 4);
}

// --- matrices ---

constexpr int64_t kPairedRows = 2048;  // whose sums of gate and up stay in L2
constexpr int kRouteSlice = 256;       // columns whose sums one block leaves

constexpr int64_t geglu_bytes(int64_t n, int64_t ffn) {
  return part_bytes(std::min(n, kPairedRows) * ((ffn + 7) / 8 * 16) * 4);
}
// Of an input that is float32.
constexpr int64_t rounded_bytes(int64_t n, int64_t cols) { return part_bytes(n * cols * 2); }

constexpr int64_t route_bytes(int64_t n, int64_t hidden, int64_t n_experts) {
  const int64_t n_slices = (hidden + kRouteSlice - 1) / kRouteSlice;
  return part_bytes(n_slices * n * n_experts * 4) + part_bytes(n_slices * n * 4);
}

constexpr int64_t experts_bytes(int64_t n, int64_t top_k, int64_t hidden, int64_t ffn,
                                int64_t n_experts) {
  const int64_t pairs = n * top_k;
  return part_bytes(pairs * ffn * 2) + part_bytes((n_experts + 1) * 4) + part_bytes(pairs * 4) +
         part_bytes(pairs * hidden * 2);
}

// --- sampling ---

constexpr int64_t kSampledPiece = 16384;  // logits
constexpr int64_t kDrawBytes = 256;       // what goes there and comes back of a draw, at most

// `list_bytes`: of counts, biases, bans and masks of all draws.
constexpr int64_t sample_bytes(int64_t n_draws, int64_t vocab, int64_t n_logprobs,
                               int64_t list_bytes) {
  const int64_t n_pieces = (vocab + kSampledPiece - 1) / kSampledPiece;
  return part_bytes(list_bytes + n_draws * kDrawBytes) +
         part_bytes(n_draws * (kDrawBytes + n_logprobs * 8)) +
         2 * part_bytes(n_draws * n_pieces * 64 * 8) + part_bytes(n_draws * n_pieces * 8);
}

}  // namespace lapidary::cuda
