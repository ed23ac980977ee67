// A client's mistake (or the server's own trouble) as the OpenAI error object. Thrown anywhere in
// server/ while a request is handled and turned into a body in one place, server/http; inside a
// stream that already began it becomes one error frame. The makers below are the whole catalogue:
// texts are fixed sentences of ours with the client's own field names and numbers, never an
// exception's or a library's text. Plain values, any thread.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

namespace lapidary {

// Whose error objects a route's clients understand.
enum class ErrorForm { openai, anthropic };

struct ApiError : std::exception {
  int status = 400;
  std::string type = "invalid_request_error";
  std::string code;   // empty: null
  std::string param;  // empty: null
  std::string message;
  int retry_after_s = 0;  // 0: no Retry-After header
  bool is_final = false;  // it would probably fail again, at full cost: clients must not retry
  bool close = false;     // the connection cannot be used any more

  const char* what() const noexcept override { return message.c_str(); }
  // {"error":{"message","type","param","code"}}
  std::string body() const;
  // The same in Anthropic's form, {"type":"error","error":{"type","message"},"request_id"}, with
  // its own names for types. A server without room is a 529 there.
  std::string anthropic_body(std::string_view request_id) const;
  int anthropic_status() const;
};

namespace api_error {

// Fields of the body. `param` is the path of the field: "messages[0].content".
ApiError missing_parameter(std::string_view param);
ApiError invalid_type(std::string_view param, std::string_view expected, std::string_view got);
ApiError invalid_value(std::string_view param, std::string_view message);
// `got` is text: what was sent may not fit any integer.
ApiError integer_below_min(std::string_view param, int64_t min, std::string_view got);
ApiError integer_above_max(std::string_view param, int64_t max, std::string_view got);
// `bound` is how the limit reads: ">= 0", "> 0".
ApiError decimal_below_min(std::string_view param, std::string_view bound, double got);
ApiError decimal_above_max(std::string_view param, std::string_view bound, double got);
ApiError array_too_long(std::string_view param, size_t max, size_t got);
ApiError array_too_short(std::string_view param, size_t min, size_t got);
ApiError string_too_long(std::string_view param, size_t max_bytes, size_t got);
ApiError unsupported_parameter(std::string_view param, std::string_view why);
ApiError unsupported_value(std::string_view param, std::string_view message);
// A schema that is not supported; `param` is the path of the keyword.
ApiError invalid_schema(std::string_view param, std::string_view message);

// The body as a whole.
ApiError malformed_json(std::string_view reason, size_t offset);
ApiError body_too_large(size_t max_bytes);
ApiError context_too_long(std::string_view param, std::string_view message);

// The server's side.
ApiError model_not_found(std::string_view model);
ApiError unknown_url(std::string_view method, std::string_view path);
ApiError method_not_allowed(std::string_view method, std::string_view path);
ApiError overloaded();
ApiError draining();
ApiError timed_out();
ApiError cancelled();
ApiError stuck();  // a grammar went beyond what it may take while it was followed
ApiError internal();
ApiError client_closed();  // nobody reads it; it stands in the log

// A fault below JSON: framing, headers, host. The connection is closed afterwards.
ApiError bad_http(int status, std::string_view code, std::string_view message);

}  // namespace api_error
}  // namespace lapidary
