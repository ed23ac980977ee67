// The scheduler alone, driven by a seeded simulation: no model, no clock. Tokens are a function of
// (request, choice, position), so every request's expected output is known beforehand.
#include "engine/scheduler.h"

#include <map>
#include <random>
#include <set>

#include "kernels/backend.h"
#include "tests/catch.h"

namespace lapidary {
namespace {

std::unique_ptr<Sequence> sequence_of(int64_t arrival, int n_prompt, int max_tokens, int n = 1,
                                      std::vector<MediaSpan> media = {}) {
  auto request = std::make_shared<Request>();
  request->media = std::move(media);
  request->tokens.assign(n_prompt, 1);
  request->max_tokens = max_tokens;
  request->n = n;
  auto s = std::make_unique<Sequence>();
  s->request = request;
  s->arrival = arrival;
  s->tokens = request->tokens;
  s->n_prompt = n_prompt;
  s->must_fork = n > 1;
  return s;
}

int32_t token_at(const Sequence& s, int position) {
  return static_cast<int32_t>((s.arrival * 7919 + s.choice * 104729 + position * 31) % 1000);
}

// What the pages of a group hold, as the device would have it: (sequence tokens) by slot.
class FakePages {
 public:
  void write(const PageTable& table, const Sequence& s, int position) {
    slots_[slot(table, position)] = s.tokens[position];
  }
  void copy(PageTable::Copy copy) {
    if (copy.from < 0) return;
    for (int i = 0; i < kPageSize; ++i) {
      slots_[copy.to * kPageSize + i] = slots_[copy.from * kPageSize + i];
    }
  }
  bool holds(const PageTable& table, const Sequence& s, int position) {
    return table.page_of(position) >= 0 && slots_[slot(table, position)] == s.tokens[position];
  }

 private:
  static int slot(const PageTable& table, int position) {
    return table.page_of(position) * kPageSize + position % kPageSize;
  }
  std::map<int, int32_t> slots_;
};

constexpr int kLongestImage = 25;

struct Simulation {
  SchedulerLimits limits;
  Scheduler scheduler{limits};
  FakePages sliding, global;
  std::mt19937 random;
  std::map<std::pair<int64_t, int>, std::vector<int32_t>> outputs;
  int n_cancelled = 0;

  Simulation(const SchedulerLimits& l, unsigned seed) : limits(l), random(seed) {}

  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); }

  void check_step(const Step& step) {
    REQUIRE(!step.chunks.empty());
    REQUIRE(step.n_tokens <= limits.step_tokens);
    REQUIRE(scheduler.n_running() <= limits.max_seqs);
    int n = 0;
    std::set<const Sequence*> seen;
    for (const Chunk& c : step.chunks) {
      REQUIRE(seen.insert(c.sequence).second);
      REQUIRE(c.count > 0);
      REQUIRE(c.start == c.sequence->n_computed);
      REQUIRE(c.start + c.count <= c.sequence->n_tokens());
      if (limits.whole_images) REQUIRE(ends_in_no_image(c));
      n += c.count;
    }
    REQUIRE(n == step.n_tokens);
  }

  static bool ends_in_no_image(const Chunk& c) {
    const int end = c.start + c.count;
    const auto& media = c.sequence->request->media;
    return std::none_of(media.begin(), media.end(), [&](const MediaSpan& span) {
      return span.first < end && end < span.end();
    });
  }

  // The forward pass: writes each chunk's KV, then every query must find its keys.
  void compute(const Step& step) {
    for (const Chunk& c : step.chunks) {
      for (int p = c.start; p < c.start + c.count; ++p) {
        if (limits.window > 0) sliding.write(c.sequence->sliding, *c.sequence, p);
        if (limits.has_global) global.write(c.sequence->global, *c.sequence, p);
      }
      REQUIRE(sees_its_keys(c));
    }
  }

