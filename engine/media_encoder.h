// Turns the media of a step into soft tokens, a batch of images at a time, and keeps them: an image
// that comes again, in a later turn or in a preempted sequence, is not encoded again. Least
// recently used ones go first. Engine thread only.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <span>
#include <vector>

#include "engine/batch.h"
#include "engine/model/gemma4.h"

namespace lapidary {

class MediaEncoder {
 public:
  // `decoder` and `backend` must outlive it.
  MediaEncoder(Gemma4& decoder, Backend& backend, int64_t kept_bytes = kKeptBytes);

  // Sets the soft tokens of all rows; valid until the next call.
  void encode(std::vector<MediaRows>& rows);

  int64_t n_encoded() const { return n_encoded_; }  // images that went through the tower

  static constexpr int64_t kKeptBytes = int64_t{256} << 20;

 private:
  struct Kept {
    MediaFingerprint fingerprint;
    Buffer soft_tokens;  // [count, hidden] act
    int count = 0;
  };
  using Place = std::list<Kept>::iterator;

  void encode_missing(const std::vector<MediaRows>& rows);
  void run_tower(std::span<const MediaSpan* const> spans);
  void forget_oldest();

  Backend& backend_;
  const int hidden_;
  const int64_t most_bytes_;
  VisionTower* const tower_;  // null: the model has none
  std::list<Kept> kept_;      // the most recently used first
  std::map<MediaFingerprint, Place> by_fingerprint_;
  int64_t bytes_ = 0;
  int64_t n_encoded_ = 0;
};

}  // namespace lapidary
