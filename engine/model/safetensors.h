// One .safetensors file, mapped read-only: its header is parsed and checked once, then tensors are
// views into the mapping. Construct anywhere; const use from any thread.
// Refuses (StartupError naming file and tensor): a header longer than 100 MB or than the file, JSON
// that does not pass the pre-scan, unknown types, offsets that overlap, leave gaps or leave the
// file, and sizes that are not product(shape) * type. A file that somebody truncates while it is
// mapped is out of scope: the kernel then ends the process with SIGBUS, as for any mapped file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/tensor.h"

namespace lapidary {

// A tensor as it lies in the file. Valid while its SafetensorsFile lives.
struct TensorView {
  std::string file_dtype;      // as the header spells it: "BF16", "F8_E4M3", ...
  std::optional<DType> dtype;  // none: a type this engine does not compute with
  std::vector<int64_t> shape;
  const std::byte* data = nullptr;
  int64_t bytes = 0;
};

class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  int64_t file_bytes() const { return file_bytes_; }
  const std::map<std::string, TensorView, std::less<>>& tensors() const { return tensors_; }

  // What comes next with a range of the mapping; hints only, never errors.
  enum class Access { sequential, random, done };
  void advise(const TensorView& tensor, Access access) const;

 private:
  std::filesystem::path path_;
  const std::byte* map_ = nullptr;
  int64_t file_bytes_ = 0;
  std::map<std::string, TensorView, std::less<>> tensors_;
};

// The header alone, for SafetensorsFile and its fuzzer: `file` is a whole file in memory, and the
// views point into it. `name` stands in the messages. Throws StartupError.
std::map<std::string, TensorView, std::less<>> parse_safetensors(const std::byte* file,
                                                                 int64_t file_bytes,
                                                                 const std::string& name);

}  // namespace lapidary
