// Any text as a JSON schema, for answers and for calls: refused with a reason, or a grammar whose
// masks and acceptance agree for a few random steps.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/json_scan.h"
#include "engine/grammar/matcher.h"
#include "kernels/check.h"
#include "server/schema/grammar_compiler.h"
#include "tests/fuzz/grammar_steps.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lapidary;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const GrammarCompiler compiler(fuzz_vocabulary());
  check_steps(compiler.json_schema_text(text), size);
  if (scan_json(text, {})) return 0;
  check_steps(compiler.tool_calls({{"f", OrderedJson::parse(text)}}, 1, 2), size);
  return 0;
}
