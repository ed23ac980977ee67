// A thread that makes the masks of new grammars before they are needed, the first places first, so
// that no step of the engine waits for one. add() from any thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "engine/grammar/grammar.h"

namespace lapidary {

class MaskMaker {
 public:
  MaskMaker();
  ~MaskMaker();  // does not finish what it is at
  MaskMaker(const MaskMaker&) = delete;
  MaskMaker& operator=(const MaskMaker&) = delete;

  // Where more than kMaxWaiting wait, the oldest is left to be worked out when it is used.
  void add(const std::shared_ptr<const Grammar>& grammar);
  // Until nothing waits and nothing is being made.
  void wait_until_idle();

  static constexpr size_t kMaxWaiting = 64;

 private:
  void run();

  std::mutex mutex_;  // guards the four below
  std::condition_variable changed_;
  std::deque<std::weak_ptr<const Grammar>> waiting_;
  bool is_working_ = false;
  bool is_stopping_ = false;
  std::thread thread_;  // last: starts when all else is there
};

}  // namespace lapidary