  bool sees_its_keys(const Chunk& c) {
    bool all = true;
    const Sequence& s = *c.sequence;
    for (int p = c.start; p < c.start + c.count; ++p) {
      for (int j = std::max(0, p - limits.window + 1); limits.window > 0 && j <= p; ++j) {
        all = all && sliding.holds(s.sliding, s, j);
      }
      for (int j = 0; limits.has_global && j <= p; ++j) all = all && global.holds(s.global, s, j);
    }
    return all;
  }

  void draw(Sequence& s, std::vector<Sequence*>& done) {
    s.tokens.push_back(token_at(s, s.n_tokens()));
    if (s.n_output() == s.request->max_tokens) done.push_back(&s);
  }

  void fork(Sequence& parent, std::vector<Sequence*>& done) {
    parent.must_fork = false;
    for (int choice = 1; choice < parent.request->n; ++choice) {
      auto child = sequence_of(parent.arrival, parent.n_prompt, 0);
      child->request = parent.request;
      child->choice = choice;
      child->must_fork = false;
      child->tokens = parent.tokens;
      Sequence& s = *child;
      const ForkCopies copies = scheduler.fork(parent, std::move(child));
      sliding.copy(copies.sliding);
      global.copy(copies.global);
      draw(s, done);
    }
  }

  void step() {
    const Step step = scheduler.schedule();
    check_step(step);
    std::vector<Sequence*> ends;
    for (const Chunk& c : step.chunks) {
      if (c.reaches_end()) ends.push_back(c.sequence);
    }
    compute(step);
    scheduler.commit(step);
    std::vector<Sequence*> done;
    for (Sequence* s : ends) {
      if (s->must_fork) fork(*s, done);
      draw(*s, done);
    }
    for (Sequence* s : done) {
      outputs[{s->arrival, s->choice}] = s->tokens;
      scheduler.finish(s);
    }
  }

  void cancel_one() {
    const std::vector<Sequence*> all = scheduler.all();
    if (all.empty()) return;
    scheduler.finish(all[pick(0, static_cast<int>(all.size()) - 1)]);
    ++n_cancelled;
  }
};

SchedulerLimits random_limits(std::mt19937& random) {
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  SchedulerLimits limits;
  limits.max_seqs = pick(1, 9);
  limits.step_tokens = limits.max_seqs + pick(0, 40);
  limits.window = pick(0, 5) == 0 ? 0 : pick(1, 70);
  limits.has_global = limits.window == 0 || pick(0, 5) != 0;
  limits.sliding_pages = blocks_for(limits.window) + 1 + pick(0, 12);
  limits.global_pages = 12 + pick(0, 20);
  limits.whole_images = pick(0, 1) == 0;
  if (limits.whole_images) limits.step_tokens += kLongestImage;
  return limits;
}

std::vector<MediaSpan> random_images(Simulation& sim, int n_prompt) {
  std::vector<MediaSpan> images;
  for (int at = sim.pick(0, 20); at < n_prompt; at += sim.pick(1, 30)) {
    const int count = std::min(sim.pick(1, kLongestImage), n_prompt - at);
    images.push_back({.first = at, .count = count, .image = nullptr});
    at += count;
  }
  return images;
}

int longest_of(const std::vector<MediaSpan>& images) {
  int longest = 0;
  for (const MediaSpan& image : images) longest = std::max(longest, image.count);
  return longest;
}

}  // namespace

