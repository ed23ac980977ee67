// One process of lapidary-media, seen from the server: starts it, gives it a file, takes what it
// made of it, kills it. A worker that failed once is of no more use. One thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include <sys/types.h>

#include "server/media/media_wire.h"

namespace lapidary {

using DecodedMedia = std::variant<DecodedImage, DecodedAudio, DecodedVideo>;

class MediaWorker {
 public:
  using Clock = std::chrono::steady_clock;

  // Returns when its sandbox holds; else a sentence that says why there is none. `memory_bytes`:
  // what it may take beside its libraries. The worker dies with the thread that calls this.
  static std::variant<std::unique_ptr<MediaWorker>, std::string> start(
      const std::filesystem::path& program, int64_t memory_bytes);

  ~MediaWorker();  // kills the process and waits for its end
  MediaWorker(const MediaWorker&) = delete;
  MediaWorker& operator=(const MediaWorker&) = delete;

  // REQUIRES: is_valid(request), of n_bytes `file`, and is_usable().
  std::variant<DecodedMedia, MediaFault> decode(const MediaRequestHead& request,
                                                std::span<const uint8_t> file,
                                                Clock::time_point deadline);
  bool is_usable() const { return fault_ == MediaFault::none && n_requests_ < kRequestsOfAWorker; }
  // Alive and silent, as it must be between two files; otherwise it is broken.
  bool is_waiting();
  bool is_broken() const { return fault_ != MediaFault::none; }
  pid_t pid() const { return pid_; }

 private:
  MediaWorker(pid_t pid, int socket) : pid_(pid), socket_(socket) {}

  std::optional<std::string> greet();
  // All of them, or false with fault_ set.
  bool send(const void* bytes, size_t size, Clock::time_point deadline);
  bool receive(void* bytes, size_t size, Clock::time_point deadline);
  bool wait_for(short events, Clock::time_point deadline);
  DecodedMedia take(const MediaAnswerHead& answer, MediaKind kind, Clock::time_point deadline);
  MediaFault fault_of_end();
  int end();

  const pid_t pid_;
  const int socket_;
  int n_requests_ = 0;
  bool ended_ = false;
  MediaFault fault_ = MediaFault::none;
};

}  // namespace lapidary
