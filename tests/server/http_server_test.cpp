// The HTTP side over real sockets: framing, keep-alive, limits, clients that leave.

#include <string>
#include <thread>
#include <vector>

#include "server/http/request_policy.h"
#include "tests/server/running_server.h"

// Last: the CHECK of Catch2 is wanted here, not that of kernels/check.h.
#include "tests/catch.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

std::string chat(bool stream = false) {
  Json body = chat_request();
  if (stream) body["stream"] = true;
  return RawClient::post("/v1/chat/completions", body.dump());
}

Json error_in(const RawAnswer& answer) { return Json::parse(answer.body).at("error"); }

}  // namespace

TEST_CASE("one connection takes whole answers and streams in turns", "[server]") {
  RunningServer server;
  RawClient client(server.port);
  for (int i = 0; i < 20; ++i) {
    const RawAnswer whole = client.ask(chat());
    REQUIRE(whole.status == 200);
    CHECK(whole.header("content-type") == "application/json");
    const RawAnswer streamed = client.ask(chat(true));
    REQUIRE(streamed.status == 200);
    CHECK(streamed.header("content-type") == "text/event-stream");
    CHECK(streamed.header("cache-control") == "no-cache");
    CHECK(streamed.header("x-accel-buffering") == "no");
    std::string content;
    for (const Json& chunk : frames(streamed.body)) {
      content += chunk["choices"][0]["delta"].value("content", "");
    }
    CHECK(content == Json::parse(whole.body)["choices"][0]["message"]["content"]);
  }
}

TEST_CASE("pipelined requests are answered in order", "[server]") {
  RunningServer server;
  RawClient client(server.port);
  REQUIRE(client.send(chat(true) + RawClient::get("/health") + chat()));
  CHECK(client.read().header("content-type") == "text/event-stream");
  CHECK(client.read().body == "{\"status\":\"ok\"}");
  CHECK(Json::parse(client.read().body)["object"] == "chat.completion");
}

TEST_CASE("answers are never compressed and ranges are ignored", "[server]") {
  RunningServer server;
  RawClient client(server.port);
  const RawAnswer answer = client.ask(
      RawClient::get("/v1/models", "Accept-Encoding: br, gzip\r\nRange: bytes=0-3,5-9\r\n"));
  CHECK(answer.status == 200);
  CHECK(answer.header("content-encoding") == "");
  CHECK_NOTHROW(Json::parse(answer.body));
}

TEST_CASE("request ids come back when they are sane, and are made otherwise", "[server]") {
  RunningServer server;
  RawClient client(server.port);
  CHECK(client.ask(RawClient::get("/health", "X-Request-Id: abc-1.2:3_4\r\n"))
            .header("x-request-id") == "abc-1.2:3_4");
  for (const std::string& bad : std::vector<std::string>{std::string(129, 'a'), "a b", "<x>"}) {
    const std::string id = client.ask(RawClient::get("/health", "X-Request-Id: " + bad + "\r\n"))
                               .header("x-request-id");
    CHECK(id.starts_with("req_"));
    CHECK(id.size() == 36);
  }
}

TEST_CASE("unknown paths and methods are errors in the usual form", "[server]") {
  RunningServer server;
  RawClient client(server.port);
  const RawAnswer unknown = client.ask(RawClient::get("/v1/nothing"));
  CHECK(unknown.status == 404);
  CHECK(error_in(unknown)["code"] == "unknown_url");
  const RawAnswer method = client.ask(RawClient::get("/v1/chat/completions"));
  CHECK(method.status == 405);
  CHECK(method.header("allow") == "POST");
  CHECK(error_in(method)["type"] == "invalid_request_error");
  CHECK(client.ask(RawClient::get("/v1/models/tiny")).status == 200);
  CHECK(client.ask(RawClient::get("/v1/models/other")).status == 404);
}

TEST_CASE("a server on loopback answers to local names only", "[server]") {
  RunningServer server;
  const auto status = [&](const std::string& host) {
    RawClient client(server.port);
    return client.ask("GET /health HTTP/1.1\r\nHost: " + host + "\r\n\r\n").status;
  };
  CHECK(status("localhost:8000") == 200);
  CHECK(status("127.0.0.1") == 200);
  CHECK(status("[::1]:80") == 200);
  CHECK(status("evil.example") == 403);
  CHECK(status("localhost.evil.example:80") == 403);
  CHECK(RequestPolicy::hosts_of("0.0.0.0").empty());
}