TEST_CASE("every request ends with its own tokens and every page is free, in any pool",
          "[engine]") {
  int64_t n_preemptions = 0;
  for (unsigned seed = 0; seed < 400; ++seed) {
    std::mt19937 random(seed);
    Simulation sim(random_limits(random), seed);
    const int n_requests = sim.pick(1, 25);
    std::map<int64_t, std::pair<int, int>> submitted;  // arrival -> (n, max_tokens)
    for (int arrival = 0, steps = 0; steps < 20000; ++steps) {
      while (arrival < n_requests && sim.pick(0, 3) == 0) {
        const int n_prompt = sim.pick(1, 100), max_tokens = sim.pick(1, 80), n = sim.pick(1, 4);
        const auto images = random_images(sim, n_prompt);
        if (sim.scheduler.fits(n_prompt + max_tokens, longest_of(images))) {
          sim.scheduler.add(sequence_of(arrival, n_prompt, max_tokens, n, images));
          submitted[arrival] = {n, max_tokens};
        }
        ++arrival;
      }
      if (seed % 3 == 0 && sim.pick(0, 30) == 0) sim.cancel_one();
      if (sim.scheduler.n_running() + sim.scheduler.n_waiting() > 0) {
        sim.step();
      } else if (arrival == n_requests) {
        break;
      }
    }
    INFO("seed " << seed);
    REQUIRE(sim.scheduler.n_running() + sim.scheduler.n_waiting() == 0);
    REQUIRE(sim.scheduler.sliding_pool().n_free() == sim.scheduler.sliding_pool().n_pages());
    REQUIRE(sim.scheduler.global_pool().n_free() == sim.scheduler.global_pool().n_pages());
    size_t expected = 0;
    for (const auto& [arrival, request] : submitted) expected += request.first;
    if (sim.n_cancelled == 0) REQUIRE(sim.outputs.size() == expected);
    for (const auto& [key, tokens] : sim.outputs) {
      Sequence s;
      s.arrival = key.first;
      s.choice = key.second;
      const int n_output = submitted[key.first].second;
      const int n_prompt = static_cast<int>(tokens.size()) - n_output;
      for (int p = n_prompt; p < static_cast<int>(tokens.size()); ++p) {
        REQUIRE(tokens[p] == token_at(s, p));
      }
    }
    n_preemptions += sim.scheduler.n_preemptions();
  }
  REQUIRE(n_preemptions > 100);  // the pools were small enough to mean something
}

TEST_CASE("decodes come before prompt chunks and the step's budget holds", "[engine]") {
  Scheduler scheduler(
      {.max_seqs = 4, .step_tokens = 16, .window = 32, .sliding_pages = 40, .global_pages = 40});
  scheduler.add(sequence_of(0, 4, 10));
  Step step = scheduler.schedule();
  scheduler.commit(step);
  step.chunks[0].sequence->tokens.push_back(5);
  scheduler.add(sequence_of(1, 100, 10));
  step = scheduler.schedule();
  REQUIRE(step.chunks.size() == 2);
  REQUIRE(step.chunks[0].count == 1);
  REQUIRE(step.chunks[1].count == 15);
  REQUIRE(step.chunks[1].sequence->arrival == 1);
}

TEST_CASE("preempts the youngest when pages run out", "[engine]") {
  Scheduler scheduler({.max_seqs = 2, .step_tokens = 64, .global_pages = 4});
  scheduler.add(sequence_of(0, 16, 40));
  scheduler.add(sequence_of(1, 16, 40));
  for (int i = 0; i < 60 && scheduler.n_preemptions() == 0; ++i) {
    const Step step = scheduler.schedule();
    scheduler.commit(step);
    for (const Chunk& c : step.chunks) c.sequence->tokens.push_back(0);
  }
  REQUIRE(scheduler.n_preemptions() == 1);
  REQUIRE(scheduler.all()[0]->arrival == 0);
  REQUIRE(scheduler.all()[1]->n_computed == 0);
  REQUIRE(scheduler.all()[1]->global.n_blocks() == 0);
}

TEST_CASE("pages behind the window go back at commit", "[engine]") {
  Scheduler scheduler(
      {.max_seqs = 1, .step_tokens = 16, .window = 20, .sliding_pages = 8, .global_pages = 20});
  scheduler.add(sequence_of(0, 200, 10));
  for (int i = 0; i < 12; ++i) {
    scheduler.commit(scheduler.schedule());
    REQUIRE(scheduler.sliding_pool().n_pages() - scheduler.sliding_pool().n_free() <= 3);
  }
}

}  // namespace lapidary
