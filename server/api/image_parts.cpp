#include "server/api/image_parts.h"

#include <openssl/evp.h>

#include <algorithm>
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
constexpr int64_t kMaxSoftTokens = 16384;  // of a request's images together: 38 MB of levels
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

PreparedImage prepare(const ImageInput& input, const Service& service) {
  MediaLimits limits;
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
  const ImageSize to = target_size(from, input.budget);
  const int n_positions = service.config.vision->n_positions;
  if (std::max(to.height, to.width) > n_positions * kPatchPixels) {
    throw api_error::invalid_value(input.path, "the image is too elongated for this model.");
  }
  auto pixels = std::make_shared<ImagePixels>(ImagePixels{to, resize_bicubic(image.rgb, from, to)});
  const MediaFingerprint fingerprint = fingerprint_of(*pixels);
  return {std::move(pixels), fingerprint, n_soft_tokens(to)};
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
    throw api_error::array_too_long("messages", kMaxImages, kMaxImages + 1);
  }
  const Json* value = part.find("image_url");
  if (value == nullptr) throw api_error::missing_parameter(part.path("image_url"));
  const std::string path = part.path("image_url");
  const Json object = value->is_string() ? Json{{"url", *value}} : *value;
  check_object(object, path);
  const Fields image(object, path);
  const auto url = image.text("url", SIZE_MAX);
  if (!url) throw api_error::missing_parameter(image.path("url"));
  const std::string url_path = value->is_string() ? path : image.path("url");
  inputs_.push_back({data_url_bytes(*url, url_path), budget_of(image), url_path});
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
  std::vector<PreparedImage> images;
  for (const ImageInput& input : inputs) images.push_back(prepare(input, service));
  return images;
}

}  // namespace lapidary
