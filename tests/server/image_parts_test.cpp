// Images in chat requests: from data: URLs to the engine's spans, with a decoder that a test
// scripts, and every refusal on the way.
#include "server/api/image_parts.h"

#include <atomic>
#include <random>
#include <thread>

#include "server/api/chat_completions.h"
#include "server/api/data_url.h"
#include "server/api/tokenize.h"
#include "tests/catch.h"
#include "tests/server/api_world.h"

namespace lapidary {
namespace {

using nlohmann::json;

// Files are "WIDTHxHEIGHT", or "bad" and "busy".
std::variant<DecodedImage, MediaRefusal> scripted_image(std::span<const uint8_t> file,
                                                        const MediaLimits&) {
  const std::string text(file.begin(), file.end());
  if (text == "bad") return MediaRefusal{MediaFault::damaged, "The image is damaged."};
  if (text == "busy") return MediaRefusal{MediaFault::busy, "Nobody is free."};
  DecodedImage image;
  image.width = std::stoi(text);
  image.height = std::stoi(text.substr(text.find('x') + 1));
  for (int i = 0; i < image.width * image.height * 3; ++i) {
    image.rgb.push_back(static_cast<uint8_t>(i * 7));
  }
  return image;
}

struct ImageWorld : ApiWorld {
  ImageWorld() {
    config.vision = VisionConfig{.hidden = 8, .n_positions = 400};
    service.decode_image = scripted_image;
  }
};

std::string base64(const std::string& bytes) {
  static constexpr char kAlphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (k < n ? static_cast<uint8_t>(bytes[i + k]) : 0U);
    }
    for (size_t k = 0; k < 4; ++k) {
      out += k <= n ? kAlphabet[bits >> (18 - 6 * k) & 63] : '=';
    }
  }
  return out;
}

json image(const std::string& file, json fields = json::object()) {
  fields["url"] = "data:image/png;base64," + base64(file);
  return {{"type", "image_url"}, {"image_url", fields}};
}

json text(const std::string& said) { return {{"type", "text"}, {"text", said}}; }

json request_of(json parts) {
  json body = chat_request();
  body["messages"][0]["content"] = std::move(parts);
  body["max_tokens"] = 3;
  return body;
}

ApiError refusal(json parts) {
  ImageWorld world;
  const ApiError error = error_of(handle_chat_completions, world, request_of(std::move(parts)));
  CHECK(world.engine.n_requests() == 0);
  return error;
}

}  // namespace

TEST_CASE("images become soft tokens where they stand among the texts", "[server][media]") {
  ImageWorld world;
  const int32_t begin = *world.tokenizer.control_id("<|image>");
  const int32_t soft = *world.tokenizer.control_id("<|image|>");
  const int32_t end = *world.tokenizer.control_id("<image|>");
  const json body =
      request_of({text("A"), image("96x96", {{"detail", "low"}}), text("B"),
                  image("200x90", {{"max_soft_tokens", 70}}), image("96x96", {{"detail", "low"}})});
  const json answer = call(handle_chat_completions, world, body);
  const Request request = world.engine.last_request();
  REQUIRE(request.media.size() == 3);
  const int counts[] = {64, 60, 64};
  int n_soft = 0;
  for (size_t i = 0; i < 3; ++i) {
    const MediaSpan& span = request.media[i];
    INFO(i);
    REQUIRE(span.count == counts[i]);
    CHECK(n_soft_tokens(span.image->size) == span.count);
    CHECK(request.tokens[static_cast<size_t>(span.first) - 1] == begin);
    CHECK(request.tokens[static_cast<size_t>(span.end())] == end);
    for (int at = span.first; at < span.end(); ++at) {
      REQUIRE(request.tokens[static_cast<size_t>(at)] == soft);
    }
    n_soft += span.count;
  }
  CHECK(std::count(request.tokens.begin(), request.tokens.end(), soft) == n_soft);
  CHECK(request.media[0].fingerprint == request.media[2].fingerprint);
  CHECK(request.media[0].fingerprint != request.media[1].fingerprint);
  const json& usage = answer["usage"];
  CHECK(usage["prompt_tokens_details"]["image_tokens"] == n_soft);
  CHECK(usage["prompt_tokens"] == static_cast<int>(request.tokens.size()));
  // What /tokenize shows is what runs.
  const json tokens = call(handle_tokenize, world, body);
  CHECK(tokens["tokens"].get<std::vector<int32_t>>() == request.tokens);
}

