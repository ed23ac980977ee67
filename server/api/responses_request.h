// The body of /v1/responses as a chat body. What both spell alike stays where it is, for the shared
// checks to find; what they spell differently is moved; what needs a server that stores responses
// or runs tools is refused by name. Pure, any thread.
#pragma once

#include <nlohmann/json.hpp>

#include "server/api/field_origins.h"

namespace lapidary {

struct ResponsesRequest {
  nlohmann::json chat;
  FieldOrigins origins;  // of the chat body's fields
  // A summary of the thoughts was asked for. The model writes none, so the thoughts themselves
  // stand in its place.
  bool wants_summary = false;
  nlohmann::json echo;  // what every response object repeats; only as valid as the chat body
};

// Throws ApiError with paths of the client's body.
ResponsesRequest translate_responses(nlohmann::json body);

}  // namespace lapidary
