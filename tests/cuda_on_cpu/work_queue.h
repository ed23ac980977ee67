// What a stream has been given and not done yet. By the schedule, work is done at once or not
// before the host or another stream waits for it. Any thread, one at a time.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>

namespace cuda_on_cpu {

using Work = std::function<void()>;

class WorkQueue {
 public:
  // A queue lives until its work is done, even if its stream is destroyed.
  static std::shared_ptr<WorkQueue> make();

  void push(Work work, bool is_grid = false);
  // A grid that may overlap with the grid before it, if that is the last that came.
  void push_overlapping(Work grid);
  bool is_empty() const { return work_.empty(); }
  void do_one();
  void do_all();
  static void do_all_queues();

 private:
  WorkQueue() = default;

  struct Item {
    Work work;
    bool is_grid;  // one that another may overlap with
  };

  std::deque<Item> work_;
};

// A place in a queue, reached once everything before it is done.
struct Moment {
  std::shared_ptr<WorkQueue> queue;
  bool is_reached = false;
  std::chrono::steady_clock::time_point when{};

  static std::shared_ptr<Moment> mark(const std::shared_ptr<WorkQueue>& queue);
  void wait();
};

}  // namespace cuda_on_cpu
