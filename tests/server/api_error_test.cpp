// The error object, and when the server's own trouble becomes which one.

#include <string>

#include <nlohmann/json.hpp>

#include "server/api/chat_completions.h"
#include "server/api/completions.h"
#include "server/api/health.h"
#include "server/api/json_text.h"
#include "server/api/models.h"
#include "tests/catch.h"
#include "tests/server/api_world.h"

namespace lapidary {

using Json = nlohmann::json;

TEST_CASE("an error's body has all four keys and null for what is empty", "[server]") {
  const Json error = Json::parse(api_error::internal().body())["error"];
  CHECK(error.size() == 4);
  CHECK(error["type"] == "server_error");
  CHECK(error["code"].is_null());
  CHECK(error["param"].is_null());
  const Json above = Json::parse(api_error::integer_above_max("n", 8, "9").body())["error"];
  CHECK(above["message"] ==
        "Invalid 'n': integer above maximum value. Expected a value <= 8, but got 9 instead.");
  CHECK(above["param"] == "n");
}

TEST_CASE("errors echo at most a little of what was sent, as valid UTF-8", "[server]") {
  const std::string huge(10'000, 'x');
  CHECK(api_error::model_not_found(huge).message.size() < 300);
  CHECK(api_error::invalid_value(huge, "no.").body().size() < 600);
  const ApiError error = api_error::unknown_url("G\xFFT", "/\xC3\x28\x80");
  CHECK_NOTHROW(Json::parse(error.body()));
}

TEST_CASE("JSON strings are escaped so that any parser reads them back", "[server]") {
  std::string text = "quote\" back\\ slash/ \xE2\x80\xA8 \xF0\x9F\x92\x8E";
  for (char c = 0; c < 0x20; ++c) text += c;
  text += '\x7F';
  std::string out;
  append_json_string(out, text);
  CHECK(Json::parse(out) == text);
  CHECK(out.find('\n') == std::string::npos);
}

TEST_CASE("a full queue, a drain and a hopeless length have their statuses", "[server]") {
  ApiWorld world;
  world.engine.refuse_with(Refusal::queue_full);
  ApiError error = error_of(handle_chat_completions, world, chat_request());
  CHECK(error.status == 503);
  CHECK(error.type == "server_error");
  CHECK(error.code == "engine_overloaded");
  CHECK(error.retry_after_s >= 1);
  world.engine.refuse_with(Refusal::draining);
  CHECK(error_of(handle_chat_completions, world, chat_request()).status == 503);
  world.engine.refuse_with(Refusal::too_long);
  error = error_of(handle_completions, world, Json::parse(R"({"model":"tiny","prompt":"x"})"));
  CHECK(error.status == 400);
  CHECK(error.code == "context_length_exceeded");
  CHECK(error.param == "prompt");
  world.engine.refuse_with(std::nullopt);
  CHECK(error_of(handle_chat_completions, world, chat_request()).status == 200);
}

TEST_CASE("when one of several prompts is refused the others do not run on", "[server]") {
  ApiWorld world;
  int n = 0;
  const auto submit = world.service.submit;
  world.service.submit = [&](Request request) -> Submission {
    if (++n == 3) return Refusal::queue_full;
    return submit(std::move(request));
  };
  world.engine.set_pause(std::chrono::milliseconds(10'000));
  const Json body = Json::parse(R"({"model":"tiny","prompt":["a","b","c"]})");
  CHECK(error_of(handle_completions, world, body).status == 503);
  while (world.engine.running() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(world.engine.n_cancelled() == 2);
}

TEST_CASE("a draining server refuses work and says so at /ready", "[server]") {
  ApiWorld world;
  CHECK(handle_ready({}, world.service).status == 200);
  world.service.draining = true;
  CHECK(handle_ready({}, world.service).status == 503);
  CHECK(handle_health({}, world.service).status == 200);
  const ApiError error = error_of(handle_chat_completions, world, chat_request());
  CHECK(error.status == 503);
  CHECK(error.retry_after_s >= 1);
}

TEST_CASE("a request that takes too long is stopped and its pages go back", "[server]") {
  ApiWorld world;
  world.service.options.request_timeout_s = 0.05;
  world.engine.set_pause(std::chrono::milliseconds(10'000));
  const ApiError error = error_of(handle_chat_completions, world, chat_request());
  CHECK(error.status == 504);
  while (world.engine.running() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(world.engine.n_cancelled() == 1);
}

TEST_CASE("a client that left cancels an answer that is not streamed", "[server]") {
  ApiWorld world;
  world.engine.set_pause(std::chrono::milliseconds(10'000));
  HttpRequest request = post(chat_request());
  request.client_gone = [] { return true; };
  CHECK_THROWS_AS(handle_chat_completions(request, world.service), ApiError);
  while (world.engine.running() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(world.engine.n_cancelled() == 1);
}

TEST_CASE("models are listed under every name, with their context", "[server]") {
  ApiWorld world;
  const Json list = Json::parse(handle_models({}, world.service).body);
  CHECK(list["data"].size() == 2);
  CHECK(list["data"][0]["id"] == "tiny");
  CHECK(list["data"][1]["id"] == "alias");
  CHECK(list["data"][0]["max_model_len"] == kWorldContext);
  HttpRequest request;
  request.path = "/v1/models/alias";
  CHECK(Json::parse(handle_model(request, world.service).body)["id"] == "alias");
  request.path = "/v1/models/google/nothing";
  CHECK_THROWS_AS(handle_model(request, world.service), ApiError);
}

}  // namespace lapidary
