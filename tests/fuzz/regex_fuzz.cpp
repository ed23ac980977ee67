// Any text as a regular expression: refused with a reason, or a grammar whose masks and acceptance
// agree for a few random steps.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/grammar_steps.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lapidary;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_steps(GrammarCompiler(fuzz_vocabulary()).regex(text), size);
  return 0;
}
