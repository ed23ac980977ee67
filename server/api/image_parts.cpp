#include "server/api/image_parts.h"

#include <openssl/evp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <span>
#include <utility>

#include "engine/media/image_size.h"
#include "engine/media/resize.h"
#include "server/api/data_url.h"
#include "server/api/service.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxImages = 64;
constexpr int64_t kMaxSoftTokens = 8192;             // of a request's images together
constexpr int64_t kMaxPixels = 100'000'000;          // of a request's files together
constexpr int64_t kMaxHeldBytes = int64_t{1} << 30;  // by all requests
constexpr int64_t kTokenBytes = int64_t{3} * kTokenPixels * kTokenPixels;
constexpr int kLowBudget = 70, kAutoBudget = 280, kHighBudget = 1120;

std::span<const uint8_t> as_bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// SHA-256 of everything that soft tokens depend on: size and levels.
MediaFingerprint fingerprint_of(const ImagePixels& image) {
  const int32_t head[] = {image.size.height, image.size.width, static_cast<int32_t>(image.scale)};
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  MediaFingerprint digest{};
  const bool done =
      context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1 &&
      EVP_DigestUpdate(context.get(), head, sizeof(head)) == 1 &&
      EVP_DigestUpdate(context.get(), image.levels.data(), image.levels.size()) == 1 &&
      EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1;
  if (!done) throw api_error::internal();
  return digest;
}

// The levels of an image of so many soft tokens, given back when the last holder is gone.
class HeldBytes {
 public:
  HeldBytes(std::shared_ptr<std::atomic<int64_t>> held, int64_t bytes)
      : held_(std::move(held)), bytes_(bytes) {
    if (held_->fetch_add(bytes_) + bytes_ <= kMaxHeldBytes) return;
    held_->fetch_sub(bytes_);
    throw api_error::overloaded();
  }
  ~HeldBytes() { held_->fetch_sub(bytes_); }
  HeldBytes(const HeldBytes&) = delete;
  HeldBytes& operator=(const HeldBytes&) = delete;

 private:
  const std::shared_ptr<std::atomic<int64_t>> held_;
  const int64_t bytes_;
};

struct HeldPixels {
  HeldPixels(const Service& service, int64_t bytes) : held(service.image_bytes, bytes) {}

  HeldBytes held;
  ImagePixels pixels;
};

// One of the few turns that there are.
class PictureTurn {
 public:
  explicit PictureTurn(const Service& service) : service_(service) {
    constexpr std::chrono::seconds kLongestWait{10};
    if (!service_.picture_turns.try_acquire_for(kLongestWait)) throw api_error::overloaded();
  }
  ~PictureTurn() { service_.picture_turns.release(); }
  PictureTurn(const PictureTurn&) = delete;
  PictureTurn& operator=(const PictureTurn&) = delete;

 private:
  const Service& service_;
};

// `pixels_left`: that the request's other files leave it; takes this one's off.
PreparedImage prepare(const ImageInput& input, const Service& service, int64_t& pixels_left) {
  auto owner = std::make_shared<HeldPixels>(service, input.budget * kTokenBytes);
  const PictureTurn turn(service);
  MediaLimits limits;
  limits.max_pixels = std::min(limits.max_pixels, std::max<int64_t>(1, pixels_left));
  auto decoded = service.decode_image(as_bytes(input.bytes), limits);
  if (auto* refusal = std::get_if<MediaRefusal>(&decoded)) {
    if (refusal->fault == MediaFault::busy) throw api_error::overloaded();
    if (is_fault_of_server(refusal->fault)) {
      throw api_error::unsupported_value(input.path, refusal->sentence);
    }
    throw api_error::invalid_value(input.path, refusal->sentence);
  }
  const auto& image = std::get<DecodedImage>(decoded);
  const ImageSize from = {.height = image.height, .width = image.width};
  pixels_left -= int64_t{from.height} * from.width;
  const ImageSize to = target_size(from, input.budget);
  const int n_positions = service.config.vision->n_positions;
  if (std::max(to.height, to.width) > n_positions * kPatchPixels) {
    throw api_error::invalid_value(input.path, "the image is too elongated for this model.");
  }
  owner->pixels = {to, resize_bicubic(image.rgb, from, to)};
  const MediaFingerprint fingerprint = fingerprint_of(owner->pixels);
  const ImagePixels* pixels = &owner->pixels;
  return {{std::move(owner), pixels}, fingerprint, n_soft_tokens(to)};
}

