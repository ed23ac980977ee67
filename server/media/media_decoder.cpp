#include "server/media/media_decoder.h"

#include <utility>

#include "config/startup_error.h"

namespace lapidary {
namespace {

constexpr std::chrono::milliseconds kPauseAfterFailure{500};

std::filesystem::path program_beside_this() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "lapidary-media";
}

MediaDecoderOptions completed(MediaDecoderOptions options) {
  if (options.program.empty()) options.program = program_beside_this();
  return options;
}

}  // namespace

bool MediaDecoder::is_built() { return LAPIDARY_MEDIA != 0; }

MediaDecoder::MediaDecoder(MediaDecoderOptions options) : options_(completed(std::move(options))) {
  if (!is_built()) return;
  n_missing_ = options_.n_workers;
  idle_.reserve(static_cast<size_t>(n_missing_));
  keeper_ = std::thread([this] { keep_workers(); });
  std::unique_lock lock(mutex_);
  idle_came_.wait(lock, [&] { return first_start_.has_value(); });
  if (first_start_->empty()) return;
  const std::string reason = *first_start_;
  stopping_ = true;
  lock.unlock();
  keeper_work_.notify_all();
  keeper_.join();
  throw StartupError(reason + "; a build with -DLAPIDARY_MEDIA=OFF serves text without it");
}

MediaDecoder::~MediaDecoder() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  keeper_work_.notify_all();
  if (keeper_.joinable()) keeper_.join();
}

std::variant<DecodedImage, MediaRefusal> MediaDecoder::image(std::span<const uint8_t> file,
                                                             const MediaLimits& limits) {
  return decode<DecodedImage>(MediaKind::image, file, limits);
}

std::variant<DecodedAudio, MediaRefusal> MediaDecoder::audio(std::span<const uint8_t> file,
                                                             const MediaLimits& limits) {
  return decode<DecodedAudio>(MediaKind::audio, file, limits);
}

std::variant<DecodedVideo, MediaRefusal> MediaDecoder::video(std::span<const uint8_t> file,
                                                             const MediaLimits& limits) {
  return decode<DecodedVideo>(MediaKind::video, file, limits);
}

MediaDecoder::Counts MediaDecoder::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

std::vector<pid_t> MediaDecoder::idle_workers() const {
  const std::lock_guard lock(mutex_);
  std::vector<pid_t> pids;
  for (const auto& worker : idle_) pids.push_back(worker->pid());
  return pids;
}

template <typename Decoded>
std::variant<Decoded, MediaRefusal> MediaDecoder::decode(MediaKind kind,
                                                         std::span<const uint8_t> file,
                                                         const MediaLimits& limits) {
  auto made = ask(kind, file, limits);
  const auto* fault = std::get_if<MediaFault>(&made);
  {
    const std::lock_guard lock(mutex_);
    ++(fault == nullptr ? counts_.decoded : counts_.refused);
  }
  if (fault == nullptr) return std::get<Decoded>(std::move(std::get<DecodedMedia>(made)));
  return MediaRefusal{*fault, media_fault_sentence(*fault, kind, limits, find_media_format(file))};
}

std::variant<DecodedMedia, MediaFault> MediaDecoder::ask(MediaKind kind,
                                                         std::span<const uint8_t> file,
                                                         const MediaLimits& limits) {
  if (file.empty()) return MediaFault::empty;
  if (static_cast<int64_t>(file.size()) > limits.max_bytes) return MediaFault::too_many_bytes;
  if (!is_format_of(find_media_format(file), kind)) return MediaFault::wrong_format;
  if (!is_built()) return MediaFault::unavailable;
  MediaRequestHead request;
  request.kind = kind;
  request.n_bytes = static_cast<int64_t>(file.size());
  request.limits = limits;
  if (!is_valid(request)) return MediaFault::unavailable;
  std::unique_ptr<MediaWorker> worker = borrow();
  if (worker == nullptr) return MediaFault::busy;
  struct Return {
    MediaDecoder& decoder;
    std::unique_ptr<MediaWorker>& worker;
    ~Return() { decoder.give_back(std::move(worker)); }
  } const back{*this, worker};
  return worker->decode(request, file, MediaWorker::Clock::now() + options_.deadline);
}

// Nothing: none became free in time.
std::unique_ptr<MediaWorker> MediaDecoder::borrow() {
  std::unique_lock lock(mutex_);
  if (idle_.empty() && n_waiting_ >= options_.max_waiting) return nullptr;
  ++n_waiting_;
  const auto until = MediaWorker::Clock::now() + options_.longest_wait;
  std::unique_ptr<MediaWorker> worker;
  while (worker == nullptr && idle_came_.wait_until(lock, until, [&] { return !idle_.empty(); })) {
    worker = std::move(idle_.back());
    idle_.pop_back();
    if (!worker->is_waiting()) retire(std::move(worker));
  }
  --n_waiting_;
  return worker;
}

void MediaDecoder::give_back(std::unique_ptr<MediaWorker> worker) {
  const std::lock_guard lock(mutex_);
  if (worker->is_usable()) {
    idle_.push_back(std::move(worker));
    idle_came_.notify_one();
    return;
  }
  retire(std::move(worker));
}

// With mutex_ held.
void MediaDecoder::retire(std::unique_ptr<MediaWorker> worker) {
  if (worker->is_broken()) ++counts_.workers_broken;
  spent_.push_back(std::move(worker));
  ++n_missing_;
  keeper_work_.notify_one();
}

// Runs on keeper_.
void MediaDecoder::keep_workers() {
  while (wait_for_work()) {
    auto started = MediaWorker::start(options_.program, options_.worker_memory_bytes);
    std::unique_lock lock(mutex_);
    const auto* failure = std::get_if<std::string>(&started);
    if (!first_start_) {
      first_start_ = failure == nullptr ? "" : *failure;
      idle_came_.notify_all();
    }
    if (failure != nullptr) {
      keeper_work_.wait_for(lock, kPauseAfterFailure, [&] { return stopping_; });
      continue;
    }
    idle_.push_back(std::get<0>(std::move(started)));
    --n_missing_;
    ++counts_.workers_started;
    idle_came_.notify_one();
  }
}

// True: a worker is to be started. False: the end, and all workers have ended.
bool MediaDecoder::wait_for_work() {
  std::vector<std::unique_ptr<MediaWorker>> ending;
  std::unique_lock lock(mutex_);
  keeper_work_.wait(lock, [&] { return stopping_ || n_missing_ > 0; });
  ending.swap(spent_);
  if (stopping_) {
    for (auto& worker : idle_) ending.push_back(std::move(worker));
    idle_.clear();
  }
  const bool goes_on = !stopping_;
  lock.unlock();
  return goes_on;
}

}  // namespace lapidary
