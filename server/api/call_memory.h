// How the model spelled the calls that were answered, by the ids they got: when one comes back in a
// history, the next prompt has the very tokens that were generated, not the template's spelling of
// the same arguments (1.50 for 1.5), and goes on where the cache already is. A bounded number of
// bytes, the least recently used go first; what is forgotten is spelled anew. Any thread.
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "server/dialect/chat.h"

namespace lapidary {

// A call as it was generated and as the client was told it.
struct SpokenCall {
  std::string id;
  std::string name;
  std::string arguments;        // JSON text
  std::vector<int32_t> tokens;  // from <|tool_call> to <tool_call|>, both among them
};

class CallMemory {
 public:
  explicit CallMemory(size_t max_bytes = size_t{16} << 20) : max_bytes_(max_bytes) {}

  void keep(SpokenCall call);
  // The tokens of a call that the client gave back as it got it: equal id (behind its prefix, which
  // Anthropic's clients know as `toolu_`), name and, as JSON values, arguments. Empty: unknown,
  // forgotten or changed.
  std::vector<int32_t> recall(const ToolCall& call);

 private:
  static size_t bytes(const SpokenCall& call);
  static std::string_view key(std::string_view id) { return id.substr(id.rfind('_') + 1); }

  const size_t max_bytes_;
  std::mutex mutex_;             // guards all below
  std::list<SpokenCall> calls_;  // the most recently used first
  std::unordered_map<std::string_view, std::list<SpokenCall>::iterator> by_key_;
  size_t bytes_ = 0;
};

}  // namespace lapidary
