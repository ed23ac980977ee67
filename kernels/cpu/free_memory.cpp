#include "kernels/cpu/free_memory.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>

namespace lapidary {
namespace {

namespace fs = std::filesystem;

std::string contents(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// A number alone in a file; none where it says "max" or is not there.
std::optional<int64_t> number_in(const fs::path& path) {
  const std::string text = contents(path);
  int64_t n = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), n).ec != std::errc()) {
    return std::nullopt;
  }
  return n;
}

// The number behind `key` in lines of "key number".
std::optional<int64_t> field_in(const std::string& text, const std::string& key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    int64_t n = 0;
    if (words >> name >> n && name == key) return n;
  }
  return std::nullopt;
}

struct GroupFiles {
  const char* limit;
  const char* used;
  const char* reclaimable;  // key in memory.stat
};

int64_t left_in_group(const fs::path& group, const GroupFiles& files) {
  const auto limit = number_in(group / files.limit);
  const auto used = number_in(group / files.used);
  if (!limit || !used) return std::numeric_limits<int64_t>::max();
  const int64_t cache = field_in(contents(group / "memory.stat"), files.reclaimable).value_or(0);
  return std::max<int64_t>(0, *limit - *used + cache);
}

// This process's group below a hierarchy's root: "0::/a/b" (version 2), "7:memory:/a/b" (1).
std::string group_path(const std::string& cgroup_file, const std::string& controller) {
  std::istringstream lines(cgroup_file);
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    if (line.substr(first + 1, second - first - 1) == controller) return line.substr(second + 1);
  }
  return "/";
}

// A group is bounded by every group above it. Inside a container the path may name folders that
// only the host sees; they are skipped, and the root is the container's own group.
int64_t left_in_hierarchy(const fs::path& mount, const std::string& path, const GroupFiles& files) {
  int64_t least = left_in_group(mount, files);
  fs::path group = mount;
  for (const fs::path& name : fs::path(path).relative_path()) {
    group /= name;
    least = std::min(least, left_in_group(group, files));
  }
  return least;
}

}  // namespace

int64_t available_memory_bytes(const fs::path& root) {
  const auto kib = field_in(contents(root / "proc/meminfo"), "MemAvailable:");
  int64_t bytes = kib ? *kib * 1024 : std::numeric_limits<int64_t>::max();
  const std::string groups = contents(root / "proc/self/cgroup");
  bytes = std::min(bytes, left_in_hierarchy(root / "sys/fs/cgroup", group_path(groups, ""),
                                            {"memory.max", "memory.current", "inactive_file"}));
  bytes = std::min(
      bytes,
      left_in_hierarchy(root / "sys/fs/cgroup/memory", group_path(groups, "memory"),
                        {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}));
  return bytes;
}

}  // namespace lapidary
