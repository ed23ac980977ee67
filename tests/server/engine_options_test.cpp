// Settings, model and memory together: the sizes the engine starts with.
#include "server/engine_options.h"

#include "config/startup_error.h"
#include "kernels/cpu/free_memory.h"
#include "tests/catch.h"
#include "tests/engine/tiny_config.h"
#include "tests/scratch_folder.h"
#include "tests/thrown.h"

using namespace lapidary;

namespace {

constexpr int64_t kGiB = int64_t{1} << 30;

std::filesystem::path published(const char* size) {
  return std::filesystem::path(LAPIDARY_SOURCE_DIR) / "tests/golden/configs" / size;
}

}  // namespace

TEST_CASE("types follow the file unless they are set", "[server]") {
  ServeConfig config;
  ModelConfig model = tiny_config("dense");
  CHECK(backend_options(config, model).compute == DType::bf16);
  CHECK(stored_dtype(config, model) == DType::bf16);
  config.dtype = "float32";  // bf16 values are exact in f32, so they stay as they are
  CHECK(backend_options(config, model).compute == DType::f32);
  CHECK(stored_dtype(config, model) == DType::bf16);
  CHECK(engine_options(config, model, kGiB).kv_dtype == DType::f32);
  config.kv_cache_dtype = "bfloat16";
  CHECK(engine_options(config, model, kGiB).kv_dtype == DType::bf16);

  const ModelConfig wide = tiny_config("dense", "float32");
  config = ServeConfig{};
  CHECK(backend_options(config, wide).compute == DType::f32);
  CHECK(stored_dtype(config, wide) == DType::f32);
  config.dtype = "bfloat16";
  CHECK(stored_dtype(config, wide) == DType::bf16);
  CHECK(backend_options(ServeConfig{}, tiny_config("dense", "float16")).compute == DType::bf16);
}

TEST_CASE("the longest sequence is the model's, or what memory allows", "[server]") {
  const ModelConfig model = ModelConfig::load(published("26B-A4B"));
  ServeConfig config;
  CHECK(engine_options(config, model, 64 * kGiB).max_model_len == 262144);
  config.kv_cache_memory_bytes = 2 * kGiB;
  const EngineOptions small = engine_options(config, model, 64 * kGiB);
  // Half of it, so that others run beside a long one.
  CHECK(small.max_model_len == longest_sequence(model, kGiB, {DType::bf16}, 512));
  CHECK(small.max_model_len < 262144);
  CHECK(small.sliding_pages > 2 * 65);
  CHECK(small.global_pages * 16 >= small.max_model_len);
  config.max_model_len = 4096;
  CHECK(engine_options(config, model, 0).max_model_len == 4096);
  config.max_model_len = 262145;
  CHECK(contains(thrown_by<StartupError>([&] { engine_options(config, model, kGiB); }),
                 "--max-model-len"));
  config.max_model_len = 262144;
  CHECK(contains(thrown_by<StartupError>([&] { engine_options(config, model, kGiB); }),
                 "--kv-cache-memory-bytes"));
  config = ServeConfig{};
  CHECK(contains(thrown_by<StartupError>([&] { engine_options(config, model, 0); }),
                 "--kv-cache-memory-bytes"));
}

TEST_CASE("a step holds a token of every sequence", "[server]") {
  ServeConfig config;
  const ModelConfig model = tiny_config("dense");
  CHECK(engine_options(config, model, kGiB).max_num_batched_tokens == 512);
  config.max_num_seqs = 1000;
  CHECK(engine_options(config, model, kGiB).max_num_batched_tokens == 1000);
}

TEST_CASE("--generation-config chooses whose sampling defaults hold", "[server]") {
  ServeConfig config;
  CHECK(load_model_config(config, published("26B-A4B")).generation.top_k == 64);
  config.generation_config = "none";
  const ModelConfig none = load_model_config(config, published("26B-A4B"));
  CHECK(none.generation.top_k == 0);
  CHECK(none.ids.eos == std::vector<int32_t>{1, 106, 50});  // where to stop is no preference
  const ScratchFolder other;
  other.write("generation_config.json", R"({"top_k": 5})");
  config.generation_config = other.path();
  CHECK(load_model_config(config, published("26B-A4B")).generation.top_k == 5);
  config.generation_config = other.path() / "no";
  CHECK(contains(thrown_by<StartupError>([&] { load_model_config(config, published("31B")); }),
                 "generation_config.json does not exist"));
}

TEST_CASE("free memory is what the system and every control group above leave", "[server]") {
  const ScratchFolder root;
  root.write("proc/meminfo", "MemTotal:  100 kB\nMemAvailable:   50 kB\n");
  CHECK(available_memory_bytes(root.path()) == 50 * 1024);
  // Version 2: a limit on the parent, with page cache that would be given back.
  root.write("proc/self/cgroup", "0::/a/b\n");
  root.write("sys/fs/cgroup/a/memory.max", "30000\n");
  root.write("sys/fs/cgroup/a/memory.current", "20000\n");
  root.write("sys/fs/cgroup/a/memory.stat", "anon 15000\ninactive_file 5000\n");
  root.write("sys/fs/cgroup/a/b/memory.max", "max\n");
  root.write("sys/fs/cgroup/a/b/memory.current", "20000\n");
  CHECK(available_memory_bytes(root.path()) == 15000);
  // Version 1.
  root.write("proc/self/cgroup", "4:memory:/c\n0::/a/b\n");
  root.write("sys/fs/cgroup/memory/c/memory.limit_in_bytes", "9000\n");
  root.write("sys/fs/cgroup/memory/c/memory.usage_in_bytes", "5000\n");
  CHECK(available_memory_bytes(root.path()) == 4000);
  CHECK(available_memory_bytes() > 0);
}
