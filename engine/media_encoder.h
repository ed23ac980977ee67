// Turns the media of a step into soft tokens, a batch of images at a time, and keeps them: an image
// that comes again, in a later turn or in a preempted sequence, is not encoded again. They lie in
// one piece of memory, taken at start, which is written round and round: the oldest go first.
// Engine thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <vector>

#include "engine/batch.h"
#include "engine/model/gemma4.h"

namespace lapidary {

class MediaEncoder {
 public:
  // `decoder` and `backend` must outlive it. Takes memory for `kept_rows` soft tokens, none for a
  // model without a tower. Throws std::bad_alloc.
  MediaEncoder(Gemma4& decoder, Backend& backend, int64_t kept_rows = kKeptRows);

  // Sets the soft tokens of all rows; valid until the next call.
  void encode(std::vector<MediaRows>& rows);

  int64_t n_encoded() const { return n_encoded_; }  // images that went through the tower

  static constexpr int64_t kKeptRows = 16384;

 private:
  struct Kept {
    MediaFingerprint fingerprint;
    int64_t first = 0;  // of its rows in memory_
    int count = 0;
  };

  void take_memory(int64_t n_rows);
  void make_room(const std::vector<MediaRows>& rows);
  void encode_missing(const std::vector<MediaRows>& rows);
  void run_tower(std::span<const MediaSpan* const> spans);
  int64_t place_for(int count);

  Backend& backend_;
  VisionTower* const tower_;  // null: the model has none
  const int hidden_;
  int64_t n_rows_ = 0;
  Buffer memory_;          // [n_rows, hidden] act
  int64_t next_ = 0;       // the row where the next image begins
  std::deque<Kept> kept_;  // in the order in which they were written
  std::map<MediaFingerprint, Kept> by_fingerprint_;
  int64_t n_encoded_ = 0;
};

}  // namespace lapidary
