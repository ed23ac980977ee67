#include "engine/scheduler.h"

#include <algorithm>
#include <utility>

#include "kernels/backend.h"

namespace lapidary {
namespace {

// Older first; the choices of one request by their number.
bool older(const Sequence& a, const Sequence& b) {
  return std::pair(a.arrival, a.choice) < std::pair(b.arrival, b.choice);
}

void insert_by_age(auto& list, std::unique_ptr<Sequence> s) {
  auto at = std::upper_bound(list.begin(), list.end(), s,
                             [](const auto& a, const auto& b) { return older(*a, *b); });
  list.insert(at, std::move(s));
}

}  // namespace

Scheduler::Scheduler(const SchedulerLimits& limits)
    : limits_(limits),
      sliding_(limits.window > 0 ? limits.sliding_pages : 0),
      global_(limits.has_global ? limits.global_pages : 0) {
  CHECK(limits.max_seqs >= 1 && limits.step_tokens >= limits.max_seqs);
}

bool Scheduler::fits(int64_t n_tokens, int image_tokens) const {
  // One step needs the window behind its first token, which may begin inside a page, and pages to
  // write its least chunk to.
  const int least = limits_.whole_images ? std::max(1, image_tokens) : 1;
  const int window_pages = blocks_for(std::min<int64_t>(n_tokens, limits_.window + least - 1)) + 1;
  return (limits_.window == 0 || window_pages <= sliding_.n_pages()) &&
         (!limits_.has_global || blocks_for(n_tokens) <= global_.n_pages());
}

void Scheduler::add(std::unique_ptr<Sequence> sequence) { enqueue(std::move(sequence)); }

void Scheduler::enqueue(std::unique_ptr<Sequence> s) { insert_by_age(waiting_, std::move(s)); }

Step Scheduler::schedule() {
  Step step;
  schedule_running(step, /*decodes=*/true);
  schedule_running(step, /*decodes=*/false);
  admit(step);
  return step;
}

void Scheduler::schedule_running(Step& step, bool decodes) {
  // Preemption shortens running_ from its young end, so the index stays valid or ends the loop.
  for (size_t i = 0; i < running_.size() && step.n_tokens < limits_.step_tokens; ++i) {
    Sequence* s = running_[i].get();
    if ((s->n_pending() == 1) != decodes) continue;
    if (least_chunk(*s) > limits_.step_tokens - step.n_tokens) continue;  // the next step has room
    if (!make_room(step, s)) continue;
    if (const int n = chunk(*s, limits_.step_tokens - step.n_tokens); n > 0) take(step, s, n);
  }
}

// Preempts the youngest until `s` can be given its least chunk. False when it was `s` itself.
bool Scheduler::make_room(Step& step, Sequence* s) {
  const int least = least_chunk(*s);
  while (affordable(*s, least) < least) {
    const bool is_self = running_.back().get() == s;
    preempt(step, running_.size() - 1);
    if (is_self) return false;
  }
  return true;
}

// How many of the next `wanted` tokens find a page.
int Scheduler::affordable(const Sequence& s, int wanted) const {
  int64_t end = s.n_computed + wanted;
  if (limits_.window > 0) {
    end = std::min(end, int64_t{kPageSize} * (s.sliding.n_blocks() + sliding_.n_free()));
  }
  if (limits_.has_global) {
    end = std::min(end, int64_t{kPageSize} * (s.global.n_blocks() + global_.n_free()));
  }
  return static_cast<int>(std::max<int64_t>(0, end - s.n_computed));
}

// One token, or the image that comes next.
int Scheduler::least_chunk(const Sequence& s) const {
  if (!limits_.whole_images) return 1;
  for (const MediaSpan& span : s.request->media) {
    if (span.first == s.n_computed) return span.count;
  }
  return 1;
}

// How many tokens of at most `wanted` it gets: those that find pages, up to where a chunk may end.
int Scheduler::chunk(const Sequence& s, int wanted) const {
  const int n = affordable(s, std::min(s.n_pending(), wanted));
  if (!limits_.whole_images) return n;
  const int end = s.n_computed + n;
  for (const MediaSpan& span : s.request->media) {
    if (span.first < end && end < span.end()) return span.first - s.n_computed;
  }
  return n;
}

void Scheduler::take(Step& step, Sequence* s, int count) {
  const int end = s->n_computed + count;
  if (limits_.window > 0) s->sliding.grow(sliding_, end);
  if (limits_.has_global) s->global.grow(global_, end);
  step.chunks.push_back({s, s->n_computed, count});
  step.n_tokens += count;
}

void Scheduler::admit(Step& step) {
  while (!waiting_.empty() && n_running() < limits_.max_seqs &&
         step.n_tokens < limits_.step_tokens && can_admit(*waiting_.front())) {
    Sequence* s = waiting_.front().get();
    const int n = chunk(*s, limits_.step_tokens - step.n_tokens);
    if (n == 0) return;  // the image that it begins with waits for the next step
    insert_by_age(running_, std::move(waiting_.front()));
    waiting_.pop_front();
    take(step, s, n);
  }
}

// All of its tokens must find a page beside one page of growth for each that runs: a prompt that
// is admitted too early only preempts others or is preempted itself.
bool Scheduler::can_admit(const Sequence& s) const {
  const int reserve = n_running();
  if (limits_.has_global && blocks_for(s.n_tokens()) + reserve > global_.n_free()) return false;
  if (limits_.window == 0) return true;
  const int held = std::min(s.n_tokens(), limits_.window + limits_.step_tokens);
  const int wanted = std::min(blocks_for(held) + 1, sliding_.n_pages());
  return wanted + reserve <= sliding_.n_free() || running_.empty();
}

void Scheduler::preempt(Step& step, size_t index) {
  std::unique_ptr<Sequence> victim = std::move(running_[index]);
  running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(index));
  std::erase_if(step.chunks, [&](const Chunk& chunk) {
    if (chunk.sequence != victim.get()) return false;
    step.n_tokens -= chunk.count;
    return true;
  });
  release_pages(*victim);
  victim->n_computed = 0;
  ++n_preemptions_;
  enqueue(std::move(victim));
}

