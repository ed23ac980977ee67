#include "engine/model/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "config/checked_json.h"
#include "config/startup_error.h"

namespace lapidary {
namespace {

constexpr int64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kMaxRank = 8;
// A header of N tensors holds about 9 N values; the largest published ones have some 30,000.
constexpr JsonLimits kHeaderLimits = {.max_bytes = kMaxHeaderBytes,
                                      .max_depth = 4,
                                      .max_values = 4'000'000,
                                      .reject_duplicate_keys = true};

using TensorMap = std::map<std::string, TensorView, std::less<>>;

struct FileType {
  const char* name;
  int64_t bytes;
  std::optional<DType> dtype;
};

constexpr FileType kFileTypes[] = {
    {"BF16", 2, DType::bf16},     {"F16", 2, DType::f16},       {"F32", 4, DType::f32},
    {"F64", 8, std::nullopt},     {"I64", 8, std::nullopt},     {"U64", 8, std::nullopt},
    {"I32", 4, std::nullopt},     {"U32", 4, std::nullopt},     {"I16", 2, std::nullopt},
    {"U16", 2, std::nullopt},     {"I8", 1, std::nullopt},      {"U8", 1, std::nullopt},
    {"BOOL", 1, std::nullopt},    {"F8_E4M3", 1, std::nullopt}, {"F8_E5M2", 1, std::nullopt},
    {"F8_E8M0", 1, std::nullopt},
};

const FileType* find_type(const std::string& name) {
  for (const FileType& type : kFileTypes) {
    if (name == type.name) return &type;
  }
  return nullptr;
}

int64_t header_bytes(const std::byte* file, int64_t file_bytes, const std::string& name) {
  if (file_bytes < 8) {
    throw StartupError(name + " is truncated: it is too short to be a safetensors file.");
  }
  uint64_t n = 0;
  for (int i = 7; i >= 0; --i) n = n << 8 | static_cast<uint64_t>(file[i]);
  if (n > static_cast<uint64_t>(kMaxHeaderBytes)) {
    throw StartupError(name + " is no safetensors file: its header would be " + std::to_string(n) +
                       " bytes long, more than the 100 MB allowed.");
  }
  if (n > static_cast<uint64_t>(file_bytes - 8)) {
    throw StartupError(name + " is truncated: its header of " + std::to_string(n) +
                       " bytes does not fit into the file's " + std::to_string(file_bytes) + ".");
  }
  return static_cast<int64_t>(n);
}

std::vector<int64_t> non_negative_list(const ConfigObject& entry, const char* key) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  const nlohmann::json* list = entry.find(key);
  if (list == nullptr || !list->is_array()) entry.refuse(key, "must be a list of whole numbers");
  return *entry.integers(key, 0, kMax);
}

// Checks one entry of the header; offsets are those in the data part.
TensorView read_tensor(const ConfigObject& entry, const std::byte* data, int64_t data_bytes) {
  TensorView view;
  view.file_dtype = entry.require("dtype", entry.text("dtype"));
  const FileType* type = find_type(view.file_dtype);
  if (type == nullptr)
    entry.refuse("dtype", "is of the unknown type " + printable(view.file_dtype));
  view.dtype = type->dtype;
  view.shape = non_negative_list(entry, "shape");
  if (view.shape.size() > kMaxRank) entry.refuse("shape", "has more than 8 dimensions");

  int64_t bytes = type->bytes;
  for (int64_t d : view.shape) {
    if (__builtin_mul_overflow(bytes, d, &bytes)) entry.refuse("shape", "is impossibly large");
  }
  const std::vector<int64_t> offsets = non_negative_list(entry, "data_offsets");
  if (offsets.size() != 2) entry.refuse("data_offsets", "must be two numbers");
  const int64_t begin = offsets[0];
  const int64_t end = offsets[1];
  if (begin > end) entry.refuse("data_offsets", "end before they begin");
  if (end > data_bytes) {
    entry.refuse("data_offsets", "reach byte " + std::to_string(end) +
                                     " of the data, but the file "
                                     "has only " +
                                     std::to_string(data_bytes) +
                                     "; it is truncated or damaged, download it again");
  }
  if (end - begin != bytes) {
    entry.refuse("data_offsets", "span " + std::to_string(end - begin) +
                                     " bytes, but shape and "
                                     "type need " +
                                     std::to_string(bytes));
  }
  view.data = data + begin;
  view.bytes = bytes;
  return view;
}

// The tensors must cover the data without gap or overlap, or two of them could share bytes and
// unnamed bytes could ride along.
void check_coverage(const TensorMap& tensors, const std::byte* data, int64_t data_bytes,
                    const std::string& file) {
  std::vector<std::pair<const std::string*, const TensorView*>> order;
  order.reserve(tensors.size());
  for (const auto& [name, view] : tensors) order.emplace_back(&name, &view);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second->data, a.second->bytes) < std::pair(b.second->data, b.second->bytes);
  });
  const std::byte* at = data;
  for (const auto& [name, view] : order) {
    if (view->data != at) {
      throw StartupError(file + ": tensor " + printable(*name) +
                         (view->data < at ? " overlaps the one before it."
                                          : " leaves a gap behind the one before it."));
    }
    at += view->bytes;
  }
  if (at != data + data_bytes) {
    throw StartupError(file + " has " + std::to_string(data + data_bytes - at) +
                       " bytes behind its last tensor; it is damaged, download it again.");
  }
}

}  // namespace

