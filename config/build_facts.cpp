#include "config/build_facts.h"

namespace lapidary {

const char* build_commit() { return LAPIDARY_COMMIT; }

}  // namespace lapidary
