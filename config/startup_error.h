// What a wrong file, flag or lack of memory at start-up raises. The message is one sentence that
// says which file and tensor (or flag) and what to do; main prints it and exits with code 1.
// Never thrown once the server listens.
#pragma once

#include <stdexcept>

namespace lapidary {

class StartupError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace lapidary
