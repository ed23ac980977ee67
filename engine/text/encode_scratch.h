// The work space of one encode call, and the pool that lends it. Many HTTP threads encode, few at
// once: a pool of as many spaces as there are cores keeps each word cache warm and the memory
// bounded, where a thread-local one would cost a megabyte a thread.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/text/byte_pair_merger.h"
#include "engine/text/word_cache.h"

namespace lapidary {

struct EncodeScratch {
  WordCache words;
  BytePairMerger merger;
};

class EncodeScratchPool {
 public:
  // Pieces up to here are encoded in a lent space. Longer ones (a megabyte of one letter: no
  // ordinary text has them) need 30 bytes a symbol, so they get their space for the moment only
  // and take turns: a server full of them needs it once.
  static constexpr size_t kMaxPieceBytes = 1 << 16;

  EncodeScratchPool();

  std::mutex& long_piece_turn() { return long_piece_turn_; }

  // A space that comes back by itself. Never waits: when all are lent a new one is made, which is
  // dropped on return unless there is room for it.
  class Lease {
   public:
    explicit Lease(EncodeScratchPool& pool) : pool_(pool), scratch_(pool.take()) {}
    ~Lease() { pool_.give_back(std::move(scratch_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    EncodeScratch& operator*() { return *scratch_; }

   private:
    EncodeScratchPool& pool_;
    std::unique_ptr<EncodeScratch> scratch_;
  };

 private:
  std::unique_ptr<EncodeScratch> take();
  void give_back(std::unique_ptr<EncodeScratch> scratch);

  std::mutex long_piece_turn_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<EncodeScratch>> free_;  // guarded by mutex_; the last used is last
  size_t max_free_;
};

}  // namespace lapidary
