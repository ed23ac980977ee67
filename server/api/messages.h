// The `messages` of a request as a conversation. Checks roles, content forms and sizes; parts that
// this server cannot read (images, audio, files) are refused by name. Pure, any thread.
#pragma once

#include <vector>

#include "server/api/fields.h"
#include "server/dialect/chat.h"

namespace lapidary {

// The conversation of `body`, never empty. Throws ApiError.
std::vector<ChatMessage> parse_messages(const Fields& body);

}  // namespace lapidary
