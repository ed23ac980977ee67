// The `messages` of a request as a conversation. Checks roles, content forms and sizes; parts that
// this server cannot read (audio, video, files, images where the model takes none) are refused by
// name. Pure, any thread.
#pragma once

#include <vector>

#include "server/api/fields.h"
#include "server/api/image_parts.h"
#include "server/dialect/chat.h"

namespace lapidary {

// The conversation of `body`, never empty; its images are added to `images`. Throws ApiError.
std::vector<ChatMessage> parse_messages(const Fields& body, ImageInputs& images);

}  // namespace lapidary
