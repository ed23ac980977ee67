// The whole HTTP side over a scripted engine, listening on a free port of loopback.
#pragma once

#include <thread>
#include <utility>

#include <spdlog/spdlog.h>

#include "server/api/routes.h"
#include "server/http/http_server.h"
#include "tests/server/api_world.h"
#include "tests/server/raw_client.h"

namespace lapidary {

class RunningServer {
 public:
  explicit RunningServer(HttpOptions options = fast_options()) : server_(std::move(options)) {
    spdlog::set_level(spdlog::level::warn);
    add_routes(server_, world.service);
    port = server_.bind();
    thread_ = std::thread([this] { ended_well_ = server_.run(); });
  }
  ~RunningServer() { stop(); }

  void stop() {
    if (!thread_.joinable()) return;
    server_.stop();
    thread_.join();
  }
  // Waits until the server ends by itself; what run() returned.
  bool wait() {
    thread_.join();
    return ended_well_;
  }
  int active_requests() const { return server_.active_requests(); }

  // Short limits, so that tests of them are short.
  static HttpOptions fast_options() {
    HttpOptions options;
    options.port = 0;
    options.max_connections = 64;
    options.limits.head_time = std::chrono::milliseconds(300);
    options.limits.grace = std::chrono::milliseconds(400);
    options.limits.body_bytes = 1 << 20;
    return options;
  }

  ApiWorld world;
  int port = 0;

 private:
  HttpServer server_;
  std::thread thread_;
  bool ended_well_ = false;
};

// Waits for something that another thread does; false after ten seconds.
template <typename Condition>
bool eventually(const Condition& condition) {
  for (int i = 0; i < 10'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

}  // namespace lapidary
