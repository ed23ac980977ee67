#include "server/http/request_policy.h"

#include <algorithm>
#include <cctype>
#include <random>

namespace lapidary {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// "example.com:8000" and "[::1]:8000" without their port.
std::string host_name(std::string_view host) {
  const size_t bracket = host.find(']');
  const size_t colon = host.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  return lower(has_port ? host.substr(0, colon) : host);
}

bool is_length(std::string_view text) {
  return !text.empty() && text.size() <= 18 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
}

std::optional<ApiError> check_framing(const RequestHead& head, size_t max_body_bytes) {
  const auto lengths = head.values("Content-Length");
  const auto encodings = head.values("Transfer-Encoding");
  if (lengths.size() > 1 || encodings.size() > 1 || (!lengths.empty() && !encodings.empty())) {
    return api_error::bad_http(400, "invalid_request", "The request's length is given twice.");
  }
  if (!encodings.empty() && lower(encodings[0]) != "chunked") {
    return api_error::bad_http(400, "invalid_request",
                               "The only Transfer-Encoding accepted is chunked.");
  }
  if (!lengths.empty() && !is_length(lengths[0])) {
    return api_error::bad_http(400, "invalid_request", "Content-Length is not a number.");
  }
  if (!lengths.empty() && std::stoull(lengths[0]) > max_body_bytes) {
    return api_error::body_too_large(max_body_bytes);
  }
  if (head.method == "POST" && lengths.empty() && encodings.empty()) {
    return api_error::bad_http(411, "invalid_request", "The request has no Content-Length.");
  }
  return std::nullopt;
}

std::optional<ApiError> check_media(const RequestHead& head) {
  for (const std::string& encoding : head.values("Content-Encoding")) {
    if (lower(encoding) == "identity") continue;
    return api_error::bad_http(415, "unsupported_content_encoding",
                               "Compressed request bodies are not accepted.");
  }
  for (const std::string& type : head.values("Content-Type")) {
    if (!lower(type).starts_with("multipart/")) continue;
    return api_error::bad_http(415, "unsupported_content_type",
                               "The body must be JSON (Content-Type: application/json).");
  }
  return std::nullopt;
}

}  // namespace

std::optional<ApiError> RequestPolicy::check(const RequestHead& head) const {
  const auto hosts = head.values("Host");
  if (hosts.size() > 1 || (hosts.empty() && head.version == "HTTP/1.1")) {
    return api_error::bad_http(400, "invalid_request", "The request needs one Host header.");
  }
  if (!allowed_hosts.empty() && !hosts.empty() &&
      std::find(allowed_hosts.begin(), allowed_hosts.end(), host_name(hosts[0])) ==
          allowed_hosts.end()) {
    return api_error::bad_http(403, "host_not_allowed",
                               "This server listens on loopback only and answers to local names "
                               "only; start it with another --host to serve others.");
  }
  if (auto error = check_framing(head, max_body_bytes)) return error;
  return check_media(head);
}

std::vector<std::string> RequestPolicy::hosts_of(const std::string& host) {
  const bool loopback =
      host == "localhost" || host == "::1" || host == "[::1]" || host.starts_with("127.");
  if (!loopback) return {};
  return {"localhost", "127.0.0.1", "[::1]", lower(host)};
}

bool is_request_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '_' || c == ':' || c == '-';
  });
}

std::string random_hex(size_t n) {
  thread_local std::mt19937_64 generator{std::random_device{}()};
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(n);
  uint64_t bits = 0;
  for (size_t i = 0; i < n; ++i) {
    if (i % 16 == 0) bits = generator();
    out += kDigits[bits & 15];
    bits >>= 4;
  }
  return out;
}

std::string new_request_id() { return "req_" + random_hex(32); }

}  // namespace lapidary
