// Every hostile request of the corpus gets the documented answer, and a good one works right after
// it, on a new connection. A line of the corpus is an object: `name`; what is sent: `set` and
// `drop` on a good chat request, or `json`, `text` or `bytes` (the body), or `repeat` (a body of
// prefix, unit, count, suffix), or `raw` and `raw_repeat` (the whole of what goes over the wire);
// `path` where it is another; and what must come: `status`, `code`, `param` (absent: null).

#include <fstream>
#include <string>

#include "tests/server/running_server.h"

// Last: the CHECK of Catch2 is wanted here, not that of kernels/check.h.
#include "tests/catch.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

std::string repeated(const Json& parts) {
  std::string text = parts[0];
  const std::string unit = parts[1];
  for (int i = 0; i < parts[2].get<int>(); ++i) text += unit;
  return text + parts[3].get<std::string>();
}

std::string body_of(const Json& row) {
  if (row.contains("json")) return row["json"].dump();
  if (row.contains("text")) return row["text"];
  if (row.contains("repeat")) return repeated(row["repeat"]);
  if (row.contains("bytes")) {
    std::string text;
    for (const Json& byte : row["bytes"]) text += static_cast<char>(byte.get<int>());
    return text;
  }
  Json body = chat_request();
  for (const Json& name : row.value("drop", Json::array())) body.erase(name.get<std::string>());
  body.update(row.value("set", Json::object()));
  return body.dump();
}

std::string wire_of(const Json& row) {
  if (row.contains("raw")) return row["raw"];
  if (row.contains("raw_repeat")) return repeated(row["raw_repeat"]);
  return RawClient::post(row.value("path", "/v1/chat/completions"), body_of(row));
}

void check_error(const Json& row, const RawAnswer& answer) {
  CHECK(answer.header("content-type") == "application/json");
  REQUIRE_NOTHROW(Json::parse(answer.body));
  const Json error = Json::parse(answer.body).value("error", Json::object());
  CHECK(error.size() == 4);
  CHECK(error.value("message", "") != "");
  CHECK(answer.body.size() < 1500);
  CHECK(error["code"] == row.value("code", Json()));
  CHECK(error["param"] == row.value("param", Json()));
  CHECK(error["type"] == "invalid_request_error");
}

}  // namespace

TEST_CASE("hostile requests get the documented answer and harm nobody", "[server]") {
  RunningServer server;
  std::ifstream corpus(std::string(LAPIDARY_SOURCE_DIR) + "/tests/server/hostile/requests.jsonl");
  int n = 0;
  for (std::string line; std::getline(corpus, line); ++n) {
    const Json row = Json::parse(line);
    CAPTURE(row["name"].get<std::string>());
    RawClient client(server.port);
    client.send(wire_of(row));
    const RawAnswer answer = client.read();
    CHECK(answer.status == row["status"].get<int>());
    CHECK(answer.header("x-request-id").starts_with("req_"));
    if (answer.status != 200) check_error(row, answer);

    RawClient good(server.port);
    REQUIRE(good.ask(RawClient::post("/v1/chat/completions", chat_request().dump())).status == 200);
  }
  CHECK(n >= 150);
}

}  // namespace lapidary
