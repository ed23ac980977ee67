// Request bodies, from bytes to the engine's Request: the JSON pre-scan, the parser, every check of
// both completion endpoints, of the other front doors and of /tokenize. The first byte, a digit,
// picks the endpoint. Whatever comes in, only an ApiError with a client's status may come out, and
// its body must be JSON; what is accepted must be what the engine requires.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/answer_guide.h"
#include "kernels/check.h"
#include "server/api/anthropic.h"
#include "server/api/api_error.h"
#include "server/api/chat_completions.h"
#include "server/api/completions.h"
#include "server/api/responses.h"
#include "server/api/tokenize.h"

namespace lapidary {
namespace {

struct World {
  static std::filesystem::path folder() {
    return std::filesystem::path(LAPIDARY_SOURCE_DIR) / "tests/golden/checkpoints/moe";
  }

  ModelConfig config = ModelConfig::load(folder());
  Tokenizer tokenizer = Tokenizer::from_file(folder() / "tokenizer.json");
  Service service{options(), config, tokenizer};

  World() {
    config.vision = VisionConfig{.hidden = 8, .n_positions = 256};
    service.decode_image = decoded;
    service.submit = [this](Request request) -> Submission {
      check(request);
      return Refusal::queue_full;
    };
  }

  // A picture whose sides are the first bytes, or a refusal.
  static std::variant<DecodedImage, MediaRefusal> decoded(std::span<const uint8_t> file,
                                                          const MediaLimits&) {
    if (file.size() < 2 || file[0] == 0 || file[1] == 0) {
      return MediaRefusal{MediaFault::damaged, "The image is damaged."};
    }
    DecodedImage image{.width = file[0], .height = file[1], .rgb = {}};
    image.rgb.resize(size_t{file[0]} * file[1] * 3);
    return image;
  }

  static ServiceOptions options() {
    ServiceOptions options;
    options.model_names = {"tiny"};
    options.max_model_len = 512;
    options.max_body_bytes = 64 << 10;
    return options;
  }

  // A constrained answer has a first token.
  void check_rules(const std::shared_ptr<const AnswerRules>& rules) const {
    const AnswerGuide guide(rules);
    if (!guide.needs_mask()) return;
    std::vector<uint32_t> mask((static_cast<size_t>(config.vocab) + 31) / 32);
    guide.allow(mask);
    CHECK(std::any_of(mask.begin(), mask.end(), [](uint32_t word) { return word != 0; }));
  }

  // REQUIRES of Engine::submit and of the sampler.
  void check(const Request& r) const {
    const auto in_vocabulary = [this](int32_t id) { return id >= 0 && id < config.vocab; };
    CHECK(!r.tokens.empty());
    CHECK(r.n >= 1 && r.n <= 8);
    CHECK(r.max_tokens >= (r.prompt_logprobs ? 0 : 1));
    CHECK(static_cast<int>(r.tokens.size()) + r.max_tokens <= 512);
    for (const int32_t id : r.tokens) CHECK(in_vocabulary(id));
    for (const int32_t id : r.stop_ids) CHECK(in_vocabulary(id));
    for (const auto& [id, bias] : r.sampling.logit_bias) {
      CHECK(in_vocabulary(id));
      CHECK(bias >= -100 && bias <= 100);
    }
    CHECK(r.sampling.temperature >= 0 && r.sampling.temperature <= 2);
    CHECK(r.sampling.top_p > 0 && r.sampling.top_p <= 1);
    CHECK(r.sampling.top_k >= 0 && r.sampling.top_k <= config.vocab);
    CHECK(r.sampling.n_logprobs >= -1 && r.sampling.n_logprobs <= 20);
    CHECK(r.sampling.repetition_penalty > 0);
    CHECK(r.sampling.min_tokens >= 0 && r.sampling.min_tokens <= 512);
    if (r.rules) check_rules(r.rules);
    const int32_t placeholder = *tokenizer.control_id("<|image|>");
    int behind = 0;
    for (const MediaSpan& span : r.media) {
      CHECK(span.first > behind && span.count > 0);
      behind = span.end();
      CHECK(behind < static_cast<int>(r.tokens.size()));
      CHECK(n_soft_tokens(span.image->size) == span.count);
      for (int i = span.first; i < behind; ++i) {
        CHECK(r.tokens[static_cast<size_t>(i)] == placeholder);
      }
    }
  }
};

void run(uint8_t which, std::string body) {
  static const World world;
  using Endpoint = HttpResponse (*)(const HttpRequest&, const Service&);
  constexpr Endpoint kEndpoints[] = {
      handle_chat_completions, handle_completions,        handle_tokenize,       handle_detokenize,
      handle_responses,        handle_anthropic_messages, handle_anthropic_count};
  HttpRequest request;
  request.id = "fuzz";
  request.body = std::move(body);
  std::string answer;
  try {
    answer = kEndpoints[static_cast<uint8_t>(which - '0') % std::size(kEndpoints)](request,
                                                                                   world.service)
                 .body;
  } catch (const ApiError& error) {
    CHECK(error.status == 400 || error.status == 404 || error.code == "engine_overloaded");
    answer = error.body();
  }
  CHECK(nlohmann::json::accept(answer));
}

}  // namespace
}  // namespace lapidary

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  lapidary::run(data[0], std::string(reinterpret_cast<const char*>(data + 1), size - 1));
  return 0;
}
