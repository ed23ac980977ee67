// Fields that clients of other servers send and this one does not act on. Refused by name when they
// ask for something, since an answer that ignores them would be a wrong answer; harmless values
// (false, empty, what happens anyway) pass. Fields nobody knows pass too.
#pragma once

#include <span>
#include <vector>

#include "server/api/fields.h"

namespace lapidary {

struct UnsupportedField {
  const char* name;
  const char* why;
  std::vector<nlohmann::json> harmless = {};  // beside null, false, "", [] and {}
};

// Throws ApiError at the first of them that asks for something.
void refuse_fields(const Fields& body, std::span<const UnsupportedField> rows);

// Fields that both completion endpoints refuse. Throws ApiError.
void refuse_unsupported_fields(const Fields& body);

// What only a conversation has. Throws ApiError.
void refuse_chat_fields(const Fields& body);

// Fields that are read, checked and have no effect on the answer: user, metadata, store, ...
void check_ignored_fields(const Fields& body);

}  // namespace lapidary
