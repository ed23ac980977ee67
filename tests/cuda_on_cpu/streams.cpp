// Streams, events and graphs. A capture is a list of work in the order in which the host gave it,
// which any dependency between the captured streams allows.
#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <vector>

#include "tests/cuda_on_cpu/block.h"
#include "tests/cuda_on_cpu/runtime_state.h"

namespace cuda_on_cpu {

using Work = std::function<void()>;

struct Capture {
  Stream* origin = nullptr;
  std::vector<Work> work;
  std::set<Stream*> unjoined;  // other streams with work that the origin has not waited for
};

struct Stream {
  std::weak_ptr<Capture> capture;
};

struct Event {
  bool is_recorded = false;
  std::weak_ptr<Capture> capture;  // of the stream that recorded it
  Stream* stream = nullptr;
  std::chrono::steady_clock::time_point when{};
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

}  // namespace

bool is_any_captured() { return !captures.empty(); }

cudaError_t enqueue(cudaStream_t stream, Work work) {
  if (stream == nullptr && is_any_captured()) return cudaErrorStreamCaptureImplicit;
  const std::shared_ptr<Capture> capture = capture_of(stream);
  if (capture == nullptr) {
    work();
    return cudaSuccess;
  }
  capture->work.push_back(std::move(work));
  if (stream != capture->origin) capture->unjoined.insert(stream);
  return cudaSuccess;
}

}  // namespace cuda_on_cpu

using namespace cuda_on_cpu;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new Stream;
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, 0); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (stream == nullptr) return returned(cudaErrorInvalidResourceHandle);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  return is_any_captured() ? returned(cudaErrorStreamCaptureUnsupported) : cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaDeviceSynchronize(); }
cudaError_t cudaStreamQuery(cudaStream_t) { return cudaDeviceSynchronize(); }

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (stream == nullptr || event == nullptr) return returned(cudaErrorInvalidResourceHandle);
  const std::shared_ptr<Capture> capture = event->capture.lock();
  const std::shared_ptr<Capture> present = capture_of(stream);
  if (present != nullptr && capture != present) return returned(cudaErrorStreamCaptureImplicit);
  if (capture == nullptr) return cudaSuccess;
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
  event->is_recorded = true;
  event->stream = stream;
  event->capture = capture_of(stream);
  event->when = std::chrono::steady_clock::now();
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return event->capture.lock() != nullptr ? returned(cudaErrorStreamCaptureUnsupported)
                                          : cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) { return cudaEventSynchronize(event); }
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
  if (!start->is_recorded || !end->is_recorded) return returned(cudaErrorInvalidResourceHandle);
  *ms = std::chrono::duration<float, std::milli>(end->when - start->when).count();
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
