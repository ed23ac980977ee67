// What this build was made from. Any thread.
#pragma once

namespace lapidary {

// `git describe` of the sources when CMake last ran, "-dirty" where they had changes; "unknown"
// outside a repository.
const char* build_commit();

}  // namespace lapidary
