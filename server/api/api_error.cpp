#include "server/api/api_error.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "config/utf8.h"
#include "server/api/json_text.h"

namespace lapidary {
namespace {

// What a client sent may be echoed, but not at any length, and only as valid UTF-8 (a path or a
// method may hold any bytes).
std::string shortened(std::string_view text) {
  constexpr size_t kMaxEcho = 120;
  std::string out;
  for (size_t at = 0; at < text.size();) {
    if (out.size() > kMaxEcho) return out + "...";
    const auto length = static_cast<size_t>(read_utf8(text, at).length);
    if (length == 0) {
      out += '?';
    } else {
      out.append(text, at, length);
    }
    at += std::max<size_t>(length, 1);
  }
  return out;
}

std::string number_text(double value) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.10g", value);
  return buffer;
}

ApiError make(int status, std::string_view code, std::string_view param, std::string message) {
  ApiError error;
  error.status = status;
  error.code = code;
  error.param = shortened(param);
  error.message = std::move(message);
  return error;
}

std::string invalid(std::string_view param) { return "Invalid '" + shortened(param) + "': "; }

ApiError unavailable(std::string message) {
  ApiError error = make(503, "engine_overloaded", "", std::move(message));
  error.type = "server_error";
  error.retry_after_s = 1;
  return error;
}

const char* anthropic_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 504:
      return "timeout_error";
    case 529:
      return "overloaded_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

}  // namespace

std::string ApiError::body() const {
  std::string out = "{\"error\":{\"message\":";
  append_json_string(out, message);
  out += ",\"type\":";
  append_json_string(out, type);
  out += ",\"param\":";
  append_json_string_or_null(out, param);
  out += ",\"code\":";
  append_json_string_or_null(out, code);
  out += "}}";
  return out;
}

int ApiError::anthropic_status() const { return code == "engine_overloaded" ? 529 : status; }

std::string ApiError::anthropic_body(std::string_view request_id) const {
  std::string out = "{\"type\":\"error\",\"error\":{\"type\":\"";
  out += anthropic_type(anthropic_status());
  out += "\",\"message\":";
  append_json_string(out, message);
  out += "},\"request_id\":";
  append_json_string_or_null(out, request_id);
  out += '}';
  return out;
}

