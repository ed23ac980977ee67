// The vision tower against the official implementation.
#include "engine/model/vision_tower.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/engine/golden_outputs.h"
#include "tests/engine/golden_pictures.h"

namespace lapidary {
namespace {

constexpr const char* kVisionCheckpoints[] = {"vision_small", "vision_large"};

class TowerRun {
 public:
  TowerRun(const std::string& name, DType compute, int n_threads = 1)
      : golden_(GoldenModel::open(name, compute, n_threads)),
        tower_(*golden_.config.vision, golden_.config.hidden, golden_.decoder->weights().vision,
               *golden_.backend) {
    tower_.reserve(5 * 9 * 140);
  }

  int64_t hidden() const { return golden_.config.hidden; }

  std::vector<float> encode(const std::vector<const ImagePatches*>& images) {
    const Tensor out = tower_.encode(images);
    std::vector<float> values(static_cast<size_t>(out.count()));
    golden_.backend->download(values.data(), out.data, out.bytes());
    return values;
  }

 private:
  GoldenModel golden_;
  VisionTower tower_;
};

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return largest;
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  const double ab = std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  const double aa = std::inner_product(a.begin(), a.end(), a.begin(), 0.0);
  const double bb = std::inner_product(b.begin(), b.end(), b.begin(), 0.0);
  return ab / std::sqrt(aa * bb);
}

}  // namespace

TEST_CASE("soft tokens are the official ones", "[engine][vision]") {
  for (const char* name : kVisionCheckpoints) {
    const GoldenPictures pictures(name);
    const GoldenOutputs outputs(name);
    TowerRun exact(name, DType::f32);
    TowerRun rounded(name, DType::bf16);
    for (size_t i = 0; i < pictures.patches.size(); ++i) {
      INFO(name << ", picture " << i);
      const auto expected = outputs.floats("soft_tokens." + std::to_string(i));
      const auto soft = exact.encode({&pictures.patches[i]});
      REQUIRE(static_cast<int64_t>(soft.size()) == pictures.soft_tokens[i] * exact.hidden());
      CHECK(largest_difference(soft, expected) < 2e-5);
      CHECK(cosine(rounded.encode({&pictures.patches[i]}), expected) > 0.999);
    }
  }
}

TEST_CASE("images encoded together are those encoded alone, bit for bit", "[engine][vision]") {
  for (const char* name : kVisionCheckpoints) {
    const GoldenPictures pictures(name);
    for (const DType compute : {DType::f32, DType::bf16}) {
      TowerRun alone(name, compute);
      TowerRun together(name, compute, 3);
      std::vector<const ImagePatches*> all;
      std::vector<float> expected;
      for (const ImagePatches& image : pictures.patches) {
        all.push_back(&image);
        const auto soft = alone.encode({&image});
        expected.insert(expected.end(), soft.begin(), soft.end());
      }
      const auto soft = together.encode(all);
      REQUIRE(soft.size() == expected.size());
      REQUIRE(std::memcmp(soft.data(), expected.data(), soft.size() * sizeof(float)) == 0);
    }
  }
}

TEST_CASE("a head's layout is a permutation that keeps the pairs", "[engine][vision]") {
  for (const int dims : {12, 16, 20, 64, 72}) {
    const HeadLayout heads(dims);
    INFO(dims);
    REQUIRE(heads.padded % 16 == 0);
    std::vector<int> places;
    for (int d = 0; d < dims; ++d) places.push_back(heads.place(d));
    const int half = dims / 2;
    const int quarter = dims / 4;
    for (int axis = 0; axis < 2; ++axis) {
      for (int i = 0; i < quarter; ++i) {
        const int first = places[static_cast<size_t>(axis * half + i)];
        REQUIRE(first == axis * quarter + i);
        REQUIRE(places[static_cast<size_t>(axis * half + quarter + i)] == first + heads.padded / 2);
      }
    }
    std::sort(places.begin(), places.end());
    REQUIRE(std::adjacent_find(places.begin(), places.end()) == places.end());
  }
}

}  // namespace lapidary