TensorMap parse_safetensors(const std::byte* file, int64_t file_bytes, const std::string& name) {
  const int64_t header = header_bytes(file, file_bytes, name);
  const std::string_view text(reinterpret_cast<const char*>(file + 8), static_cast<size_t>(header));
  if (text.empty() || text.front() != '{') {
    throw StartupError(name + " is no safetensors file: its header is not a JSON object.");
  }
  const nlohmann::json json = parse_checked_json(text, kHeaderLimits, name + " (header)");
  const std::byte* data = file + 8 + header;
  const int64_t data_bytes = file_bytes - 8 - header;

  TensorMap tensors;
  for (const auto& [key, value] : json.items()) {
    if (key == "__metadata__") continue;
    const ConfigObject entry(value, name + ": tensor " + printable(key));
    tensors.emplace(key, read_tensor(entry, data, data_bytes));
  }
  check_coverage(tensors, data, data_bytes, name);
  return tensors;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path) {
  // O_NONBLOCK: opening a pipe in a file's place must not wait for a writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    throw StartupError(path.string() + " cannot be opened: " + std::strerror(errno) + ".");
  }
  struct stat info {};
  const bool regular = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  file_bytes_ = regular ? static_cast<int64_t>(info.st_size) : 0;
  void* map = MAP_FAILED;
  if (file_bytes_ > 0) {
    map = ::mmap(nullptr, static_cast<size_t>(file_bytes_), PROT_READ, MAP_PRIVATE, fd, 0);
  }
  const int map_error = errno;
  ::close(fd);
  if (!regular) throw StartupError(path.string() + " is not a regular file.");
  if (file_bytes_ == 0) throw StartupError(path.string() + " is truncated: it is empty.");
  if (map == MAP_FAILED) {
    throw StartupError(path.string() + " cannot be mapped: " + std::strerror(map_error) + ".");
  }
  map_ = static_cast<const std::byte*>(map);
  try {
    tensors_ = parse_safetensors(map_, file_bytes_, path.string());
  } catch (...) {
    ::munmap(map, static_cast<size_t>(file_bytes_));
    throw;
  }
}

SafetensorsFile::~SafetensorsFile() {
  ::munmap(const_cast<std::byte*>(map_), static_cast<size_t>(file_bytes_));
}

void SafetensorsFile::advise(const TensorView& tensor, Access access) const {
  // Small tensors share pages with their neighbours, and hints for them gain nothing.
  constexpr int64_t kWorthIt = 1 << 20;
  if (tensor.bytes < kWorthIt) return;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(tensor.data);
  const auto end = begin + static_cast<uintptr_t>(tensor.bytes);
  const uintptr_t first = (begin + page - 1) / page * page;
  const uintptr_t last = end / page * page;
  if (first >= last) return;
  // "done" gives the mapping's pages back, not the page cache: the next start reads from memory
  // where there is enough of it.
  const int advice = access == Access::sequential ? MADV_SEQUENTIAL
                     : access == Access::random   ? MADV_RANDOM
                                                  : MADV_DONTNEED;
  ::madvise(reinterpret_cast<void*>(first), last - first, advice);
}

}  // namespace lapidary
