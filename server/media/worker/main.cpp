// lapidary-media: decodes images, audio and video for the server, which starts it with a socket as
// descriptor 0. Locks itself in before it reads; then one request after another until the server
// hangs up. Not for people: without the server it ends at once.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

#include <malloc.h>
#include <sys/time.h>
#include <unistd.h>

#include "server/media/media_wire.h"
#include "server/media/worker/decode_media.h"
#include "server/media/worker/sandbox.h"

namespace lapidary {
namespace {

constexpr int kSocket = 0;
constexpr int64_t kLifetimeCpuS = 3600;
constexpr int kLargeBlockBytes = 256 << 10;  // larger ones go back to the system when freed

bool read_all(void* bytes, size_t size) {
  auto* at = static_cast<uint8_t*>(bytes);
  while (size > 0) {
    const ssize_t n = ::read(kSocket, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

bool write_all(const void* bytes, size_t size) {
  const auto* at = static_cast<const uint8_t*>(bytes);
  while (size > 0) {
    const ssize_t n = ::write(kSocket, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

// Processor time, not time on a clock: the server has that one. 0 stops it; else it ends us.
void set_cpu_timer(int64_t ms) {
  itimerval timer{};
  timer.it_value.tv_sec = ms / 1000;
  timer.it_value.tv_usec = ms % 1000 * 1000;
  ::setitimer(ITIMER_PROF, &timer, nullptr);
}

bool answer(MediaAnswerHead head, std::span<const uint8_t> first, std::span<const uint8_t> second) {
  head.n_bytes = static_cast<int64_t>(first.size() + second.size());
  return write_all(&head, sizeof head) && write_all(first.data(), first.size()) &&
         write_all(second.data(), second.size());
}

template <typename T>
std::span<const uint8_t> bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(T)};
}

struct Answer {
  bool operator()(const DecodedImage& image) const {
    MediaAnswerHead head;
    head.width = image.width;
    head.height = image.height;
    head.n_frames = 1;
    return answer(head, bytes_of(image.rgb), {});
  }
  bool operator()(const DecodedAudio& audio) const {
    MediaAnswerHead head;
    head.n_samples = static_cast<int64_t>(audio.samples.size());
    return answer(head, bytes_of(audio.samples), {});
  }
  bool operator()(const DecodedVideo& video) const {
    MediaAnswerHead head;
    head.width = video.width;
    head.height = video.height;
    head.n_frames = static_cast<int32_t>(video.indices.size());
    head.n_file_frames = video.n_file_frames;
    head.fps = video.fps;
    return answer(head, bytes_of(video.indices), bytes_of(video.rgb));
  }
  bool operator()(MediaFault fault) const {
    MediaAnswerHead head;
    head.fault = fault;
    return answer(head, {}, {});
  }
};

bool serve_one() {
  MediaRequestHead request;
  if (!read_all(&request, sizeof request) || !is_valid(request)) return false;
  std::vector<uint8_t> file(static_cast<size_t>(request.n_bytes));
  if (!read_all(file.data(), file.size())) return false;
  set_cpu_timer(request.limits.max_cpu_ms);
  const MediaResult result = decode_media(request.kind, file, request.limits);
  set_cpu_timer(0);
  return std::visit(Answer{}, result);
}

int run(int64_t memory_bytes) {
  ::mallopt(M_MMAP_THRESHOLD, kLargeBlockBytes);
  ::mallopt(M_TRIM_THRESHOLD, kLargeBlockBytes);
  prepare_decoders();
  MediaHello hello;
  const SandboxFault fault =
      enter_sandbox(kSocket, {.memory_bytes = memory_bytes, .cpu_s = kLifetimeCpuS});
  hello.sandbox = static_cast<uint32_t>(fault);
  if (!write_all(&hello, sizeof hello) || fault != SandboxFault::none) return EXIT_FAILURE;
  for (int i = 0; i < kRequestsOfAWorker && serve_one(); ++i) {
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace lapidary

int main(int argc, char** argv) {
  const long long memory_bytes = argc == 2 ? std::atoll(argv[1]) : 0;
  if (memory_bytes <= 0) {
    std::fputs("lapidary-media is started by lapidary, which hands it images to decode.\n", stderr);
    return EXIT_FAILURE;
  }
  // At once: exit handlers of a hundred libraries are not worth a call outside the filter.
  ::_exit(lapidary::run(memory_bytes));
}
