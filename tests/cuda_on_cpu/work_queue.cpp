#include "tests/cuda_on_cpu/work_queue.h"

#include <vector>

#include "tests/cuda_on_cpu/block.h"

namespace cuda_on_cpu {
namespace {

std::vector<std::weak_ptr<WorkQueue>>& queues() {
  static std::vector<std::weak_ptr<WorkQueue>> all;
  return all;
}

}  // namespace

std::shared_ptr<WorkQueue> WorkQueue::make() {
  std::shared_ptr<WorkQueue> queue(new WorkQueue);
  std::erase_if(queues(), [](const auto& other) { return other.expired(); });
  queues().push_back(queue);
  return queue;
}

void WorkQueue::push_overlapping(Work grid) {
  Work previous;
  if (!work_.empty() && work_.back().is_grid) {
    previous = std::move(work_.back().work);
    work_.pop_back();
  }
  // Two at once and no more.
  const bool is_first = previous == nullptr;
  push([previous, grid] { run_overlapping(previous, grid); }, is_first);
}

void WorkQueue::push(Work work, bool is_grid) {
  work_.push_back({std::move(work), is_grid});
  if (!schedule().late_work) do_all();
}

void WorkQueue::do_one() {
  const Work work = std::move(work_.front().work);
  work_.pop_front();
  work();
}

void WorkQueue::do_all() {
  while (!work_.empty()) do_one();
}

void WorkQueue::do_all_queues() {
  const auto all = queues();
  for (const auto& queue : all) {
    if (const auto live = queue.lock()) live->do_all();
  }
}

std::shared_ptr<Moment> Moment::mark(const std::shared_ptr<WorkQueue>& queue) {
  const auto moment = std::make_shared<Moment>();
  moment->queue = queue;
  queue->push([moment] {
    moment->is_reached = true;
    moment->when = std::chrono::steady_clock::now();
  });
  return moment;
}

void Moment::wait() {
  while (!is_reached) queue->do_one();
}

}  // namespace cuda_on_cpu
