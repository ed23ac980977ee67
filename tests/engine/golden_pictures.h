// The pictures of the vision goldens, drawn again as scripts/make_vision_goldens.py drew them.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/media/image_patches.h"
#include "engine/media/media_span.h"
#include "engine/media/resize.h"
#include "tests/engine/golden_model.h"

namespace lapidary {

inline std::vector<uint8_t> picture(ImageSize size, int seed) {
  std::vector<uint8_t> pixels;
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const int level = x * (3 + seed) + y * (5 + c) + (x * y) % (17 + c) * (4 + seed);
        pixels.push_back(static_cast<uint8_t>(level % 256));
      }
    }
  }
  return pixels;
}

struct GoldenPictures {
  std::vector<ImagePixels> images;
  std::vector<int> soft_tokens;             // as the official processor counts them
  std::vector<std::vector<int>> of_prompt;  // the pictures in each prompt

  // Where the soft tokens of prompt `i` stand: runs of the placeholder, in the order of its
  // pictures.
  std::vector<MediaSpan> spans(int i, const std::vector<int32_t>& ids, int32_t placeholder) const {
    std::vector<MediaSpan> found;
    for (size_t at = 0; at < ids.size(); ++at) {
      if (ids[at] != placeholder) continue;
      const int picture = of_prompt[static_cast<size_t>(i)][found.size()];
      const int count = soft_tokens[static_cast<size_t>(picture)];
      found.push_back({.first = static_cast<int>(at),
                       .count = count,
                       .image = std::make_shared<ImagePixels>(images[static_cast<size_t>(picture)]),
                       .fingerprint = {static_cast<uint8_t>(picture + 1)}});
      at += static_cast<size_t>(count);
    }
    return found;
  }

  explicit GoldenPictures(const std::string& checkpoint) {
    std::ifstream file(GoldenModel::folder(checkpoint) / "golden.json");
    const auto facts = nlohmann::json::parse(file);
    for (const auto& entry : facts["pictures"]) {
      const ImageSize size = {.height = entry["height"], .width = entry["width"]};
      const ImageSize target = target_size(size, entry["budget"]);
      const auto pixels = picture(size, static_cast<int>(images.size()));
      images.push_back({target, resize_bicubic(pixels, size, target)});
      soft_tokens.push_back(entry["soft_tokens"]);
    }
    for (const auto& prompt : facts["prompts"]) {
      of_prompt.emplace_back();
      for (const auto& name : prompt) {
        of_prompt.back().push_back(std::stoi(name.get<std::string>().substr(1)));
      }
    }
  }
};

}  // namespace lapidary
