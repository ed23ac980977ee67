// The messages of /v1/messages as those of a chat: a user's tool results become messages of their
// own, an assistant's blocks one message. Blocks that are no text, thought, call or result are
// refused by their type. Pure, any thread.
#pragma once

#include <nlohmann/json.hpp>

#include "server/api/transcript.h"

namespace lapidary {

// A text or text blocks; null: nothing. Throws ApiError.
void add_system(const nlohmann::json& system, Transcript& transcript);

// Throws ApiError; paths begin with "messages".
void add_messages(const nlohmann::json& messages, Transcript& transcript);

}  // namespace lapidary
