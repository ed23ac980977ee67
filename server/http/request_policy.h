// What a request's head must satisfy before anything else looks at it: framing without two
// meanings, no compressed or multipart bodies, a body that is not too large, and, when the server
// listens on loopback, a Host that is this machine (a web page whose name was re-bound to
// 127.0.0.1 must not reach a local server). Pure, any thread.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/api_error.h"

namespace lapidary {

struct RequestHead {
  std::string_view method;
  std::string_view version;  // "HTTP/1.1"
  // All values of a header, any case of its name.
  std::function<std::vector<std::string>(const char* name)> values;
};

struct RequestPolicy {
  size_t max_body_bytes = 4 << 20;
  // Names that a Host header may give, without port; empty: any.
  std::vector<std::string> allowed_hosts;

  // Nothing when the request may go on.
  std::optional<ApiError> check(const RequestHead& head) const;

  // For a server that listens on `host`.
  static std::vector<std::string> hosts_of(const std::string& host);
};

// A request id that is fit for headers and logs: 1 to 128 of [A-Za-z0-9._:-].
bool is_request_id(std::string_view id);
std::string new_request_id();  // "req_" and 32 random hexadecimal digits

// `n` random hexadecimal digits.
std::string random_hex(size_t n);

}  // namespace lapidary
