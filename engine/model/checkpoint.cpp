#include "engine/model/checkpoint.h"

#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "config/checked_json.h"
#include "config/startup_error.h"
#include "kernels/check.h"

namespace lapidary {
namespace {

namespace fs = std::filesystem;

constexpr char kSingleFile[] = "model.safetensors";
constexpr char kIndexFile[] = "model.safetensors.index.json";
constexpr JsonLimits kIndexLimits = {
    .max_bytes = 32 << 20, .max_depth = 4, .max_values = 1'000'000, .reject_duplicate_keys = true};
constexpr size_t kMaxShards = 4096;

bool starts_with_any(std::string_view name, std::initializer_list<std::string_view> prefixes) {
  for (std::string_view prefix : prefixes) {
    if (name.substr(0, prefix.size()) == prefix) return true;
  }
  return false;
}

// The name as the table has it. Names that fit nowhere come back whole and are then found
// unexpected.
std::string table_name(std::string_view name) {
  for (std::string_view prefix : {"model.language_model.", "model."}) {
    if (name.starts_with(prefix)) return std::string(name.substr(prefix.size()));
  }
  return std::string(name);
}

bool is_of_tower(std::string_view name) {
  return starts_with_any(
      name, {"vision_tower.", "embed_vision.", "audio_tower.", "embed_audio.", "vision_embedder."});
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  }
  return text + "]";
}

// Only a plain name: an index must not make us open files elsewhere.
bool is_plain_shard_name(const std::string& name) {
  constexpr std::string_view kEnding = ".safetensors";
  return name.size() > kEnding.size() && name.size() <= 255 && name.front() != '.' &&
         name.find('/') == std::string::npos && name.find('\\') == std::string::npos &&
         name.find('\0') == std::string::npos &&
         name.compare(name.size() - kEnding.size(), kEnding.size(), kEnding) == 0;
}

// tensor -> shard
std::map<std::string, std::string> read_index(const fs::path& path) {
  const ConfigObject file(read_checked_json(path, kIndexLimits), path.string());
  const ConfigObject map = file.require("weight_map", file.object("weight_map"));
  std::map<std::string, std::string> shards;
  for (const auto& [tensor, shard] : map.value().items()) {
    if (!shard.is_string()) map.refuse(tensor, "must name a file");
    auto name = shard.get<std::string>();
    if (!is_plain_shard_name(name)) {
      map.refuse(tensor, "must name a .safetensors file inside the folder, without a path");
    }
    shards.emplace(tensor, std::move(name));
  }
  if (shards.empty()) file.refuse("weight_map", "is empty");
  return shards;
}

}  // namespace

bool Checkpoint::has_weights(const fs::path& folder) {
  std::error_code error;
  return fs::exists(folder / kSingleFile, error) || fs::exists(folder / kIndexFile, error);
}

std::shared_ptr<Checkpoint> Checkpoint::open(const fs::path& folder, const ModelConfig& config) {
  std::error_code error;
  std::shared_ptr<Checkpoint> checkpoint(new Checkpoint());
  if (fs::exists(folder / kSingleFile, error)) {
    checkpoint->add_file(std::make_shared<SafetensorsFile>(folder / kSingleFile));
  } else if (fs::exists(folder / kIndexFile, error)) {
    checkpoint->open_shards(folder, folder / kIndexFile);
  } else {
    throw StartupError(folder.string() + " holds no weights: neither " + kSingleFile + " nor " +
                       kIndexFile + " is there (--load-format dummy runs without).");
  }
  checkpoint->check(config);
  return checkpoint;
}

void Checkpoint::open_shards(const fs::path& folder, const fs::path& index) {
  const auto shard_of = read_index(index);
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : shard_of) shards.insert(shard);
  if (shards.size() > kMaxShards) {
    throw StartupError(index.string() + " names more than " + std::to_string(kMaxShards) +
                       " files.");
  }
  std::map<std::string, std::shared_ptr<SafetensorsFile>> files;
  for (const std::string& shard : shards) {
    files[shard] = std::make_shared<SafetensorsFile>(folder / shard);
    for (const auto& [tensor, view] : files[shard]->tensors()) {
      const auto entry = shard_of.find(tensor);
      if (entry == shard_of.end() || entry->second != shard) {
        throw StartupError((folder / shard).string() + " holds tensor " + printable(tensor) +
                           ", but " + index.string() + " does not say so.");
      }
    }
  }
  for (const auto& [tensor, shard] : shard_of) {
    if (files[shard]->tensors().count(tensor) == 0) {
      throw StartupError((folder / shard).string() + " lacks tensor " + printable(tensor) +
                         ", which " + index.string() + " places there.");
    }
  }
  for (const auto& [shard, file] : files) add_file(file);
}

