// From a model's name to its folder.
#include "server/hf_cache.h"

#include "config/startup_error.h"
#include "tests/catch.h"
#include "tests/scratch_folder.h"
#include "tests/thrown.h"

using namespace lapidary;

namespace {

constexpr char kId[] = "google/gemma-4-E4B-it";

std::string refusal(const std::string& model, const Environment& environment) {
  return thrown_by<StartupError>([&] { resolve_model(model, environment); });
}

}  // namespace

TEST_CASE("an id leads to the snapshot of main in the Hugging Face cache", "[server]") {
  const ScratchFolder cache;
  const Environment environment = {{"HF_HUB_CACHE", cache.path()}};
  cache.write("models--google--gemma-4-E4B-it/refs/main", "0123abcd\n");
  cache.write("models--google--gemma-4-E4B-it/snapshots/0123abcd/config.json", "{}");
  CHECK(resolve_model(kId, environment) ==
        cache.path() / "models--google--gemma-4-E4B-it/snapshots/0123abcd");
}

TEST_CASE("an id that is not in the cache names the download command", "[server]") {
  const ScratchFolder cache;
  const Environment environment = {{"HF_HUB_CACHE", cache.path()}};
  const std::string message = refusal(kId, environment);
  CHECK(contains(message, "hf download google/gemma-4-E4B-it"));
  CHECK(contains(message, cache.path()));
  // A download that did not end.
  cache.write("models--google--gemma-4-E4B-it/refs/main", "0123abcd");
  CHECK(contains(refusal(kId, environment), "incomplete"));
  CHECK(contains(refusal(kId, environment), "hf download"));
}

TEST_CASE("a folder wins over an id, a missing one is called a folder", "[server]") {
  const ScratchFolder folder;
  CHECK(resolve_model(folder.path(), {}) == folder.path());
  CHECK(contains(refusal("/no/such/folder", {}), "folder /no/such/folder does not exist"));
  CHECK(contains(refusal("./gone", {}), "does not exist"));
  CHECK(contains(refusal("", {}), "No model"));
  CHECK(contains(refusal(folder.write("config.json", "{}"), {}), "is a file"));
}

TEST_CASE("neither an id nor the cache's own files lead out of the cache", "[server]") {
  const ScratchFolder cache;
  const Environment environment = {{"HF_HUB_CACHE", cache.path() / "hub"}};
  for (const char* id : {"../x", "a/..", "a/b/c", "a//b", ".a/b", "a/b--c", "a b/c"}) {
    INFO(id);
    CHECK(contains(refusal(id, environment), "does not exist"));
  }
  cache.write("hub/models--google--gemma-4-E4B-it/refs/main", "../../../elsewhere");
  cache.write("elsewhere/config.json", "{}");
  CHECK(contains(refusal(kId, environment), "does not name a commit"));
}

TEST_CASE("the cache's folder follows the official variables", "[server]") {
  CHECK(hf_cache_folder({{"HOME", "/h"}}) == "/h/.cache/huggingface/hub");
  CHECK(hf_cache_folder({{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}}) == "/x/huggingface/hub");
  CHECK(hf_cache_folder({{"HF_HOME", "/f"}, {"XDG_CACHE_HOME", "/x"}}) == "/f/hub");
  CHECK(hf_cache_folder({{"HF_HUB_CACHE", "/c"}, {"HF_HOME", "/f"}}) == "/c");
}
