// Images in the content of messages: checked, decoded by the media workers, brought to the size
// that their budget of soft tokens allows. Any thread; decoding waits for a worker.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/media/media_span.h"
#include "server/api/fields.h"

namespace lapidary {

struct Service;

// As a client sent it, not yet decoded.
struct ImageInput {
  std::string bytes;  // of the file
  int budget = 0;     // soft tokens at most
  std::string path;   // of the part, for what is wrong with it
};

// What is known of the images of one request while its messages are read.
class ImageInputs {
 public:
  // Reads `mm_processor_kwargs.max_soft_tokens` of the body, the budget of images that say nothing.
  ImageInputs(const Fields& body, const Service& service);

  // Adds the image of a part {"type": "image_url", "image_url": {"url", "detail",
  // "max_soft_tokens"} or a URL}, and gives its place in the list. Throws ApiError, also when the
  // model takes no images.
  int add(const Fields& part);

  std::vector<ImageInput> take() { return std::move(inputs_); }

 private:
  int budget_of(const Fields& image) const;

  const Service& service_;
  int default_budget_;
  std::vector<ImageInput> inputs_;
};

// An image as the engine takes it.
struct PreparedImage {
  std::shared_ptr<const ImagePixels> pixels;
  MediaFingerprint fingerprint{};
  int n_soft_tokens = 0;
};

// Throws ApiError: with the part's path what is wrong with a file, or that the workers are busy.
std::vector<PreparedImage> prepare_images(const std::vector<ImageInput>& inputs,
                                          const Service& service);

}  // namespace lapidary
