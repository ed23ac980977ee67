// A service over the small golden tokenizer and a scripted engine, and ways to call its endpoints
// without a socket.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "config/model_config.h"
#include "engine/text/tokenizer.h"
#include "server/api/api_error.h"
#include "server/api/service.h"
#include "server/http/http_types.h"
#include "tests/server/fake_engine.h"

namespace lapidary {

constexpr int kWorldContext = 512;  // tokens

inline std::filesystem::path world_folder() {
  return std::filesystem::path(LAPIDARY_SOURCE_DIR) / "tests/golden/checkpoints/moe";
}

struct ApiWorld {
  ModelConfig config = ModelConfig::load(world_folder());
  Tokenizer tokenizer = Tokenizer::from_file(world_folder() / "tokenizer.json");
  FakeEngine engine;
  Service service{options(), config, tokenizer};

  ApiWorld() {
    service.submit = [this](Request request) { return engine.submit(std::move(request)); };
    service.stats = [this] {
      EngineStats stats;
      stats.running = engine.running();
      return stats;
    };
    say("Hello there.");
  }

  // Every choice of every request says this text and stops by itself.
  void say(const std::string& text) {
    const std::vector<int32_t> ids = tokenizer.encode(text);
    engine.set_script([ids, this](const Request& request) {
      std::vector<TokenEvent> events;
      for (int choice = 0; choice < request.n; ++choice) {
        for (const int32_t id : ids) events.push_back(token(request, choice, id));
        TokenEvent last = token(request, choice, config.ids.eos.front());
        last.finish = FinishReason::stop;
        events.push_back(last);
      }
      return events;
    });
  }

  // The one choice says these tokens, control tokens spelled out, and ends by `stop` or cut.
  void say_raw(const std::string& raw, FinishReason finish, int32_t stop) {
    const std::vector<int32_t> ids = tokenizer.encode_with_control(raw);
    engine.set_script([ids, finish, stop](const Request& request) {
      std::vector<TokenEvent> events;
      for (const int32_t id : ids) events.push_back(token(request, 0, id));
      if (finish == FinishReason::stop) events.push_back(token(request, 0, stop));
      events.back().finish = finish;
      return events;
    });
  }

  static TokenEvent token(const Request& request, int choice, int32_t id) {
    TokenEvent event;
    event.choice = choice;
    event.token = id;
    if (request.sampling.n_logprobs >= 0) {
      event.logprob = -0.5F;
      for (int i = 0; i < request.sampling.n_logprobs; ++i) {
        event.top.push_back({id + i, -0.5F - static_cast<float>(i)});
      }
    }
    return event;
  }

  static ServiceOptions options() {
    ServiceOptions options;
    options.model_names = {"tiny", "alias"};
    options.max_model_len = kWorldContext;
    options.ping_interval_s = 0;
    return options;
  }
};

inline nlohmann::json chat_request(const std::string& text = "Hi") {
  auto body = nlohmann::json::parse(R"({"model":"tiny","messages":[{"role":"user"}]})");
  body["messages"][0]["content"] = text;
  return body;
}

class TextBody : public BodyWriter {
 public:
  bool write(std::string_view bytes) override {
    text.append(bytes);
    return true;
  }
  bool client_gone() override { return false; }
  void close_connection() override { closed = true; }

  std::string text;
  bool closed = false;
};

using Endpoint = HttpResponse (*)(const HttpRequest&, const Service&);

inline HttpRequest post(const nlohmann::json& body) {
  HttpRequest request;
  request.method = "POST";
  request.id = "test";
  request.body = body.dump();
  return request;
}

inline nlohmann::json call(Endpoint endpoint, const ApiWorld& world, const nlohmann::json& body) {
  return nlohmann::json::parse(endpoint(post(body), world.service).body);
}

// The JSON of every frame of a stream; the last "frame" must be the end mark and is left out.
inline std::vector<nlohmann::json> frames(const std::string& text) {
  std::vector<nlohmann::json> out;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = text.find("\n\n", at);
    if (end == std::string::npos) throw std::runtime_error("a frame without end");
    const std::string line = text.substr(at, end - at);
    at = end + 2;
    if (line.starts_with(":")) continue;
    if (!line.starts_with("data: ")) throw std::runtime_error("no data line: " + line);
    if (line == "data: [DONE]") {
      if (at != text.size()) throw std::runtime_error("text behind the end mark");
      return out;
    }
    out.push_back(nlohmann::json::parse(line.substr(6)));
  }
  throw std::runtime_error("no end mark");
}

inline std::vector<nlohmann::json> call_stream(Endpoint endpoint, const ApiWorld& world,
                                               nlohmann::json body) {
  body["stream"] = true;
  const HttpResponse response = endpoint(post(body), world.service);
  TextBody text;
  response.stream(text);
  return frames(text.text);
}

// The error that a call ends with.
inline ApiError error_of(Endpoint endpoint, const ApiWorld& world, const nlohmann::json& body) {
  try {
    endpoint(post(body), world.service);
  } catch (const ApiError& error) {
    return error;
  }
  ApiError none;
  none.status = 200;
  return none;
}

}  // namespace lapidary
