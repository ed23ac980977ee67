// Steps recorded as CUDA graphs: one launch instead of hundreds. The first run of a key is an
// ordinary one (workspaces grow, libraries choose their kernels), the second is recorded, all
// others are replayed. Engine thread.
#pragma once

#include <functional>
#include <map>

#include "kernels/backend.h"
#include "kernels/cuda/launch.h"

namespace lapidary::cuda {

class Recordings {
 public:
  Recordings() = default;
  Recordings(const Recordings&) = delete;
  Recordings& operator=(const Recordings&) = delete;
  ~Recordings() { clear(); }

  // Runs what body enqueues on `stream`, however it does so.
  void run(const ReplayKey& key, cudaStream_t stream, const std::function<void()>& body);

  // Forgets all: memory that they use is about to move.
  void clear();

 private:
  std::map<ReplayKey, cudaGraphExec_t> graphs_;  // null: has run once
};

}  // namespace lapidary::cuda
