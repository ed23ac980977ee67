// Fields that clients of other servers send and this one does not act on. Refused by name when they
// ask for something, since an answer that ignores them would be a wrong answer; harmless values
// (false, empty, what happens anyway) pass. Fields nobody knows pass too.
#pragma once

#include "server/api/fields.h"

namespace lapidary {

// Fields that both completion endpoints refuse. Throws ApiError.
void refuse_unsupported_fields(const Fields& body);

// What only a conversation has. Throws ApiError.
void refuse_tool_fields(const Fields& body);

// Fields that are read, checked and have no effect on the answer: user, metadata, store, ...
void check_ignored_fields(const Fields& body);

}  // namespace lapidary
