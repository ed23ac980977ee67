// The listener: routes requests to handlers, applies the limits, turns ApiErrors into bodies (the
// one place where that happens) and streams answers. Each connection has a thread of its own for
// as long as it is open, so the number of connections is the limit on streams. The only users of
// the HTTP library are this class's own source file.
// Refuses at once, with 503 and Retry-After, connections beyond the limit, and those of one
// address beyond half of it (http/peer_limit.h).
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "server/api/api_error.h"
#include "server/http/connection.h"
#include "server/http/http_types.h"

namespace lapidary {

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 8000;  // 0: any free one
  size_t max_connections = 1024;
  size_t max_requests_per_connection = 1000;
  ConnectionLimits limits;
};

class HttpServer {
 public:
  explicit HttpServer(HttpOptions options);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Before bind(). `path` is exact, or ends in "/*": anything below it. GET also answers HEAD.
  // Whatever goes wrong with a request of this path is told in `form`.
  void route(const std::string& method, const std::string& path, HttpHandler handler,
             ErrorForm form = ErrorForm::openai);

  // Takes the address; returns the port. Throws StartupError.
  int bind();
  // Serves until stop(); returns when every connection has ended. False: nobody stopped it, the
  // listening socket failed.
  bool run();
  // From any thread, also before run(). Requests that are being answered are finished first;
  // uploads that are not complete are cut.
  void stop();

  // Requests whose answer is not complete yet.
  int active_requests() const;

 private:
  class Listener;
  std::unique_ptr<Listener> listener_;
};

}  // namespace lapidary
