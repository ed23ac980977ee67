// What every endpoint works with: the model's files, the way into the engine, and the server's own
// choices. Built once before the server listens; afterwards constant but for `draining`, the
// grammars and the calls, which guard themselves, so any number of threads may use it. The engine
// is behind two functions, so that everything here runs on a scripted one as well.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <semaphore>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "config/model_config.h"
#include "engine/engine.h"
#include "engine/text/tokenizer.h"
#include "server/api/call_memory.h"
#include "server/api/repetition_breaker.h"
#include "server/dialect/chat.h"
#include "server/dialect/dialect_tokens.h"
#include "server/media/media_decoder.h"
#include "server/schema/grammar_cache.h"

namespace lapidary {

enum class ReasoningField { reasoning_content, reasoning, both };

struct ServiceOptions {
  std::vector<std::string> model_names;  // never empty; all name the one model
  int64_t created = 0;                   // of the model's entry, seconds since 1970
  int max_model_len = 0;                 // tokens of prompt and answer
  int max_choices = 8;                   // n
  int max_image_tokens = 1120;           // soft tokens of an image
  int max_sequences = 512;               // that the engine takes at once, running and waiting
  size_t max_body_bytes = 4 << 20;
  std::optional<int64_t> default_seed;
  TemplateVariant variant = TemplateVariant::kLarge;
  bool enable_thinking = false;  // where a request does not say
  bool preserve_thinking = false;
  ReasoningField reasoning_field = ReasoningField::reasoning_content;
  RepetitionLimits repetition;
  double request_timeout_s = 0;  // 0: none
  double ping_interval_s = 15;   // of keep-alive comments; 0: none
};

struct Service {
  ServiceOptions options;
  const ModelConfig& config;
  const Tokenizer& tokenizer;
  DialectTokens dialect;
  std::vector<int32_t> suppressed_tokens;  // never sampled: media marks, the checkpoint's own list
  // What the tokens spell, for grammars, and the grammars that were compiled.
  GrammarVocabulary vocabulary;
  mutable GrammarCache grammars{vocabulary};
  mutable CallMemory calls;
  std::function<Submission(Request)> submit;
  std::function<EngineStats()> stats;
  // None: this server decodes no images.
  std::function<std::variant<DecodedImage, MediaRefusal>(std::span<const uint8_t>,
                                                         const MediaLimits&)>
      decode_image;
  std::atomic<bool> draining{false};
  // Levels of images that requests hold, waiting and running: the engine may do so longer than this
  // lives.
  std::shared_ptr<std::atomic<int64_t>> image_bytes = std::make_shared<std::atomic<int64_t>>(0);
  // Whole pictures, up to 99 MB each, are in memory from the decoder's answer to their target size.
  static constexpr int kPicturesAtOnce = 4;
  mutable std::counting_semaphore<kPicturesAtOnce> picture_turns{kPicturesAtOnce};

  Service(ServiceOptions the_options, const ModelConfig& the_config,
          const Tokenizer& the_tokenizer);

  bool serves(const std::string& model) const;
  bool takes_images() const { return config.vision.has_value() && decode_image != nullptr; }
  // A request's body, pre-scanned; the limit on values leaves room for a whole context of ids.
  nlohmann::json parse(const std::string& body) const;
};

}  // namespace lapidary
