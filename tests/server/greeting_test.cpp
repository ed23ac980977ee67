// What serve prints: lines that can be pasted, logs that can be parsed.

#include "server/greeting.h"

#include <spdlog/details/log_msg.h>
#include <nlohmann/json.hpp>

#include "server/json_log.h"
#include "tests/catch.h"

namespace lapidary {

TEST_CASE("the printed URL is valid for every host", "[server]") {
  CHECK(server_url("localhost", 80) == "http://localhost:80");
  CHECK(server_url("0.0.0.0", 8000) == "http://127.0.0.1:8000");
  CHECK(server_url("::", 8000) == "http://[::1]:8000");
  CHECK(server_url("fe80::1", 8000) == "http://[fe80::1]:8000");
  CHECK(server_url("[::1]", 8000) == "http://[::1]:8000");
}

TEST_CASE("the printed command survives any model name", "[server]") {
  const std::string text = greeting("http://[::1]:1", "it's \"x\"", 512);
  CHECK(text.find("curl -g 'http://[::1]:1/v1/chat/completions'") != std::string::npos);
  CHECK(text.find(R"(-d '{"model": "it'\''s \"x\"", )") != std::string::npos);
}

TEST_CASE("a JSON log line is JSON whatever the message holds", "[server]") {
  const auto formatter = json_log_formatter();
  for (const std::string& message :
       std::vector<std::string>{"plain", "a \"b\" \\ \n\x01", "\xff\xfe"}) {
    spdlog::memory_buf_t line;
    formatter->format(spdlog::details::log_msg("x", spdlog::level::info, message), line);
    const std::string text(line.data(), line.size());
    CHECK(text.find('\n') == text.size() - 1);
    const auto json = nlohmann::json::parse(text);
    CHECK(json["level"] == "info");
    if (message.front() != '\xff') CHECK(json["message"] == message);
  }
}

}  // namespace lapidary
