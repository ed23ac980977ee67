#include "server/hf_cache.h"

#include <algorithm>
#include <cctype>
#include <system_error>

#include "config/checked_json.h"
#include "config/startup_error.h"

namespace lapidary {
namespace {

namespace fs = std::filesystem;

std::string variable(const Environment& environment, const char* name) {
  const auto it = environment.find(name);
  return it == environment.end() ? "" : it->second;
}

// One component of an id or a commit: nothing that could lead out of the cache's folder.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name.size() <= 96 && name.front() != '.' && name.front() != '-' &&
         name.find("..") == std::string::npos && name.find("--") == std::string::npos &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
         });
}

// "org/name" as the cache's folder; empty when it is no such id.
std::string cache_entry(const std::string& id) {
  const size_t slash = id.find('/');
  if (slash == std::string::npos) return "";
  const std::string org = id.substr(0, slash);
  const std::string name = id.substr(slash + 1);
  if (!is_plain_name(org) || !is_plain_name(name)) return "";
  return "models--" + org + "--" + name;
}

std::string main_commit(const fs::path& entry) {
  constexpr size_t kMaxBytes = 256;
  std::string commit = read_small_file(entry / "refs" / "main", kMaxBytes);
  while (!commit.empty() && std::isspace(static_cast<unsigned char>(commit.back())) != 0) {
    commit.pop_back();
  }
  if (!is_plain_name(commit)) {
    throw StartupError((entry / "refs" / "main").string() + " does not name a commit.");
  }
  return commit;
}

}  // namespace

fs::path hf_cache_folder(const Environment& environment) {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const std::string hub = variable(environment, name); !hub.empty()) return hub;
  }
  if (const std::string home = variable(environment, "HF_HOME"); !home.empty()) {
    return fs::path(home) / "hub";
  }
  if (const std::string cache = variable(environment, "XDG_CACHE_HOME"); !cache.empty()) {
    return fs::path(cache) / "huggingface" / "hub";
  }
  return fs::path(variable(environment, "HOME")) / ".cache" / "huggingface" / "hub";
}

fs::path resolve_model(const std::string& model, const Environment& environment) {
  if (model.empty()) {
    throw StartupError(
        "No model was given: name a checkpoint folder, or an id such as google/gemma-4-E4B-it.");
  }
  std::error_code error;
  if (fs::is_directory(model, error)) return model;
  if (fs::exists(model, error)) {
    throw StartupError(model + " is a file; give the folder with config.json and the weights.");
  }
  const std::string name = cache_entry(model);
  if (name.empty()) {
    throw StartupError("The folder " + printable(model) + " does not exist.");
  }
  const fs::path cache = hf_cache_folder(environment);
  const fs::path entry = cache / name;
  const std::string command = "hf download " + model;
  if (!fs::exists(entry / "refs" / "main", error)) {
    throw StartupError(model + " is neither a folder nor in the Hugging Face cache (" +
                       cache.string() + "); download it with: " + command);
  }
  const fs::path snapshot = entry / "snapshots" / main_commit(entry);
  if (!fs::exists(snapshot / "config.json", error)) {
    throw StartupError(snapshot.string() + " is incomplete; download it again with: " + command);
  }
  return snapshot;
}

}  // namespace lapidary
