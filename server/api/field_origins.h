// Where the fields of a translated body came from: a front door that writes its requests as a chat
// body remembers each path it moved, so that whatever the shared checks refuse is named as the
// client spelled it. Plain state of one request.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "server/api/api_error.h"

namespace lapidary {

class FieldOrigins {
 public:
  // "messages[3].content" was "input[2].output"; what lies below it moved with it. The last one
  // said of a path counts.
  void add(std::string chat_path, std::string own_path);

  // The path of the client's body; unchanged when it never moved.
  std::string own_path(std::string_view chat_path) const;
  // The same error about the client's own field, in `param` and in the message.
  ApiError restate(ApiError error) const;

 private:
  std::map<std::string, std::string, std::less<>> origins_;
};

// "messages", 3: "messages[3]".
std::string element_path(std::string_view list, size_t index);

}  // namespace lapidary
