// What the official implementation answered for a checkpoint of tests/golden/checkpoints; the
// tensors are listed in tests/golden/README.md.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "engine/model/safetensors.h"
#include "tests/catch.h"
#include "tests/engine/golden_model.h"

namespace lapidary {

class GoldenOutputs {
 public:
  explicit GoldenOutputs(const std::string& name)
      : file_(GoldenModel::folder(name) / "golden.safetensors") {}

  std::vector<float> floats(const std::string& name) const { return read<float>(name, "F32"); }
  std::vector<int32_t> ints(const std::string& name) const { return read<int32_t>(name, "I32"); }

  int n_prompts() const {
    int n = 0;
    while (file_.tensors().contains(prompt(n, "ids"))) ++n;
    return n;
  }
  std::vector<int32_t> ids(int i) const { return ints(prompt(i, "ids")); }
  std::vector<float> logits(int i) const { return floats(prompt(i, "logits")); }
  bool has_greedy(int i) const { return file_.tensors().contains(prompt(i, "greedy_ids")); }
  std::vector<int32_t> greedy_ids(int i) const { return ints(prompt(i, "greedy_ids")); }

 private:
  static std::string prompt(int i, const char* what) {
    return "prompt." + std::to_string(i) + "." + what;
  }

  template <typename T>
  std::vector<T> read(const std::string& name, const char* dtype) const {
    INFO("golden tensor " << name);
    const auto found = file_.tensors().find(name);
    REQUIRE(found != file_.tensors().end());
    REQUIRE(found->second.file_dtype == dtype);
    std::vector<T> values(static_cast<size_t>(found->second.bytes) / sizeof(T));
    std::memcpy(values.data(), found->second.data, values.size() * sizeof(T));
    return values;
  }

  SafetensorsFile file_;
};

}  // namespace lapidary
