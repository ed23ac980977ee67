// The vision tower against the official implementation.
#include "engine/model/vision_tower.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "tests/engine/golden_outputs.h"
#include "tests/engine/golden_pictures.h"
#include "tests/engine/paged_run.h"

namespace lapidary {
namespace {

constexpr const char* kVisionCheckpoints[] = {"vision_small", "vision_large"};

class TowerRun {
 public:
  TowerRun(const std::string& name, DType compute, int n_threads = 1)
      : golden_(GoldenModel::open(name, compute, n_threads)) {}

  int64_t hidden() const { return golden_.config.hidden; }

  std::vector<float> encode(const std::vector<const ImagePixels*>& images) {
    const Tensor out = golden_.decoder->vision()->encode(images);
    std::vector<float> values(static_cast<size_t>(out.count()));
    golden_.backend->download(values.data(), out.data, out.bytes());
    return values;
  }

 private:
  GoldenModel golden_;
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

void require_same_bits_of(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  REQUIRE(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

std::vector<int32_t> tokens_of(TokenStream& stream) {
  std::vector<int32_t> tokens;
  while (true) {
    for (const TokenEvent& event : stream.take(std::chrono::milliseconds(100))) {
      if (event.token >= 0) tokens.push_back(event.token);
      if (event.finish != FinishReason::none) return tokens;
    }
  }
}

}  // namespace

TEST_CASE("soft tokens are the official ones", "[engine][vision]") {
  for (const char* name : kVisionCheckpoints) {
    const GoldenPictures pictures(name);
    const GoldenOutputs outputs(name);
    TowerRun exact(name, DType::f32);
    TowerRun rounded(name, DType::bf16);
    for (size_t i = 0; i < pictures.images.size(); ++i) {
      INFO(name << ", picture " << i);
      const auto expected = outputs.floats("soft_tokens." + std::to_string(i));
      const auto soft = exact.encode({&pictures.images[i]});
      REQUIRE(static_cast<int64_t>(soft.size()) == pictures.soft_tokens[i] * exact.hidden());
      CHECK(largest_difference(soft, expected) < 2e-5);
      CHECK(cosine(rounded.encode({&pictures.images[i]}), expected) > 0.999);
    }
  }
}

TEST_CASE("images encoded together are those encoded alone, bit for bit", "[engine][vision]") {
  for (const char* name : kVisionCheckpoints) {
    const GoldenPictures pictures(name);
    for (const DType compute : {DType::f32, DType::bf16}) {
      TowerRun alone(name, compute);
      TowerRun together(name, compute, 3);
      std::vector<const ImagePixels*> all;
      std::vector<float> expected;
      for (const ImagePixels& image : pictures.images) {
        all.push_back(&image);
        const auto soft = alone.encode({&image});
        expected.insert(expected.end(), soft.begin(), soft.end());
      }
      const auto soft = together.encode(all);
      require_same_bits_of(soft, expected);
    }
  }
}

TEST_CASE("logits behind images are the official ones, in any chunks", "[engine][vision]") {
  for (const char* name : kVisionCheckpoints) {
    const GoldenPictures pictures(name);
    const GoldenOutputs outputs(name);
    const GoldenModel golden = GoldenModel::open(name);
    const int32_t placeholder = golden.config.ids.placeholders[0];
    for (int i = 0; i < outputs.n_prompts(); ++i) {
      INFO(name << ", prompt " << i);
      const auto ids = outputs.ids(i);
      const auto spans = pictures.spans(i, ids, placeholder);
      REQUIRE(spans.size() == pictures.of_prompt[static_cast<size_t>(i)].size());
      PagedRun run(golden);
      const int whole = run.add(ids, spans);
      run.finish(whole, static_cast<int>(ids.size()));
      CHECK(largest_difference(run.logits(whole), outputs.logits(i)) < 2e-3);
      // Cut before, inside (where that is allowed) and behind each image.
      const int cut = run.add(ids, spans);
      for (const MediaSpan& span : spans) {
        run.step({{cut, span.first - (static_cast<int>(ids.size()) - run.n_pending(cut))}});
        if (!golden.config.sees_images_whole) run.step({{cut, 7}});
        run.step({{cut, span.end() - (static_cast<int>(ids.size()) - run.n_pending(cut))}});
      }
      run.finish(cut, 5);
      require_same_bits_of(run.logits(cut), run.logits(whole));
    }
  }
}

TEST_CASE("the engine goes on from images as the official implementation does",
          "[engine][vision]") {
  for (const char* name : kVisionCheckpoints) {
    const GoldenPictures pictures(name);
    const GoldenOutputs outputs(name);
    for (const int step_tokens : {160, 512}) {
      GoldenModel golden = GoldenModel::open(name, DType::f32, 2);
      const int32_t placeholder = golden.config.ids.placeholders[0];
      EngineOptions options = roomy_options();
      options.max_num_batched_tokens = step_tokens;
      options.max_image_tokens = 140;
      Engine engine(*golden.backend, std::move(golden.decoder), options);
      std::vector<std::shared_ptr<TokenStream>> streams;
      for (int i = 0; i < outputs.n_prompts(); ++i) {
        const auto ids = outputs.ids(i);
        Request request{.tokens = ids,
                        .max_tokens = static_cast<int>(outputs.greedy_ids(i).size()),
                        .media = pictures.spans(i, ids, placeholder)};
        request.sampling.temperature = 0;
        auto submission = engine.submit(std::move(request));
        streams.push_back(std::get<std::shared_ptr<TokenStream>>(submission));
      }
      for (int i = 0; i < outputs.n_prompts(); ++i) {
        INFO(name << ", prompt " << i << ", steps of " << step_tokens);
        CHECK(tokens_of(*streams[static_cast<size_t>(i)]) == outputs.greedy_ids(i));
      }
    }
  }
}

TEST_CASE("an image that is kept is not encoded again, whatever was written between",
          "[engine][vision]") {
  const GoldenPictures pictures("vision_small");
  const GoldenOutputs outputs("vision_small");
  GoldenModel golden = GoldenModel::open("vision_small");
  // Room for twice the largest step below and no more: what is kept is written over all the time.
  MediaEncoder encoder(*golden.decoder, *golden.backend, 1);
  const auto encode = [&](const std::vector<int>& wanted) {
    std::vector<MediaSpan> spans;
    for (const int i : wanted) {
      const auto at = static_cast<size_t>(i);
      spans.push_back({.first = 0,
                       .count = pictures.soft_tokens[at],
                       .image = std::make_shared<ImagePixels>(pictures.images[at]),
                       .fingerprint = {static_cast<uint8_t>(i + 1)}});
    }
    std::vector<MediaRows> rows;
    for (const MediaSpan& span : spans) {
      rows.push_back(
          {.span = &span, .row = 0, .count = span.count, .offset = 0, .soft_tokens = {}});
    }
    encoder.encode(rows);
    for (size_t i = 0; i < rows.size(); ++i) {
      const Tensor& soft = rows[i].soft_tokens;
      std::vector<float> values(static_cast<size_t>(soft.count()));
      golden.backend->download(values.data(), soft.data, soft.bytes());
      const auto expected = outputs.floats("soft_tokens." + std::to_string(wanted[i]));
      REQUIRE(largest_difference(values, expected) < 2e-5);
    }
  };
  encode({0, 0});
  CHECK(encoder.n_encoded() == 1);
  encode({0});
  CHECK(encoder.n_encoded() == 1);
  std::mt19937 random(3);
  for (int round = 0; round < 40; ++round) {
    std::vector<int> wanted;
    for (unsigned k = 0; k <= random() % 4; ++k) wanted.push_back(static_cast<int>(random() % 5));
    encode(wanted);
  }
  const int64_t before = encoder.n_encoded();
  encode({1, 2});
  encode({2, 1});
  CHECK(encoder.n_encoded() <= before + 2);
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
