// A Hugging Face Gemma 4 folder: model.safetensors, or model.safetensors.index.json with its
// shards, mapped and checked against the tensors that the ModelConfig implies. Everything is
// checked in open(), before anything is computed. One thread at a time; views are read-only.
// Refuses (StartupError naming file and tensor): missing, unexpected or wrongly shaped
// tensors, types other than bf16, f16 and f32, shards that are not plain names inside the folder,
// an index that disagrees with the shards. Accepts and ignores the tensors of towers that are not
// in the ModelConfig.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/model_config.h"
#include "engine/model/read_ahead.h"
#include "engine/model/safetensors.h"
#include "engine/model/tensor_source.h"

namespace lapidary {

class Checkpoint : public TensorSource {
 public:
  static std::shared_ptr<Checkpoint> open(const std::filesystem::path& folder,
                                          const ModelConfig& config);

  // Does the folder hold weights at all? (`lapidary check` plans without them.)
  static bool has_weights(const std::filesystem::path& folder);

  bool has(std::string_view name) const override;
  void will_read(const std::vector<const TensorSpec*>& specs) override;
  HostTensor get(const TensorSpec& spec) override;
  void done_with(const TensorSpec& spec) override;
  void keep_for_gather(const TensorSpec& spec) override;

  const std::vector<std::shared_ptr<SafetensorsFile>>& files() const { return files_; }
  int64_t n_tensors() const { return static_cast<int64_t>(tensors_.size()); }
  int64_t n_other_tensors() const { return n_other_; }  // of towers: ignored

 private:
  struct Place {
    std::shared_ptr<SafetensorsFile> file;
    const TensorView* view = nullptr;
    std::string name;  // in the file
  };

  Checkpoint() = default;
  void open_shards(const std::filesystem::path& folder, const std::filesystem::path& index);
  void add_file(std::shared_ptr<SafetensorsFile> file);
  void check(const ModelConfig& config);

  std::vector<std::shared_ptr<SafetensorsFile>> files_;
  std::map<std::string, Place, std::less<>> tensors_;  // by name without prefix
  int64_t n_other_ = 0;
  std::unique_ptr<ReadAhead> read_ahead_;  // while the tensors are read; ends before files_
};

}  // namespace lapidary
