// Safetensors files as strings, for tests that write good and bad ones.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace lapidary {

// Eight bytes of length, the header, the data.
inline std::string safetensors_text(const std::string& header, const std::string& data) {
  std::string text;
  for (int i = 0; i < 8; ++i) text += static_cast<char>(header.size() >> 8 * i);
  return text + header + data;
}

struct FileTensor {
  std::string dtype;
  std::vector<int64_t> shape;
  std::string data;
};

inline std::string safetensors_text(const std::map<std::string, FileTensor>& tensors) {
  nlohmann::json header = nlohmann::json::object();
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    const size_t begin = data.size();
    data += tensor.data;
    header[name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  return safetensors_text(header.dump(), data);
}

}  // namespace lapidary