TEST_CASE("a body that nobody reads is not taken for the next request", "[server]") {
  RunningServer server;
  const std::string smuggled = RawClient::get("/v1/models");
  RawClient client(server.port);
  const RawAnswer answer =
      client.ask("GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                 std::to_string(smuggled.size()) + "\r\n\r\n" + smuggled);
  CHECK(answer.status == 200);
  CHECK(answer.header("connection") == "close");
  CHECK(client.read().status == 0);
}

TEST_CASE("a chunked request body is read, within the limit", "[server]") {
  RunningServer server;
  RawClient client(server.port);
  const std::string head =
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string body = chat_request().dump();
  std::string chunks;
  for (const char c : body) chunks += std::string("1\r\n") + c + "\r\n";
  CHECK(client.ask(head + chunks + "0\r\n\r\n").status == 200);
  RawClient large(server.port);
  std::string flood = head;
  for (int i = 0; i < 40; ++i) flood += "8000\r\n" + std::string(0x8000, ' ') + "\r\n";
  CHECK(large.ask(flood + "0\r\n\r\n").status == 413);
}

TEST_CASE("a slow head and a slow body lose their thread", "[server]") {
  RunningServer server;
  RawClient head(server.port);
  head.send("POST /v1/chat/completions HTT");
  CHECK(head.hangs_up());
  RawClient body(server.port);
  body.send("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{");
  CHECK(body.read().status == 408);
  RawClient fields(server.port);
  fields.send("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n");
  CHECK(fields.read().status == 408);
  CHECK(RawClient(server.port).ask(chat()).status == 200);
}

TEST_CASE("a client that leaves cancels its request in every phase", "[server]") {
  RunningServer server;
  server.world.engine.set_pause(milliseconds(20));
  server.world.say("one two three four five six seven eight nine ten eleven twelve");
  SECTION("before the first token of a stream") {
    server.world.engine.set_pause(milliseconds(60'000));
    RawClient client(server.port);
    client.send(chat(true));
    REQUIRE(eventually([&] { return server.world.engine.running() == 1; }));
    client.close();
    CHECK(eventually([&] { return server.world.engine.running() == 0; }));
    CHECK(server.world.engine.n_cancelled() == 1);
  }
  SECTION("in the middle of a stream") {
    RawClient client(server.port);
    client.send(chat(true));
    REQUIRE(client.read_until("\"content\":"));
    client.close();
    CHECK(eventually([&] { return server.world.engine.running() == 0; }));
    CHECK(server.world.engine.n_cancelled() == 1);
  }
  SECTION("while it waits for a whole answer") {
    server.world.engine.set_pause(milliseconds(60'000));
    RawClient client(server.port);
    client.send(chat());
    REQUIRE(eventually([&] { return server.world.engine.running() == 1; }));
    client.close();
    CHECK(eventually([&] { return server.world.engine.running() == 0; }));
    CHECK(server.world.engine.n_cancelled() == 1);
  }
  CHECK(eventually([&] { return server.active_requests() == 0; }));
}

TEST_CASE("comments keep a stream open while no token comes", "[server]") {
  RunningServer server;
  server.world.service.options.ping_interval_s = 0.05;
  server.world.engine.set_pause(milliseconds(400));
  server.world.say("a");
  RawClient client(server.port);
  const RawAnswer answer = client.ask(chat(true));
  CHECK(answer.body.find(": keep-alive\n\n") != std::string::npos);
  CHECK(answer.body.find("data: ") > answer.body.find(": keep-alive"));
  CHECK(frames(answer.body).size() >= 3);
}

TEST_CASE("connections beyond the limit are refused at once, and the others go on", "[server]") {
  HttpOptions options = RunningServer::fast_options();
  options.max_connections = 3;
  RunningServer server(options);
  std::vector<std::unique_ptr<RawClient>> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(std::make_unique<RawClient>(server.port));
    REQUIRE(held.back()->ask(chat()).status == 200);
  }
  for (int i = 0; i < 5; ++i) {
    RawClient extra(server.port);
    const RawAnswer answer = extra.ask(chat());
    CHECK(answer.status == 503);
    CHECK(answer.header("retry-after") == "1");
    CHECK(error_in(answer)["code"] == "engine_overloaded");
    CHECK(extra.hangs_up());
  }
  CHECK(held[1]->ask(chat()).status == 200);
  held[0]->close();
  CHECK(eventually([&] { return RawClient(server.port).ask(chat()).status == 200; }));
}

TEST_CASE("a refused request carries Retry-After", "[server]") {
  RunningServer server;
  server.world.engine.refuse_with(Refusal::queue_full);
  RawClient client(server.port);
  const RawAnswer answer = client.ask(chat());
  CHECK(answer.status == 503);
  CHECK(answer.header("retry-after") == "1");
  server.world.engine.refuse_with(std::nullopt);
  CHECK(client.ask(chat()).status == 200);
}

TEST_CASE("an answer that its grammar cannot carry on tells clients not to retry", "[server]") {
  RunningServer server;
  server.world.engine.set_script([](const Request& request) {
    TokenEvent last = ApiWorld::token(request, 0, -1);
    last.finish = FinishReason::failed;
    return std::vector<TokenEvent>{last};
  });
  RawClient client(server.port);
  const RawAnswer answer = client.ask(chat());
  CHECK(answer.status == 500);
  CHECK(answer.header("x-should-retry") == "false");
}

TEST_CASE("stopping ends idle connections and finishes running answers", "[server]") {
  RunningServer server;
  server.world.engine.set_pause(milliseconds(30));
  RawClient idle(server.port);
  REQUIRE(idle.ask(RawClient::get("/health")).status == 200);
  RawClient busy(server.port);
  busy.send(chat(true));
  REQUIRE(busy.read_until("\"content\":"));
  server.stop();
  CHECK(busy.read_until("data: [DONE]"));
  CHECK(idle.hangs_up());
}

TEST_CASE("HTTP/1.0 clients get a stream that ends with the connection", "[server]") {
  RunningServer server;
  RawClient client(server.port);
  Json body = chat_request();
  body["stream"] = true;
  const std::string text = body.dump();
  client.send("POST /v1/chat/completions HTTP/1.0\r\nContent-Length: " +
              std::to_string(text.size()) + "\r\n\r\n" + text);
  const RawAnswer answer = client.read();
  CHECK(answer.header("transfer-encoding") == "");
  CHECK(frames(answer.body).size() >= 3);
}

}  // namespace lapidary
