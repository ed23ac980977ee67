#include "kernels/cuda/recordings.h"

namespace lapidary::cuda {
namespace {

// Each holds a few MB on the device. Beyond, a server that sees ever new shapes starts anew.
constexpr size_t kMostGraphs = 512;

cudaGraphExec_t record(cudaStream_t stream, const std::function<void()>& body) {
  CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  body();
  cudaGraph_t graph = nullptr;
  CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t exec = nullptr;
  CUDA_CHECK(cudaGraphInstantiate(&exec, graph, 0));
  CUDA_CHECK(cudaGraphDestroy(graph));
  return exec;
}

}  // namespace

void Recordings::run(const ReplayKey& key, cudaStream_t stream,
                     const std::function<void()>& body) {
  if (graphs_.size() >= kMostGraphs && !graphs_.contains(key)) clear();
  const auto place = graphs_.find(key);
  if (place == graphs_.end()) {
    body();
    graphs_.emplace(key, nullptr);
    return;
  }
  if (place->second == nullptr) place->second = record(stream, body);
  CUDA_CHECK(cudaGraphLaunch(place->second, stream));
}

void Recordings::clear() {
  for (const auto& [key, graph] : graphs_) {
    if (graph != nullptr) cudaGraphExecDestroy(graph);
  }
  graphs_.clear();
}

}  // namespace lapidary::cuda
