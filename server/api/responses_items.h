// The input of /v1/responses: a text, or items (messages, reasoning, calls and their outputs) that
// become messages of a chat. Items of other kinds and content that is no text are refused by their
// type. Pure, any thread.
#pragma once

#include <nlohmann/json.hpp>

#include "server/api/transcript.h"

namespace lapidary {

// Throws ApiError; paths begin with "input".
void add_input(const nlohmann::json& input, Transcript& transcript);

}  // namespace lapidary
