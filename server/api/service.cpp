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

}  // namespace

Service::Service(ServiceOptions the_options, const ModelConfig& the_config,
                 const Tokenizer& the_tokenizer)
    : options(std::move(the_options)),
      config(the_config),
      tokenizer(the_tokenizer),
      dialect(DialectTokens::from(the_tokenizer)),
      suppressed_tokens(the_config.ids.media) {
  const auto& own = the_config.generation.suppress_tokens;
  suppressed_tokens.insert(suppressed_tokens.end(), own.begin(), own.end());
  for (const char* mark : kMediaMarks) {
    if (const auto id = tokenizer.control_id(mark)) suppressed_tokens.push_back(*id);
  }
  std::sort(suppressed_tokens.begin(), suppressed_tokens.end());
  suppressed_tokens.erase(std::unique(suppressed_tokens.begin(), suppressed_tokens.end()),
                          suppressed_tokens.end());
}

nlohmann::json Service::parse(const std::string& body) const {
  const auto context = static_cast<size_t>(options.max_model_len);
  return parse_body(body, options.max_body_bytes, std::max<size_t>(200'000, context + 10'000));
}

bool Service::serves(const std::string& model) const {
  const auto& names = options.model_names;
  return std::find(names.begin(), names.end(), model) != names.end();
}

}  // namespace lapidary
