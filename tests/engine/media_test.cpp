// What becomes of images and sounds before a model sees them, against the official processors:
// scripts/make_media_goldens.py wrote what is expected.
#include <cmath>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/media/image_patches.h"
#include "engine/media/image_size.h"
#include "engine/media/log_mel.h"
#include "engine/media/resize.h"
#include "tests/catch.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

Json goldens(const std::string& name) {
  std::ifstream file(std::string(LAPIDARY_SOURCE_DIR) + "/tests/golden/media/" + name);
  return Json::parse(file);
}

// As in make_media_goldens.py.
class Noise {
 public:
  explicit Noise(uint64_t seed) : state_(seed) {}
  uint32_t next() {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<uint32_t>(state_ >> 32);
  }

 private:
  uint64_t state_;
};

std::vector<uint8_t> picture(const std::string& kind, int seed, ImageSize size) {
  Noise noise(static_cast<uint64_t>(seed));
  std::vector<uint8_t> levels;
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      for (int c = 0; c < 3; ++c) {
        if (kind == "noise") {
          levels.push_back(static_cast<uint8_t>(noise.next() >> 24));
        } else if (kind == "checker") {
          levels.push_back((x / 3 + y / 2 + c) % 2 == 0 ? 0 : 255);
        } else {
          levels.push_back(static_cast<uint8_t>((x * 7 + y * 5 * (c + 1) + seed) % 256));
        }
      }
    }
  }
  return levels;
}

std::string fnv1a(const std::vector<uint8_t>& bytes) {
  uint64_t value = 0xCBF29CE484222325U;
  for (const uint8_t byte : bytes) value = (value ^ byte) * 0x100000001B3U;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

std::vector<float> sound(int seed, int64_t count) {
  Noise noise(static_cast<uint64_t>(seed));
  std::vector<float> samples;
  for (int64_t t = 0; t < count; ++t) {
    const int64_t level = t * (seed * 37 + 100) % 8001 - 4000 + (noise.next() >> 20);
    samples.push_back(static_cast<float>(static_cast<double>(level) / 32768));
  }
  return samples;
}

}  // namespace

TEST_CASE("images get the official size for every budget", "[engine][media]") {
  const Json rows = goldens("sizes.json");
  REQUIRE(rows.size() == 700);
  for (const Json& row : rows) {
    INFO(row.dump());
    const ImageSize target = target_size({row[0], row[1]}, row[2]);
    REQUIRE(target == ImageSize{row[3], row[4]});
    REQUIRE(n_soft_tokens(target) <= row[2]);
    REQUIRE(n_soft_tokens(target) > 0);
  }
  REQUIRE(is_soft_token_budget(1120));
  REQUIRE_FALSE(is_soft_token_budget(100));
}

TEST_CASE("resizing equals torchvision's to the last level", "[engine][media]") {
  for (const Json& row : goldens("resize.json")) {
    INFO(row.dump());
    const ImageSize from = {row["from"][0], row["from"][1]}, to = {row["to"][0], row["to"][1]};
    const auto made = resize_bicubic(picture(row["kind"], row["seed"], from), from, to);
    REQUIRE(made.size() == static_cast<size_t>(to.height * to.width * 3));
    REQUIRE(fnv1a(made) == row["hash"]);
  }
  const auto same = picture("noise", 3, {48, 96});
  REQUIRE(resize_bicubic(same, {48, 96}, {48, 96}) == same);
}

TEST_CASE("patches are those of the official processors to the last bit", "[engine][media]") {
  const Json rows = goldens("patches.json");
  REQUIRE(rows.size() >= 3);
  for (const Json& row : rows) {
    INFO(row.dump());
    const ImageSize from = {row["from"][0], row["from"][1]};
    const ImageSize to = target_size(from, 70);
    const auto levels = resize_bicubic(picture("noise", row["seed"], from), from, to);
    for (const auto& [name, scale] :
         {std::pair{"image", PixelScale::kImage}, {"frame", PixelScale::kVideoFrame}}) {
      const ImagePatches patches = make_patches(levels, to, kPatchPixels, scale);
      REQUIRE(patches.count() == row["patches"]);
      std::vector<uint8_t> bytes(patches.values.size() * sizeof(float));
      std::memcpy(bytes.data(), patches.values.data(), bytes.size());
      CHECK(fnv1a(bytes) == row[name]);
    }
  }
  // The patches of the encoder-free model are larger.
  const auto levels = picture("ramps", 1, {48, 96});
  const ImagePatches large = make_patches(levels, {48, 96}, 48, PixelScale::kImage);
  REQUIRE(large.count() == 2);
  const size_t second = 48 * 48 * 3;  // its first row begins in the middle of the picture's
  for (size_t i = 0; i < 48 * 3; ++i) {
    REQUIRE(large.values[second + i] == static_cast<float>(levels[48 * 3 + i]) * (1.0F / 255));
  }
}

TEST_CASE("log-mel features are the official ones within 1e-5", "[engine][media]") {
  double worst = 0;
  for (const Json& row : goldens("mel.json")) {
    INFO(row["samples"].dump());
    const std::vector<float> features = log_mel(sound(row["seed"], row["samples"]));
    REQUIRE(n_mel_frames(row["samples"]) == row["frames"]);
    REQUIRE(features.size() == row["frames"].get<size_t>() * kMelBins);
    for (const auto& [frame, values] : row["shown"].items()) {
      for (size_t m = 0; m < kMelBins; ++m) {
        const double got = features[std::stoul(frame) * kMelBins + m];
        worst = std::max(worst, std::abs(got - values[m].get<double>()));
      }
    }
  }
  INFO("worst " << worst);
  REQUIRE(worst < 1e-5);
  REQUIRE(log_mel(std::vector<float>(160)).empty());
  REQUIRE(n_mel_frames(160) == 0);
  const std::vector<std::pair<int64_t, int64_t>> tokens = {
      {16000, 25}, {80000, 125}, {160000, 250}, {480000, 750}, {161, 1}};
  for (const auto& [samples, expected] : tokens) {
    REQUIRE(n_audio_tokens(n_mel_frames(samples)) == expected);
  }
}

}  // namespace lapidary
