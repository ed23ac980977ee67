#include "engine/media_encoder.h"

#include <algorithm>
#include <utility>

#include "kernels/check.h"

namespace lapidary {

MediaEncoder::MediaEncoder(Gemma4& decoder, Backend& backend, int64_t kept_rows)
    : backend_(backend), tower_(decoder.vision()), hidden_(decoder.config().hidden) {
  if (tower_ != nullptr) take_memory(kept_rows);
}

void MediaEncoder::take_memory(int64_t n_rows) {
  kept_.clear();
  by_fingerprint_.clear();
  next_ = 0;
  n_rows_ = n_rows;
  memory_ = backend_.allocate(static_cast<size_t>(n_rows * hidden_) *
                              dtype_bytes(backend_.activation_dtype()));
}

// What a step needs must never be written over by what it adds: with room for twice as much, an
// image that was kept in the way of new ones is just written once more behind them. Only a step
// with parts of many images at once needs more than was taken at start.
void MediaEncoder::make_room(const std::vector<MediaRows>& rows) {
  int64_t n_rows = tower_->max_patches() / kPatchesPerToken;
  for (const MediaRows& r : rows) n_rows += r.span->count;
  if (2 * n_rows > n_rows_) take_memory(2 * n_rows);
}

void MediaEncoder::encode(std::vector<MediaRows>& rows) {
  if (rows.empty()) return;
  CHECK(tower_ != nullptr);
  make_room(rows);
  encode_missing(rows);
  const Tensor all(memory_.data(), backend_.activation_dtype(), {n_rows_, hidden_});
  for (MediaRows& r : rows) {
    const Kept& kept = by_fingerprint_.at(r.span->fingerprint);
    CHECK(kept.count == r.span->count);
    r.soft_tokens = all.rows(kept.first + r.offset, r.count);
  }
}

// As many at once as the tower takes, until nothing is missing.
void MediaEncoder::encode_missing(const std::vector<MediaRows>& rows) {
  while (true) {
    std::vector<const MediaSpan*> batch;
    int n_patches = 0;
    for (const MediaRows& r : rows) {
      const auto is_it = [&](const MediaSpan* s) { return s->fingerprint == r.span->fingerprint; };
      if (by_fingerprint_.contains(r.span->fingerprint) || std::ranges::any_of(batch, is_it)) {
        continue;
      }
      if (n_patches + r.span->image->n_patches() > tower_->max_patches()) break;
      batch.push_back(r.span);
      n_patches += r.span->image->n_patches();
    }
    if (batch.empty()) return;
    run_tower(batch);
  }
}

void MediaEncoder::run_tower(std::span<const MediaSpan* const> spans) {
  std::vector<const ImagePixels*> images;
  for (const MediaSpan* span : spans) images.push_back(span->image.get());
  const Tensor out = tower_->encode(images);
  const Tensor all(memory_.data(), backend_.activation_dtype(), {n_rows_, hidden_});
  int64_t first = 0;
  for (const MediaSpan* span : spans) {
    const Tensor part = out.rows(first, span->count);
    first += span->count;
    const Kept kept{span->fingerprint, place_for(span->count), span->count};
    backend_.copy(all.rows(kept.first, kept.count).data, part.data, part.bytes());
    kept_.push_back(kept);
    by_fingerprint_.emplace(kept.fingerprint, kept);
    ++n_encoded_;
  }
  CHECK(first == out.dim(0));
}

// Forgets whatever lies there.
int64_t MediaEncoder::place_for(int count) {
  if (next_ + count > n_rows_) next_ = 0;
  const int64_t first = std::exchange(next_, next_ + count);
  std::erase_if(kept_, [&](const Kept& kept) {
    const bool is_hit = kept.first < next_ && first < kept.first + kept.count;
    if (is_hit) by_fingerprint_.erase(kept.fingerprint);
    return is_hit;
  });
  return first;
}

}  // namespace lapidary
