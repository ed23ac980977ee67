// Images, audio and video of clients, decoded: the server's only way to them. The libraries that
// read such files run in processes of their own (lapidary-media), which can do nothing but read
// their socket, compute and answer; the server has none of them. A file that breaks, hangs or
// bloats its worker costs the worker, which is replaced, and is refused.
//
// Any thread. A few files at once are decoded; who waits holds the file only, for a limited time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "server/media/media_fault.h"
#include "server/media/media_worker.h"

namespace lapidary {

struct MediaRefusal {
  MediaFault fault = MediaFault::none;
  std::string sentence;  // for the client
};

struct MediaDecoderOptions {
  std::filesystem::path program = {};  // none: lapidary-media beside this program
  int n_workers = 2;
  int64_t worker_memory_bytes = int64_t{1} << 30;  // each, beside its libraries
  std::chrono::milliseconds deadline{30'000};      // of a file, once a worker has it
  std::chrono::milliseconds longest_wait{5'000};   // for a worker
  int max_waiting = 64;                            // one more is refused at once
};

class MediaDecoder {
 public:
  // Returns when the first worker is ready. Throws StartupError when none can be started or locked
  // in. In a build without media (LAPIDARY_MEDIA=OFF) nothing is started and all is refused.
  explicit MediaDecoder(MediaDecoderOptions options = {});
  ~MediaDecoder();  // REQUIRES: no call is in progress
  MediaDecoder(const MediaDecoder&) = delete;
  MediaDecoder& operator=(const MediaDecoder&) = delete;

  // `file` is read during the call only. REQUIRES: limits above 0 and below those of media_wire.h.
  std::variant<DecodedImage, MediaRefusal> image(std::span<const uint8_t> file,
                                                 const MediaLimits& limits);
  std::variant<DecodedAudio, MediaRefusal> audio(std::span<const uint8_t> file,
                                                 const MediaLimits& limits);
  // At most limits.max_frames of its frames, evenly: frame i * n_file_frames / max_frames, or all.
  std::variant<DecodedVideo, MediaRefusal> video(std::span<const uint8_t> file,
                                                 const MediaLimits& limits);

  struct Counts {
    int64_t decoded = 0, refused = 0;  // busy ones among the refused
    int64_t workers_started = 0;
    int64_t workers_broken = 0;  // that crashed, hung or said nonsense
  };
  Counts counts() const;
  // Of the idle ones; for tests and operators.
  std::vector<pid_t> idle_workers() const;

  static bool is_built();

 private:
  template <typename Decoded>
  std::variant<Decoded, MediaRefusal> decode(MediaKind kind, std::span<const uint8_t> file,
                                             const MediaLimits& limits);
  std::variant<DecodedMedia, MediaFault> ask(MediaKind kind, std::span<const uint8_t> file,
                                             const MediaLimits& limits);
  std::unique_ptr<MediaWorker> borrow();
  void give_back(std::unique_ptr<MediaWorker> worker);
  void retire(std::unique_ptr<MediaWorker> worker);
  void keep_workers();
  bool wait_for_work();

  const MediaDecoderOptions options_;
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable idle_came_, keeper_work_;
  std::vector<std::unique_ptr<MediaWorker>> idle_;
  std::vector<std::unique_ptr<MediaWorker>> spent_;  // to be ended
  int n_missing_ = 0;
  int n_waiting_ = 0;
  bool stopping_ = false;
  std::optional<std::string> first_start_;  // empty: a worker is ready; else why none is
  Counts counts_;
  std::thread keeper_;  // starts and ends all workers, since they die with the thread that started
};

}  // namespace lapidary
