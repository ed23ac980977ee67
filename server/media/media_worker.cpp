#include "server/media/media_worker.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/media/sandbox_fault.h"

namespace lapidary {
namespace {

constexpr std::chrono::seconds kStartTime{30};  // a hundred libraries from a slow disk

// How a worker begins: the socket is its descriptor 0, nothing else is open but /dev/null, no
// environment, no signal blocked or ignored, no terminal's Ctrl-C, which is the server's to handle.
class SpawnPlan {
 public:
  explicit SpawnPlan(int socket) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_adddup2(&actions_, socket, 0);
    posix_spawn_file_actions_addopen(&actions_, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions_, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
    posix_spawnattr_init(&attributes_);
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  // The process, or an error number.
  std::variant<pid_t, std::string> spawn(std::string program, std::string memory_bytes) const {
    char* arguments[] = {program.data(), memory_bytes.data(), nullptr};
    char* environment[] = {nullptr};
    pid_t pid = -1;
    const int error =
        ::posix_spawn(&pid, program.c_str(), &actions_, &attributes_, arguments, environment);
    if (error != 0) return "cannot start " + program + ": " + std::strerror(error);
    return pid;
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

std::variant<std::unique_ptr<MediaWorker>, std::string> MediaWorker::start(
    const std::filesystem::path& program, int64_t memory_bytes) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return std::string("cannot make a socket for lapidary-media: ") + std::strerror(errno);
  }
  auto spawned = SpawnPlan(ends[1]).spawn(program.string(), std::to_string(memory_bytes));
  ::close(ends[1]);
  if (auto* failure = std::get_if<std::string>(&spawned)) {
    ::close(ends[0]);
    return std::move(*failure);
  }
  std::unique_ptr<MediaWorker> worker(new MediaWorker(std::get<pid_t>(spawned), ends[0]));
  if (auto failure = worker->greet()) return program.string() + " " + *failure;
  return worker;
}

MediaWorker::~MediaWorker() {
  end();
  ::close(socket_);
}

bool MediaWorker::is_waiting() {
  pollfd waiting{socket_, POLLIN, 0};
  if (::poll(&waiting, 1, 0) != 0) fault_ = MediaFault::crashed;
  return !is_broken();
}

std::optional<std::string> MediaWorker::greet() {
  MediaHello hello;
  if (!receive(&hello, sizeof hello, Clock::now() + kStartTime)) {
    return "ended or hung before it was ready";
  }
  if (hello.magic != kMediaMagic) return "is of another build than this server";
  switch (static_cast<SandboxFault>(hello.sandbox)) {
    case SandboxFault::none:
      return std::nullopt;
    case SandboxFault::limits:
      return "cannot limit its own resources, and does not work without";
    case SandboxFault::seccomp:
      return "cannot install its system call filter (seccomp), and does not work without";
  }
  return "is of another build than this server";
}

std::variant<DecodedMedia, MediaFault> MediaWorker::decode(const MediaRequestHead& request,
                                                           std::span<const uint8_t> file,
                                                           Clock::time_point deadline) {
  ++n_requests_;
  MediaAnswerHead answer;
  if (!send(&request, sizeof request, deadline) || !send(file.data(), file.size(), deadline) ||
      !receive(&answer, sizeof answer, deadline)) {
    return fault_;
  }
  if (!is_valid(answer, request)) return fault_ = MediaFault::crashed;
  if (answer.fault != MediaFault::none) return answer.fault;
  DecodedMedia media = take(answer, request.kind, deadline);
  if (fault_ != MediaFault::none) return fault_;
  return media;
}

DecodedMedia MediaWorker::take(const MediaAnswerHead& answer, MediaKind kind,
                               Clock::time_point deadline) {
  const auto rgb_bytes = [&] {
    return size_t{3} * answer.width * answer.height * static_cast<size_t>(answer.n_frames);
  };
  if (kind == MediaKind::image) {
    DecodedImage image{answer.width, answer.height, std::vector<uint8_t>(rgb_bytes())};
    receive(image.rgb.data(), image.rgb.size(), deadline);
    return image;
  }
  if (kind == MediaKind::audio) {
    DecodedAudio audio{std::vector<float>(static_cast<size_t>(answer.n_samples))};
    if (!receive(audio.samples.data(), audio.samples.size() * sizeof(float), deadline)) return {};
    const bool finite = std::all_of(audio.samples.begin(), audio.samples.end(),
                                    [](float sample) { return std::isfinite(sample); });
    if (!finite) fault_ = MediaFault::crashed;
    return audio;
  }
  DecodedVideo video{answer.width, answer.height, answer.fps, answer.n_file_frames, {}, {}};
  video.indices.resize(static_cast<size_t>(answer.n_frames));
  if (!receive(video.indices.data(), video.indices.size() * sizeof(int32_t), deadline)) return {};
  for (size_t i = 0; i < video.indices.size(); ++i) {
    const int32_t low = i == 0 ? 0 : video.indices[i - 1] + 1;
    if (video.indices[i] < low || video.indices[i] >= answer.n_file_frames) {
      fault_ = MediaFault::crashed;
      return {};
    }
  }
  video.rgb.resize(rgb_bytes());
  receive(video.rgb.data(), video.rgb.size(), deadline);
  return video;
}

bool MediaWorker::wait_for(short events, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    const int ms = static_cast<int>(std::clamp<int64_t>(left.count(), 0, 60'000));
    pollfd waiting{socket_, events, 0};
    const int n = ::poll(&waiting, 1, ms);
    if (n > 0) return true;
    if (n < 0 && errno != EINTR) {
      fault_ = MediaFault::crashed;
      return false;
    }
    if (Clock::now() >= deadline) {
      fault_ = MediaFault::too_slow;
      return false;
    }
  }
}

bool MediaWorker::send(const void* bytes, size_t size, Clock::time_point deadline) {
  const auto* at = static_cast<const uint8_t*>(bytes);
  while (size > 0) {
    const ssize_t n = ::send(socket_, at, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      at += n;
      size -= static_cast<size_t>(n);
    } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      if (!wait_for(POLLOUT, deadline)) return false;
    } else {
      fault_ = fault_of_end();
      return false;
    }
  }
  return true;
}

bool MediaWorker::receive(void* bytes, size_t size, Clock::time_point deadline) {
  auto* at = static_cast<uint8_t*>(bytes);
  while (size > 0) {
    if (!wait_for(POLLIN, deadline)) return false;
    const ssize_t n = ::recv(socket_, at, size, MSG_DONTWAIT);
    if (n > 0) {
      at += n;
      size -= static_cast<size_t>(n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
      fault_ = fault_of_end();
      return false;
    }
  }
  return true;
}

// The worker hung up. It has two clocks of its own; everything else is a crash.
MediaFault MediaWorker::fault_of_end() {
  const int status = end();
  const bool out_of_time =
      WIFSIGNALED(status) && (WTERMSIG(status) == SIGPROF || WTERMSIG(status) == SIGXCPU);
  return out_of_time ? MediaFault::too_slow : MediaFault::crashed;
}

// Idempotent. A process that has ended already keeps its own status.
int MediaWorker::end() {
  if (std::exchange(ended_, true)) return 0;
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace lapidary