namespace api_error {

ApiError missing_parameter(std::string_view param) {
  return make(400, "missing_required_parameter", param,
              "Missing required parameter: '" + shortened(param) + "'.");
}

ApiError invalid_type(std::string_view param, std::string_view expected, std::string_view got) {
  return make(400, "invalid_type", param,
              "Invalid type for '" + shortened(param) + "': expected " + std::string(expected) +
                  ", but got " + std::string(got) + " instead.");
}

ApiError invalid_value(std::string_view param, std::string_view message) {
  return make(400, "invalid_value", param, invalid(param) + std::string(message));
}

ApiError integer_below_min(std::string_view param, int64_t min, std::string_view got) {
  return make(400, "integer_below_min_value", param,
              invalid(param) + "integer below minimum value. Expected a value >= " +
                  std::to_string(min) + ", but got " + shortened(got) + " instead.");
}

ApiError integer_above_max(std::string_view param, int64_t max, std::string_view got) {
  return make(400, "integer_above_max_value", param,
              invalid(param) + "integer above maximum value. Expected a value <= " +
                  std::to_string(max) + ", but got " + shortened(got) + " instead.");
}

ApiError decimal_below_min(std::string_view param, std::string_view bound, double got) {
  return make(400, "decimal_below_min_value", param,
              invalid(param) + "decimal below minimum value. Expected a value " +
                  std::string(bound) + ", but got " + number_text(got) + " instead.");
}

ApiError decimal_above_max(std::string_view param, std::string_view bound, double got) {
  return make(400, "decimal_above_max_value", param,
              invalid(param) + "decimal above maximum value. Expected a value " +
                  std::string(bound) + ", but got " + number_text(got) + " instead.");
}

ApiError array_too_long(std::string_view param, size_t max, size_t got) {
  return make(400, "array_above_max_length", param,
              invalid(param) + "array too long. Expected an array with maximum length " +
                  std::to_string(max) + ", but got an array with length " + std::to_string(got) +
                  " instead.");
}

ApiError array_too_short(std::string_view param, size_t min, size_t got) {
  return make(400, "array_below_min_length", param,
              invalid(param) + "array too short. Expected an array with minimum length " +
                  std::to_string(min) + ", but got an array with length " + std::to_string(got) +
                  " instead.");
}

ApiError string_too_long(std::string_view param, size_t max_bytes, size_t got) {
  return make(400, "string_above_max_length", param,
              invalid(param) + "string too long. Expected at most " + std::to_string(max_bytes) +
                  " bytes of UTF-8, but got " + std::to_string(got) + " instead.");
}

ApiError unsupported_parameter(std::string_view param, std::string_view why) {
  return make(400, "unsupported_parameter", param,
              "Unsupported parameter: '" + shortened(param) + "'. " + std::string(why));
}

ApiError unsupported_value(std::string_view param, std::string_view message) {
  return make(400, "unsupported_value", param,
              "Unsupported value for '" + shortened(param) + "': " + std::string(message));
}

ApiError invalid_schema(std::string_view param, std::string_view message) {
  return make(400, "invalid_json_schema", param,
              "Invalid schema for '" + shortened(param) + "': " + std::string(message));
}

ApiError malformed_json(std::string_view reason, size_t offset) {
  return make(400, "", "",
              "We could not parse the JSON body of your request: " + std::string(reason) +
                  " (at byte " + std::to_string(offset) + ").");
}

ApiError body_too_large(size_t max_bytes) {
  ApiError error = make(413, "", "",
                        "The body of your request is too large: at most " +
                            std::to_string(max_bytes) + " bytes are accepted.");
  error.close = true;
  return error;
}

ApiError context_too_long(std::string_view param, std::string_view message) {
  return make(400, "context_length_exceeded", param, std::string(message));
}

ApiError model_not_found(std::string_view model) {
  return make(
      404, "model_not_found", "",
      "The model `" + shortened(model) + "` does not exist or you do not have access to it.");
}

ApiError unknown_url(std::string_view method, std::string_view path) {
  return make(404, "unknown_url", "",
              "Unknown request URL: " + shortened(method) + " " + shortened(path) +
                  ". Please check the URL for typos.");
}

ApiError method_not_allowed(std::string_view method, std::string_view path) {
  return make(405, "unknown_url", "",
              "Not allowed to " + shortened(method) + " on " + shortened(path) + ".");
}

ApiError overloaded() {
  return unavailable("The server is overloaded: its queue is full. Please retry shortly.");
}

ApiError draining() {
  return unavailable("The server is shutting down and takes no new requests. Please retry.");
}

ApiError timed_out() {
  ApiError error = make(504, "request_timeout", "",
                        "The request took longer than this server allows and was stopped.");
  error.type = "server_error";
  return error;
}

ApiError cancelled() {
  return unavailable("The server stopped this generation before its end. Please retry.");
}

ApiError stuck() {
  ApiError error = make(500, "constraint_limit", "",
                        "The answer went deeper into its grammar than this server can follow.");
  error.type = "server_error";
  error.is_final = true;
  return error;
}

ApiError internal() {
  ApiError error = make(500, "", "", "The server had an error while processing your request.");
  error.type = "server_error";
  return error;
}

ApiError client_closed() { return bad_http(499, "client_closed", "The client went away."); }

ApiError bad_http(int status, std::string_view code, std::string_view message) {
  ApiError error = make(status, code, "", std::string(message));
  error.close = true;
  return error;
}

}  // namespace api_error
}  // namespace lapidary
