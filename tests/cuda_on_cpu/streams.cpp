// Streams, events and graphs. A capture is a list of work in the order in which the host gave it,
// which any dependency between the captured streams allows.
#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <vector>

#include "tests/cuda_on_cpu/block.h"
#include "tests/cuda_on_cpu/runtime_state.h"
#include "tests/cuda_on_cpu/work_queue.h"

namespace cuda_on_cpu {

struct Capture {
  Stream* origin = nullptr;
  std::vector<Work> work;
  std::set<Stream*> unjoined;  // other streams with work that the origin has not waited for
};

struct Stream {
  std::shared_ptr<WorkQueue> queue;
  std::weak_ptr<Capture> capture;
};

struct Event {
  std::shared_ptr<Moment> moment;  // of the last record outside a capture
  std::weak_ptr<Capture> capture;  // of the stream that recorded it
  Stream* stream = nullptr;
};

struct Graph {
  std::vector<Work> work;
};
struct GraphExec {
  std::vector<Work> work;
};

namespace {

// Those under way. The streams that take part only refer to them.
std::vector<std::shared_ptr<Capture>> captures;

std::shared_ptr<Capture> capture_of(const Stream* stream) {
  return stream == nullptr ? nullptr : stream->capture.lock();
}

// Streams that are not made to stand apart are ordered with the default stream: one queue.
const std::shared_ptr<WorkQueue>& default_queue() {
  static const std::shared_ptr<WorkQueue> queue = WorkQueue::make();
  return queue;
}
const std::shared_ptr<WorkQueue>& queue_of(const Stream* stream) {
  return stream == nullptr ? default_queue() : stream->queue;
}

}  // namespace

bool is_any_captured() { return !captures.empty(); }
bool is_captured(cudaStream_t stream) { return capture_of(stream) != nullptr; }

// Outside of captures: where the work is to go. Null: noted in the capture instead, or refused.
static WorkQueue* queue_for(cudaStream_t stream, Work& work, cudaError_t& error) {
  error = cudaSuccess;
  if (stream == nullptr && is_any_captured()) error = cudaErrorStreamCaptureImplicit;
  if (error != cudaSuccess) return nullptr;
  const std::shared_ptr<Capture> capture = capture_of(stream);
  if (capture == nullptr) return queue_of(stream).get();
  capture->work.push_back(std::move(work));
  if (stream != capture->origin) capture->unjoined.insert(stream);
  return nullptr;
}

cudaError_t enqueue(cudaStream_t stream, Work work) {
  cudaError_t error{};
  WorkQueue* queue = queue_for(stream, work, error);
  if (queue != nullptr) queue->push(std::move(work));
  return error;
}

cudaError_t enqueue_grid(cudaStream_t stream, Work work, bool overlaps) {
  cudaError_t error{};
  WorkQueue* queue = queue_for(stream, work, error);
  if (queue == nullptr) return error;
  if (overlaps) {
    queue->push_overlapping(std::move(work));
  } else {
    queue->push(std::move(work), true);
  }
  return error;
}

}  // namespace cuda_on_cpu

using namespace cuda_on_cpu;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const bool is_apart = (flags & cudaStreamNonBlocking) != 0;
  *stream = new Stream{is_apart ? WorkQueue::make() : default_queue(), {}};
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, 0); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (stream == nullptr) return returned(cudaErrorInvalidResourceHandle);
  stream->queue->do_all();
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  if (is_any_captured()) return returned(cudaErrorStreamCaptureUnsupported);
  WorkQueue::do_all_queues();
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (is_any_captured()) return returned(cudaErrorStreamCaptureUnsupported);
  queue_of(stream)->do_all();
  return cudaSuccess;
}
// Asking lets time pass: some of the work is done.
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (is_any_captured()) return returned(cudaErrorStreamCaptureUnsupported);
  WorkQueue& queue = *queue_of(stream);
  if (!queue.is_empty()) queue.do_one();
  return queue.is_empty() ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (stream == nullptr || event == nullptr) return returned(cudaErrorInvalidResourceHandle);
  const std::shared_ptr<Capture> capture = event->capture.lock();
  const std::shared_ptr<Capture> present = capture_of(stream);
  if (present != nullptr && capture != present) return returned(cudaErrorStreamCaptureImplicit);
  if (capture == nullptr) {
    if (event->moment == nullptr) return cudaSuccess;
    return returned(enqueue(stream, [moment = event->moment] { moment->wait(); }));
  }
  if (stream == capture->origin) {
    capture->unjoined.erase(event->stream);
  } else if (present == nullptr) {
    stream->capture = capture;
    capture->unjoined.insert(stream);
  }
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new Event;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (event == nullptr) return returned(cudaErrorInvalidResourceHandle);
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (event == nullptr) return returned(cudaErrorInvalidResourceHandle);
  event->stream = stream;
  event->capture = capture_of(stream);
  if (!is_captured(stream)) event->moment = Moment::mark(queue_of(stream));
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (!event->capture.expired()) return returned(cudaErrorStreamCaptureUnsupported);
  if (event->moment != nullptr) event->moment->wait();
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (!event->capture.expired()) return returned(cudaErrorStreamCaptureUnsupported);
  if (event->moment == nullptr || event->moment->is_reached) return cudaSuccess;
  event->moment->queue->do_one();
  return event->moment->is_reached ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
  if (start->moment == nullptr || end->moment == nullptr) {
    return returned(cudaErrorInvalidResourceHandle);
  }
  if (!start->moment->is_reached || !end->moment->is_reached) return returned(cudaErrorNotReady);
  *ms = std::chrono::duration<float, std::milli>(end->moment->when - start->moment->when).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream == nullptr || capture_of(stream) != nullptr) {
    return returned(cudaErrorStreamCaptureUnsupported);
  }
  captures.push_back(std::make_shared<Capture>());
  captures.back()->origin = stream;
  stream->capture = captures.back();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  const std::shared_ptr<Capture> capture = capture_of(stream);
  if (capture == nullptr || capture->origin != stream) return returned(cudaErrorInvalidValue);
  captures.erase(std::find(captures.begin(), captures.end(), capture));
  if (!capture->unjoined.empty()) return returned(cudaErrorStreamCaptureUnjoined);
  *graph = new Graph{std::move(capture->work)};
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = capture_of(stream) != nullptr ? cudaStreamCaptureStatusActive
                                          : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  if (graph == nullptr) return returned(cudaErrorInvalidValue);
  *exec = new GraphExec{graph->work};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  if (exec == nullptr) return returned(cudaErrorInvalidValue);
  return returned(enqueue(stream, [work = exec->work] {
    for (const Work& step : work) step();
  }));
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
