// The beginning of a JSON text, as a limit leaves it, made a whole one: for the arguments of a call
// that was cut, where the client's format has no place for half an object. Pure, any thread.
#pragma once

#include <string>
#include <string_view>

namespace lapidary {

// REQUIRES: the beginning of a valid JSON object's text, or nothing. Every value that is complete
// is kept, a last one that is not is dropped with its key, what is open is closed. A whole object
// comes back as it is.
std::string complete_json_object(std::string_view prefix);

}  // namespace lapidary