// Nothing is decoded for a request that the engine would refuse.
bool is_full(const Service& service) {
  if (!service.stats) return false;
  const EngineStats stats = service.stats();
  return stats.running + stats.waiting >= service.options.max_sequences;
}

}  // namespace

ImageInputs::ImageInputs(const Fields& body, const Service& service)
    : service_(service), default_budget_(std::min(kAutoBudget, service.options.max_image_tokens)) {
  const Json* kwargs = body.object("mm_processor_kwargs");
  if (kwargs == nullptr) return;
  for (const auto& [key, value] : kwargs->items()) {
    if (key != "max_soft_tokens") {
      throw api_error::unsupported_parameter("mm_processor_kwargs." + key,
                                             "There is 'max_soft_tokens'.");
    }
  }
  if (!service.takes_images()) {
    throw api_error::unsupported_parameter("mm_processor_kwargs",
                                           "The model that is served here takes no images.");
  }
  default_budget_ = budget_of(Fields(*kwargs, "mm_processor_kwargs"));
}

int ImageInputs::budget_of(const Fields& image) const {
  int budget = default_budget_;
  if (const auto detail = image.choice("detail", {"low", "auto", "high", "original"})) {
    if (*detail == "low") budget = kLowBudget;
    if (*detail == "high" || *detail == "original") {
      budget = std::min(kHighBudget, service_.options.max_image_tokens);
    }
  }
  const auto tokens = image.integer("max_soft_tokens", 1, kHighBudget);
  if (!tokens) return budget;
  if (!is_soft_token_budget(*tokens) || *tokens > service_.options.max_image_tokens) {
    throw api_error::invalid_value(image.path("max_soft_tokens"),
                                   "it must be 70, 140, 280, 560 or 1120, and at most " +
                                       std::to_string(service_.options.max_image_tokens) +
                                       " here.");
  }
  return static_cast<int>(*tokens);
}

int ImageInputs::add(const Fields& part) {
  if (!service_.takes_images()) {
    throw api_error::unsupported_value(
        part.path("type"), "the model that is served here takes no images; it takes 'text'.");
  }
  if (inputs_.size() == kMaxImages) {
    throw api_error::invalid_value(
        "messages", "there are more than " + std::to_string(kMaxImages) + " images.");
  }
  const Json* value = part.find("image_url");
  if (value == nullptr) throw api_error::missing_parameter(part.path("image_url"));
  const std::string path = part.path("image_url");
  if (value->is_string()) {
    const auto& url = value->get_ref<const std::string&>();
    inputs_.push_back({data_url_bytes(url, path), default_budget_, path});
  } else {
    check_object(*value, path);
    const Fields image(*value, path);
    const Json* url = image.find("url");
    if (url == nullptr) throw api_error::missing_parameter(image.path("url"));
    if (!url->is_string()) {
      throw api_error::invalid_type(image.path("url"), "a string", type_name(*url));
    }
    inputs_.push_back({data_url_bytes(url->get_ref<const std::string&>(), image.path("url")),
                       budget_of(image), image.path("url")});
  }
  return static_cast<int>(inputs_.size()) - 1;
}

std::vector<PreparedImage> prepare_images(const std::vector<ImageInput>& inputs,
                                          const Service& service) {
  int64_t soft_tokens = 0;
  for (const ImageInput& input : inputs) soft_tokens += input.budget;
  if (soft_tokens > kMaxSoftTokens) {
    throw api_error::invalid_value("messages", "the budgets of its images are more than " +
                                                   std::to_string(kMaxSoftTokens) +
                                                   " soft tokens together.");
  }
  if (!inputs.empty() && is_full(service)) throw api_error::overloaded();
  int64_t pixels_left = kMaxPixels;
  std::vector<PreparedImage> images;
  for (const ImageInput& input : inputs) {
    if (service.draining) throw api_error::draining();
    images.push_back(prepare(input, service, pixels_left));
  }
  return images;
}

}  // namespace lapidary
