// Decides what each step computes: decodes first, then prompt chunks within a token budget, then
// admission by free pages; when pages run out the youngest sequence is preempted and computed
// again later. A pure state machine: no device, no clock, no thread; driven by the engine thread
// and, in tests, by a simulation.
//
// Invariants: (1) the oldest sequence always gets its tokens, so every request ends; (2) a
// sequence that is not running holds no pages; (3) pages behind the window go back at commit.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "engine/cache/block_pool.h"
#include "engine/sequence.h"

namespace lapidary {

struct SchedulerLimits {
  int max_seqs = 1;     // running at once
  int step_tokens = 1;  // >= max_seqs
  int window = 0;       // of the sliding layers; 0: there are none
  bool has_global = true;
  // Images are computed whole: no chunk ends inside one. Then step_tokens holds a token of every
  // sequence and a whole image beside them.
  bool whole_images = false;
  int sliding_pages = 0;
  int global_pages = 0;
};

// Tokens [start, start + count) of a sequence, to be computed in this step.
struct Chunk {
  Sequence* sequence = nullptr;
  int start = 0;
  int count = 0;
  bool reaches_end() const { return start + count == sequence->n_tokens(); }
};

struct Step {
  std::vector<Chunk> chunks;
  int n_tokens = 0;
};

// Pages to be copied before the forked sequence is computed; -1: none.
struct ForkCopies {
  PageTable::Copy sliding, global;
};

class Scheduler {
 public:
  explicit Scheduler(const SchedulerLimits& limits);

  // Could a sequence of this many tokens, its longest image of `image_tokens`, ever run, alone?
  bool fits(int64_t n_tokens, int image_tokens = 0) const;

  void add(std::unique_ptr<Sequence> sequence);  // waiting, in the order of arrival
  Step schedule();
  // The step was computed: advances, frees pages behind the window.
  void commit(const Step& step);
  // `child` (same tokens as its running parent up to the parent's n_computed) takes the parent's
  // pages over and runs; where pages or places lack it waits and is computed by itself.
  ForkCopies fork(const Sequence& parent, std::unique_ptr<Sequence> child);
  void finish(Sequence* sequence);  // running or waiting; frees all and destroys it

  // All sequences, running first; for cancellation.
  std::vector<Sequence*> all() const;
  int n_running() const { return static_cast<int>(running_.size()); }
  int n_waiting() const { return static_cast<int>(waiting_.size()); }
  int64_t n_preemptions() const { return n_preemptions_; }
  const BlockPool& sliding_pool() const { return sliding_; }
  const BlockPool& global_pool() const { return global_; }

 private:
  int affordable(const Sequence& s, int wanted) const;
  int least_chunk(const Sequence& s) const;
  int chunk(const Sequence& s, int wanted) const;
  bool make_room(Step& step, Sequence* s);
  void take(Step& step, Sequence* s, int count);
  void schedule_running(Step& step, bool decodes);
  void admit(Step& step);
  bool can_admit(const Sequence& s) const;
  void preempt(Step& step, size_t index);
  void enqueue(std::unique_ptr<Sequence> s);
  void release_pages(Sequence& s);

  const SchedulerLimits limits_;
  BlockPool sliding_, global_;
  std::vector<std::unique_ptr<Sequence>> running_;  // oldest first
  std::deque<std::unique_ptr<Sequence>> waiting_;   // oldest first
  int64_t n_preemptions_ = 0;
};

}  // namespace lapidary
