#include "server/api/service.h"

#include <algorithm>
#include <array>
#include <utility>

#include "server/api/fields.h"

namespace lapidary {
namespace {

// Whatever a config says of them, none of these belongs into an answer.
constexpr std::array kMediaMarks = {"<|image>", "<image|>",  "<|image|>", "<|audio>",
                                    "<audio|>", "<|audio|>", "<|video|>"};

std::vector<int32_t> all_suppressed(const ModelConfig& config, const Tokenizer& tokenizer) {
  std::vector<int32_t> ids = config.ids.media;
  const auto& own = config.generation.suppress_tokens;
  ids.insert(ids.end(), own.begin(), own.end());
  for (const char* mark : kMediaMarks) {
    if (const auto id = tokenizer.control_id(mark)) ids.push_back(*id);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

// A token for each row of the logits. What is never sampled spells nothing, so that no grammar can
// come to need it.
std::vector<GrammarVocabulary::Entry> grammar_entries(const ModelConfig& config,
                                                      const Tokenizer& tokenizer,
                                                      const std::vector<int32_t>& suppressed) {
  std::vector<GrammarVocabulary::Entry> entries(static_cast<size_t>(config.vocab));
  for (int32_t id = 0; id < config.vocab; ++id) {
    GrammarVocabulary::Entry& entry = entries[static_cast<size_t>(id)];
    entry.is_control = tokenizer.is_control(id);
    const bool is_drawn = !std::binary_search(suppressed.begin(), suppressed.end(), id);
    if (is_drawn) entry.bytes = tokenizer.token_bytes(id);
  }
  return entries;
}

// Behind its calls the model waits for results: that ends a turn whatever the checkpoint says.
std::vector<int32_t> turn_ends(const ModelConfig& config, const DialectTokens& dialect) {
  std::vector<int32_t> ids = config.ids.eos;
  if (std::find(ids.begin(), ids.end(), dialect.response_open) == ids.end()) {
    ids.push_back(dialect.response_open);
  }
  return ids;
}

}  // namespace

Service::Service(ServiceOptions the_options, const ModelConfig& the_config,
                 const Tokenizer& the_tokenizer)
    : options(std::move(the_options)),
      config(the_config),
      tokenizer(the_tokenizer),
      dialect(DialectTokens::from(the_tokenizer)),
      suppressed_tokens(all_suppressed(the_config, the_tokenizer)),
      vocabulary(grammar_entries(the_config, the_tokenizer, suppressed_tokens),
                 turn_ends(the_config, dialect)) {}

nlohmann::json Service::parse(const std::string& body) const {
  const auto context = static_cast<size_t>(options.max_model_len);
  return parse_body(body, options.max_body_bytes, std::max<size_t>(200'000, context + 10'000));
}

bool Service::serves(const std::string& model) const {
  const auto& names = options.model_names;
  return std::find(names.begin(), names.end(), model) != names.end();
}

}  // namespace lapidary