void Scheduler::commit(const Step& step) {
  for (const Chunk& chunk : step.chunks) {
    Sequence& s = *chunk.sequence;
    s.n_computed = chunk.start + chunk.count;
    // The next query stands at n_computed and sees keys from n_computed - window + 1 on.
    if (limits_.window > 0) {
      s.sliding.evict_before(sliding_, std::max(0, s.n_computed - limits_.window + 1));
    }
  }
}

ForkCopies Scheduler::fork(const Sequence& parent, std::unique_ptr<Sequence> child) {
  const int n_copied = parent.n_computed % kPageSize == 0 ? 0 : 1;  // in each group
  const bool has_room = n_running() < limits_.max_seqs &&
                        (limits_.window == 0 || sliding_.n_free() >= n_copied) &&
                        (!limits_.has_global || global_.n_free() >= n_copied);
  if (!has_room) {
    enqueue(std::move(child));
    return {};
  }
  ForkCopies copies;
  if (limits_.window > 0) {
    copies.sliding = child->sliding.fork(sliding_, parent.sliding, parent.n_computed);
  }
  if (limits_.has_global) {
    copies.global = child->global.fork(global_, parent.global, parent.n_computed);
  }
  child->n_computed = parent.n_computed;
  insert_by_age(running_, std::move(child));
  return copies;
}

void Scheduler::finish(Sequence* sequence) {
  const auto is_it = [&](const auto& s) { return s.get() == sequence; };
  if (auto it = std::find_if(running_.begin(), running_.end(), is_it); it != running_.end()) {
    release_pages(**it);
    running_.erase(it);
    return;
  }
  const auto it = std::find_if(waiting_.begin(), waiting_.end(), is_it);
  CHECK(it != waiting_.end());
  waiting_.erase(it);
}

void Scheduler::release_pages(Sequence& s) {
  s.sliding.clear(sliding_);
  s.global.clear(global_);
}

std::vector<Sequence*> Scheduler::all() const {
  std::vector<Sequence*> list;
  list.reserve(running_.size() + waiting_.size());
  for (const auto& s : running_) list.push_back(s.get());
  for (const auto& s : waiting_) list.push_back(s.get());
  return list;
}

}  // namespace lapidary