TEST_CASE("who asks for nothing gets 280 soft tokens, or what the server allows",
          "[server][media]") {
  const auto count = [](json part, int most, json kwargs = nullptr) {
    ImageWorld world;
    world.service.options.max_image_tokens = most;
    world.service.options.max_model_len = 4000;
    json body = request_of({std::move(part)});
    if (!kwargs.is_null()) body["mm_processor_kwargs"] = std::move(kwargs);
    call(handle_chat_completions, world, body);
    return world.engine.last_request().media.at(0).count;
  };
  CHECK(count(image("96x96"), 1120) == 256);
  CHECK(count(image("96x96", {{"detail", "auto"}}), 1120) == 256);
  CHECK(count(image("96x96", {{"detail", "high"}}), 1120) == 1089);
  CHECK(count(image("96x96", {{"detail", "high"}}), 280) == 256);
  CHECK(count(image("96x96"), 140) == 121);
  CHECK(count(image("96x96", {{"detail", "high"}, {"max_soft_tokens", 560}}), 1120) == 529);
  CHECK(count(image("96x96"), 1120, {{"max_soft_tokens", 70}}) == 64);
  CHECK(count({{"type", "image_url"}, {"image_url", image("96x96")["image_url"]["url"]}}, 1120) ==
        256);
}

TEST_CASE("an image that cannot be taken is one clear answer", "[server][media]") {
  const std::string param = "messages[0].content[0].image_url.url";
  const auto with_url = [](const std::string& url) {
    return json{{{"type", "image_url"}, {"image_url", {{"url", url}}}}};
  };
  for (const char* url :
       {"http://169.254.169.254/", "https://example.com/a.png", "file:///etc/passwd", "ftp://x/y",
        "//x/y.png", "HTTP://x", " data:image/png;base64,AAAA", ""}) {
    INFO(url);
    const ApiError error = refusal(with_url(url));
    CHECK(error.status == 400);
    CHECK(error.code == "unsupported_value");
    CHECK(error.param == param);
  }
  for (const char* url : {"data:", "data:image/png", "data:image/png,AAAA", "data:;base64;x,AAAA",
                          "data:image/png;base64,", "data:image/png;base64,A",
                          "data:image/png;base64,AAA A", "data:image/png;base64,AAAA=",
                          "data:image/png;base64,AB==,AB==", "data:image/png;base64,-_-_"}) {
    INFO(url);
    const ApiError error = refusal(with_url(url));
    CHECK(error.status == 400);
    CHECK(error.code == "invalid_value");
    CHECK(error.param == param);
  }
  const ApiError damaged = refusal({image("bad")});
  CHECK(damaged.status == 400);
  CHECK(damaged.param == param);
  CHECK(damaged.message.find("damaged") != std::string::npos);
  CHECK(refusal({image("busy")}).status == 503);
  CHECK(refusal({image("2x4000")}).message.find("elongated") != std::string::npos);
  CHECK(refusal({image("9x9", {{"max_soft_tokens", 100}})}).status == 400);
  CHECK(refusal({image("9x9", {{"detail", "huge"}})}).status == 400);
  CHECK(refusal({{{"type", "image_url"}}}).code == "missing_required_parameter");
  CHECK(refusal({{{"type", "image_url"}, {"image_url", 5}}}).status == 400);
  CHECK(refusal({{{"type", "input_audio"}, {"input_audio", json::object()}}}).code ==
        "unsupported_value");
  json many = json::array();
  for (int i = 0; i < 65; ++i) many.push_back(image("9x9", {{"detail", "low"}}));
  CHECK(refusal(many).message.find("more than 64 images") != std::string::npos);
  json costly = json::array();
  for (int i = 0; i < 20; ++i) costly.push_back(image("9x9", {{"detail", "high"}}));
  CHECK(refusal(costly).message.find("soft tokens together") != std::string::npos);
  CHECK(refusal({image("9x9"), image("9x9")}).code == "context_length_exceeded");
}

