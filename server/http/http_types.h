// What an endpoint sees of HTTP: a request as plain values and an answer, whole or streamed.
// Nothing here knows the HTTP library. A request is handled on one connection thread from first
// to last byte.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lapidary {

struct HttpRequest {
  std::string method;
  std::string path;  // decoded, without the query
  std::string body;
  std::string id;  // the client's X-Request-Id if it is a sane one, else ours
  // The client closed its connection (or its sending half): nobody will read the answer. Costs
  // one system call.
  std::function<bool()> client_gone = [] { return false; };
};

// The open body of a streamed answer.
class BodyWriter {
 public:
  virtual ~BodyWriter() = default;
  // Sends all of it. False once the client is gone or takes too long; then stop.
  virtual bool write(std::string_view bytes) = 0;
  virtual bool client_gone() = 0;
  // The connection ends with this body: what was sent of it is not a complete answer.
  virtual void close_connection() = 0;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  // When set: called once with the open body, on the same thread, after the headers went out;
  // `body` is then unused. Must not throw.
  std::function<void(BodyWriter&)> stream;
};

// May throw ApiError.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

}  // namespace lapidary