void Checkpoint::add_file(std::shared_ptr<SafetensorsFile> file) {
  for (const auto& [name, view] : file->tensors()) {
    const auto [it, fresh] = tensors_.emplace(table_name(name), Place{file, &view, name});
    if (!fresh) {
      throw StartupError(file->path().string() + ": tensor " + printable(name) +
                         " is the same as " + printable(it->second.name) + " of " +
                         it->second.file->path().string() + ".");
    }
  }
  files_.push_back(std::move(file));
}

void Checkpoint::check(const ModelConfig& config) {
  const std::string folder = files_.front()->path().parent_path().string();
  std::set<std::string_view> expected;
  const std::vector<TensorSpec> specs = expected_tensors(config);
  for (const TensorSpec& spec : specs) {
    expected.insert(spec.name);
    const auto it = tensors_.find(spec.name);
    if (it == tensors_.end()) {
      if (spec.optional) continue;
      throw StartupError(
          (files_.size() == 1 ? files_.front()->path().string() : "No file of " + folder) +
          (files_.size() == 1 ? " lacks" : " holds") + " tensor " + spec.name +
          (spec.name == "lm_head.weight" ? ", although config.json says tie_word_embeddings false."
                                         : ", which config.json asks for."));
    }
    const Place& place = it->second;
    const std::string which = place.file->path().string() + ": tensor " + printable(place.name);
    if (place.view->shape != spec.shape) {
      throw StartupError(which + " has shape " + shape_text(place.view->shape) +
                         ", but config.json asks for " + shape_text(spec.shape) + ".");
    }
    if (!place.view->dtype) {
      throw StartupError(which + " is of type " + place.view->file_dtype +
                         "; only BF16, F16 and F32 are supported.");
    }
  }
  for (auto at = tensors_.begin(); at != tensors_.end();) {
    const auto& [name, place] = *at;
    if (expected.count(name) > 0) {
      ++at;
      continue;
    }
    if (!is_of_tower(name)) {
      throw StartupError(place.file->path().string() + ": tensor " + printable(place.name) +
                         " is not part of the model that config.json describes.");
    }
    ++n_other_;
    at = tensors_.erase(at);
  }
}

bool Checkpoint::has(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }

void Checkpoint::will_read(const std::vector<const TensorSpec*>& specs) {
  std::vector<ReadAhead::Range> ranges;
  for (const TensorSpec* spec : specs) {
    const TensorView& view = *tensors_.find(spec->name)->second.view;
    ranges.push_back({view.data, view.bytes});
  }
  read_ahead_ = std::make_unique<ReadAhead>(std::move(ranges), ReadAhead::Limits{});
}

HostTensor Checkpoint::get(const TensorSpec& spec) {
  const auto it = tensors_.find(spec.name);
  CHECK(it != tensors_.end() && it->second.view->shape == spec.shape);
  const Place& place = it->second;
  place.file->advise(*place.view, SafetensorsFile::Access::sequential);
  return {.dtype = *place.view->dtype,
          .shape = place.view->shape,
          .data = place.view->data,
          .bytes = place.view->bytes,
          .owner = place.file};
}

void Checkpoint::done_with(const TensorSpec& spec) {
  const Place& place = tensors_.find(spec.name)->second;
  place.file->advise(*place.view, SafetensorsFile::Access::done);
  if (read_ahead_) read_ahead_->pass(place.view->bytes);
}

void Checkpoint::keep_for_gather(const TensorSpec& spec) {
  const Place& place = tensors_.find(spec.name)->second;
  place.file->advise(*place.view, SafetensorsFile::Access::random);
}

}  // namespace lapidary
