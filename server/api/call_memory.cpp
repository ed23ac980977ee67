#include "server/api/call_memory.h"

#include <utility>

namespace lapidary {

size_t CallMemory::bytes(const SpokenCall& call) {
  return sizeof(SpokenCall) + 64 + call.id.size() + call.name.size() + call.arguments.size() +
         call.tokens.size() * sizeof(int32_t);
}

void CallMemory::keep(SpokenCall call) {
  const std::lock_guard lock(mutex_);
  call.arguments.shrink_to_fit();
  call.tokens.shrink_to_fit();
  if (bytes(call) > max_bytes_ || by_key_.contains(key(call.id))) return;
  bytes_ += bytes(call);
  calls_.push_front(std::move(call));
  by_key_.emplace(key(calls_.front().id), calls_.begin());
  while (bytes_ > max_bytes_) {
    bytes_ -= bytes(calls_.back());
    by_key_.erase(key(calls_.back().id));
    calls_.pop_back();
  }
}

std::vector<int32_t> CallMemory::recall(const ToolCall& call) {
  SpokenCall spoken;
  {
    const std::lock_guard lock(mutex_);
    const auto at = by_key_.find(key(call.id));
    if (at == by_key_.end() || at->second->name != call.name) return {};
    calls_.splice(calls_.begin(), calls_, at->second);
    spoken = calls_.front();
  }
  const auto arguments =
      nlohmann::json::parse(spoken.arguments, nullptr, /*allow_exceptions=*/false);
  return arguments == call.arguments ? std::move(spoken.tokens) : std::vector<int32_t>();
}

}  // namespace lapidary
