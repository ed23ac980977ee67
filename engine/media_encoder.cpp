#include "engine/media_encoder.h"

#include <algorithm>
#include <utility>

#include "kernels/check.h"

namespace lapidary {

MediaEncoder::MediaEncoder(Gemma4& decoder, Backend& backend, int64_t kept_bytes)
    : backend_(backend),
      hidden_(decoder.config().hidden),
      most_bytes_(kept_bytes),
      tower_(decoder.vision()) {}

void MediaEncoder::encode(std::vector<MediaRows>& rows) {
  if (rows.empty()) return;
  forget_oldest();  // before the step, so that nothing that it uses goes
  encode_missing(rows);
  for (MediaRows& r : rows) {
    const Place at = by_fingerprint_.at(r.span->fingerprint);
    CHECK(at->count == r.span->count);
    kept_.splice(kept_.begin(), kept_, at);
    const Tensor all(at->soft_tokens.data(), backend_.activation_dtype(), {at->count, hidden_});
    r.soft_tokens = all.rows(r.offset, r.count);
  }
}

// As many at once as the tower takes.
void MediaEncoder::encode_missing(const std::vector<MediaRows>& rows) {
  CHECK(tower_ != nullptr);
  std::vector<const MediaSpan*> batch;
  int n_patches = 0;
  for (const MediaRows& r : rows) {
    const auto is_it = [&](const MediaSpan* s) { return s->fingerprint == r.span->fingerprint; };
    if (by_fingerprint_.contains(r.span->fingerprint) || std::ranges::any_of(batch, is_it))
      continue;
    if (n_patches + r.span->image->n_patches() > tower_->max_patches()) {
      run_tower(std::exchange(batch, {}));
      n_patches = 0;
    }
    batch.push_back(r.span);
    n_patches += r.span->image->n_patches();
  }
  if (!batch.empty()) run_tower(batch);
}

void MediaEncoder::run_tower(std::span<const MediaSpan* const> spans) {
  std::vector<const ImagePixels*> images;
  for (const MediaSpan* span : spans) images.push_back(span->image.get());
  const Tensor out = tower_->encode(images);
  int64_t first = 0;
  for (const MediaSpan* span : spans) {
    const Tensor part = out.rows(first, span->count);
    first += span->count;
    Kept kept{.fingerprint = span->fingerprint,
              .soft_tokens = backend_.allocate(part.bytes()),
              .count = span->count};
    backend_.copy(kept.soft_tokens.data(), part.data, part.bytes());
    bytes_ += static_cast<int64_t>(part.bytes());
    kept_.push_front(std::move(kept));
    by_fingerprint_.emplace(span->fingerprint, kept_.begin());
    ++n_encoded_;
  }
  CHECK(first == out.dim(0));
}

void MediaEncoder::forget_oldest() {
  while (bytes_ > most_bytes_) {
    bytes_ -= static_cast<int64_t>(kept_.back().soft_tokens.bytes());
    by_fingerprint_.erase(kept_.back().fingerprint);
    kept_.pop_back();
  }
}

}  // namespace lapidary
