// How much memory this process may still take: what the system has available, or what its control
// group (a container's limit) leaves, whichever is less. Any thread; reads /proc and /sys.
#pragma once

#include <cstdint>
#include <filesystem>

namespace lapidary {

// `root` stands for "/" in tests. Page cache that the kernel would give back counts as available.
int64_t available_memory_bytes(const std::filesystem::path& root = "/");

}  // namespace lapidary