TEST_CASE("images belong to users and tools, and to models that see", "[server][media]") {
  for (const char* role : {"system", "assistant"}) {
    const ImageWorld world;
    json body = request_of({image("9x9")});
    body["messages"][0]["role"] = role;
    INFO(role);
    CHECK(error_of(handle_chat_completions, world, body).code == "unsupported_value");
  }
  const ApiWorld blind;
  json with_budget = chat_request();
  with_budget["mm_processor_kwargs"] = {{"max_soft_tokens", 70}};
  CHECK(error_of(handle_chat_completions, blind, with_budget).param == "mm_processor_kwargs");
  const ApiError error = error_of(handle_chat_completions, blind, request_of({image("9x9")}));
  CHECK(error.status == 400);
  CHECK(error.code == "unsupported_value");
  CHECK(error.param == "messages[0].content[0].type");
  CHECK(error.message.find("takes no images") != std::string::npos);
}

TEST_CASE("what images hold is given back, and never more than there is", "[server][media]") {
  ImageWorld world;
  call(handle_chat_completions, world, request_of({image("96x96", {{"detail", "low"}})}));
  CHECK(*world.service.image_bytes == 70 * 48 * 48 * 3);  // the engine's last request is kept
  *world.service.image_bytes = int64_t{1} << 30;
  CHECK(error_of(handle_chat_completions, world, request_of({image("9x9")})).status == 503);
  CHECK(*world.service.image_bytes == int64_t{1} << 30);
  world.service.draining = true;
  CHECK(error_of(handle_chat_completions, world, request_of({image("9x9")})).status == 503);
}

TEST_CASE("pictures take turns, whatever becomes of them", "[server][media]") {
  ImageWorld world;
  std::atomic<int> now = 0, most = 0;
  world.service.decode_image = [&](std::span<const uint8_t> file, const MediaLimits& limits) {
    most = std::max<int>(most, ++now);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    --now;
    return scripted_image(file, limits);
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 12; ++i) {
    threads.emplace_back([&world, i] {
      const json part = image(i % 3 == 0 ? "bad" : "9x9", {{"detail", "low"}});
      error_of(handle_chat_completions, world, request_of({part}));
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(most <= Service::kPicturesAtOnce);
  for (int i = 0; i < Service::kPicturesAtOnce; ++i)
    CHECK(world.service.picture_turns.try_acquire());
}

TEST_CASE("base64 is read strictly and back to the same bytes", "[server][media]") {
  std::mt19937 random(5);
  for (int i = 0; i < 500; ++i) {
    std::string bytes;
    for (int k = 0; k < i % 50; ++k) bytes += static_cast<char>(random());
    const std::string spelled = base64(bytes);
    REQUIRE(decode_base64(spelled) == bytes);
    std::string unpadded = spelled;
    while (unpadded.ends_with('=')) unpadded.pop_back();
    REQUIRE(decode_base64(unpadded) == bytes);
  }
  for (const char* text : {"A", "AB=", "AB===", "A===", "=", "AAA\n", "AB=A", "AC", "AAB"}) {
    INFO(text);
    const auto bytes = decode_base64(text);
    // The last two: bits left over that no byte takes.
    CHECK(!bytes.has_value());
  }
}

}  // namespace lapidary
