// What the tests of /v1/responses and /v1/messages share: named events, outputs as they are told,
// random ones.
#pragma once

#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/server/api_world.h"

namespace lapidary {

// The events of a stream, each with its name, which must be its type; no end mark.
inline std::vector<nlohmann::json> named_events(const std::string& text) {
  std::vector<nlohmann::json> events;
  for (size_t at = 0; at < text.size();) {
    const size_t line = text.find('\n', at), end = text.find("\n\n", at);
    if (end == std::string::npos) throw std::runtime_error("an event without end");
    const std::string name = text.substr(at, line - at),
                      data = text.substr(line + 1, end - line - 1);
    at = end + 2;
    if (!name.starts_with("event: ") || !data.starts_with("data: ")) {
      throw std::runtime_error("no event: " + name);
    }
    events.push_back(nlohmann::json::parse(data.substr(6)));
    if (events.back().at("type") != name.substr(7)) throw std::runtime_error("misnamed: " + name);
  }
  return events;
}

inline std::vector<nlohmann::json> call_events(Endpoint endpoint, const ApiWorld& world,
                                               nlohmann::json body) {
  body["stream"] = true;
  TextBody text;
  endpoint(post(body), world.service).stream(text);
  return named_events(text.text);
}

// The engine says these tokens and ends as told: by a stop token, or cut.
inline void say_raw(ApiWorld& world, const std::string& raw,
                    FinishReason finish = FinishReason::stop) {
  world.say_raw(raw, finish, world.config.ids.eos.front());
}

// Thoughts, texts, calls, markup in the wrong place, broken characters; cut anywhere.
inline void say_anything(ApiWorld& world, unsigned seed) {
  std::mt19937 random(seed);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  const std::vector<std::string> pieces = {
      "<|channel>thought\nplan\n<channel|>",
      "<|channel>thought\n",
      "<channel|>",
      "<|channel>",
      "<|tool_call>call:f{a:<|\"|>x\"y<|\"|>,n:1.50}<tool_call|>",
      "<|tool_call>call:g{}<tool_call|>",
      "<|tool_call>call:f{a:[1,{b:nul",
      "<tool_call|>",
      "<|tool_call>",
      "call:f{",
      "<|\"|>",
      "<|turn>",
      "in the end",
      " ",
      "\n",
      "the \xe2\x82\xac",
      "{",
      "}"};
  std::vector<int32_t> ids;
  for (size_t n = below(9); n > 0; --n) {
    if (below(8) == 0) {
      ids.push_back(static_cast<int32_t>(below(static_cast<size_t>(world.tokenizer.vocab_size()))));
    } else {
      const auto more = world.tokenizer.encode_with_control(pieces[below(pieces.size())]);
      ids.insert(ids.end(), more.begin(), more.end());
    }
  }
  const bool is_cut = below(3) == 0;
  if (is_cut && !ids.empty()) ids.resize(below(ids.size()) + 1);
  world.engine.set_script([ids, is_cut, &world](const Request& request) {
    std::vector<TokenEvent> events;
    for (const int32_t id : ids) events.push_back(ApiWorld::token(request, 0, id));
    if (!is_cut || events.empty()) {
      events.push_back(ApiWorld::token(request, 0, world.config.ids.eos.front()));
    }
    events.back().finish = is_cut ? FinishReason::length : FinishReason::stop;
    return events;
  });
}

// Of a request that is refused.
struct RefusedField {
  std::string set;  // into a good request
  const char* code;
  const char* param;
};

inline nlohmann::json updated(nlohmann::json body, const std::string& more) {
  body.update(nlohmann::json::parse(more));
  return body;
}

}  // namespace lapidary
