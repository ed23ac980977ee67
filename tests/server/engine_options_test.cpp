// Settings, model and memory together: the sizes the engine starts with.
#include "server/engine_options.h"

#include "config/startup_error.h"
#include "kernels/cpu/free_memory.h"
#include "server/compute_device.h"
#include "server/start_plan.h"
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

TEST_CASE("kernels for a GPU are refused on the CPU by name", "[server]") {
  ServeConfig config;
  CHECK(backend_options(config, tiny_config("dense")).cuda_path == CudaPath::portable);
  config.cuda_path = "hopper";
  CHECK(backend_options(config, tiny_config("dense")).cuda_path == CudaPath::hopper);
  for (const char* device : {"auto", "cpu"}) {
    config.device = device;
    CHECK(contains(thrown_by<StartupError>([&] { open_backend(config, tiny_config("dense")); }),
                   "--cuda-path hopper"));
  }
}

TEST_CASE("the longest sequence is the model's, or what memory allows", "[server]") {
  const ModelConfig model = ModelConfig::load(published("26B-A4B"));
  ServeConfig config;
  CHECK(engine_options(config, model, 64 * kGiB).max_model_len == 262144);
  config.kv_cache_memory_bytes = 2 * kGiB;
  const EngineOptions small = engine_options(config, model, 64 * kGiB);
  // Half of it, so that others run beside a long one.
  CHECK(small.max_model_len == longest_sequence(model, kGiB, {DType::bf16}, 256 + 280));
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

TEST_CASE("a GPU's share counts weights and workspaces, and what others hold is not free",
          "[server]") {
  ServeConfig config;
  config.gpu_memory_utilization = 0.75;
  CHECK(kv_budget(config, MemoryRoom(64 * kGiB, 40 * kGiB, 24 * kGiB)) == 8 * kGiB);
  CHECK(kv_budget(config, MemoryRoom(64 * kGiB, 50 * kGiB, 14 * kGiB)) == 0);
  // Half a GiB stays free for what comes later.
  CHECK(kv_budget(config, MemoryRoom(64 * kGiB, 40 * kGiB, 4 * kGiB)) == 7 * kGiB / 2);
  config.kv_cache_memory_bytes = kGiB;
  CHECK(kv_budget(config, MemoryRoom(64 * kGiB, 40 * kGiB, 4 * kGiB)) == kGiB);
  CHECK(kv_budget(ServeConfig{}, 6 * kGiB) == 3 * kGiB);  // the host's
}

TEST_CASE("26B-A4B in bfloat16 starts on a GPU of 64 GiB, with a context of 256K", "[server]") {
  ModelConfig model = ModelConfig::load(published("26B-A4B"));
  CHECK(contains(leave_out_vision(model), "Images are refused"));
  CHECK(leave_out_vision(model).empty());
  const ServeConfig config;
  StartPlan plan = planned_start(config, model, true, 1);
  plan.gpu_total = 64 * kGiB;
  const int64_t taken = plan.weights + plan.steps.total();
  const MemoryRoom room(plan.gpu_total, taken, plan.gpu_total - taken);
  const EngineOptions options = engine_options(config, model, room, true);
  CHECK(options.max_model_len == 262144);
  std::string text;
  for (const std::string& line : plan_lines(config, model, plan, options)) text += line + "\n";
  INFO(text);
  CHECK(contains(text, "64.00 GiB, of which 57.60 GiB may be taken"));
  CHECK(contains(text, "Weights 47.00 GiB"));
  // Sequences 256 + 64 rows, 64 segments, 16 heads: 512 sums of values and two of the softmax.
  CHECK(plan.steps.attention == int64_t{320} * 64 * 16 * (512 + 2) * 4);
  CHECK(contains(text, "attention 642.50 MiB"));
  CHECK(contains(text, "experts 440"));
  CHECK(contains(text, "global pages of"));
  CHECK(contains(text, " of 262144 tokens"));
  CHECK(options.global_pages * kPageSize >= 262144);
}

TEST_CASE("a step holds the largest image beside a token of every sequence", "[server]") {
  const ModelConfig model = ModelConfig::load(published("26B-A4B"));
  ServeConfig config;
  CHECK(engine_options(config, model, 8 * kGiB).max_num_batched_tokens == 256 + 280);
  config.max_image_tokens = 1120;
  CHECK(engine_options(config, model, 8 * kGiB).max_num_batched_tokens == 256 + 1120);
  config.max_num_batched_tokens = 1300;
  CHECK(contains(thrown_by<StartupError>([&] { engine_options(config, model, 8 * kGiB); }),
                 "an image of 1120"));
  config.max_num_seqs = 180;
  CHECK(engine_options(config, model, 8 * kGiB).max_num_batched_tokens == 1300);
  // E2B's images may be cut.
  const ModelConfig small = ModelConfig::load(published("E2B"));
  CHECK(engine_options(ServeConfig{}, small, 8 * kGiB).max_num_batched_tokens == 512);
  config.max_image_tokens = 0;
  CHECK_FALSE(load_model_config(config, published("26B-A4B")).vision.has_value());
}

TEST_CASE("--device goes where the model can be computed, and says why", "[server]") {
  const auto chosen = [](const char* device, const ModelConfig& model, const char* kv = "auto") {
    ServeConfig config;
    config.device = device;
    config.kv_cache_dtype = kv;
    return choose_device(config, model);
  };
  const auto refused = [&](const ModelConfig& model) {
    return thrown_by<StartupError>([&] { chosen("cuda", model); });
  };
  const ModelConfig model = ModelConfig::load(published("26B-A4B"));
  CHECK(chosen("cuda", model, "fp8").is_cuda);  // a GPU need not be there
  CHECK(chosen("cpu", model).note.empty());
  // This test is linked without CUDA.
  CHECK(chosen("auto", model).note ==
        "Computing on the CPU, as --device auto found: this build has no CUDA, as no nvcc of "
        "12.8 or newer was found for it (install one and build again).");
  CHECK(contains(thrown_by<StartupError>([&] { chosen("auto", model, "fp8"); }), "fp8"));

  ModelConfig other = model;
  for (LayerConfig& layer : other.layers) layer.head_dim = 128;
  CHECK(contains(refused(other), "head_dim is 128, not one of 16, 32, 64, 256, 512"));
  CHECK(contains(chosen("auto", other).note, "head_dim is 128"));
  other = model;
  other.n_experts = 129;
  CHECK(contains(refused(other), "num_experts is 129, more than 128"));
  other = model;
  other.top_k_experts = 9;
  CHECK(contains(refused(other), "top_k_experts is 9, more than 8"));
  other = model;
  other.moe_ffn = 700;
  CHECK(contains(refused(other), "moe_intermediate_size is 700, not a multiple of 8"));
  other = model;
  for (LayerConfig& layer : other.layers) layer.n_heads = 32 * layer.n_kv_heads;
  CHECK(contains(refused(other), "num_attention_heads"));

  ServeConfig config;
  config.device = "cpu";
  config.origins["gpu-memory-utilization"] = "flag --gpu-memory-utilization";
  CHECK(contains(thrown_by<StartupError>([&] { choose_device(config, model); }),
                 "--memory-utilization"));
  config.device = "auto";  // not refused, as it may be meant for another machine, but said
  CHECK(contains(choose_device(config, model).note,
                 "--gpu-memory-utilization counts for nothing on the CPU"));
  config.device = "cuda";
  CHECK(choose_device(config, model).is_cuda);
  config.origins["memory-utilization"] = "environment LAPIDARY_MEMORY_UTILIZATION";
  CHECK(contains(thrown_by<StartupError>([&] { choose_device(config, model); }),
                 "--gpu-memory-utilization"));
}

TEST_CASE("a step holds a token of every sequence", "[server]") {
  ServeConfig config;
  const ModelConfig model = tiny_config("dense");
  CHECK(engine_options(config, model, kGiB).max_num_batched_tokens == 512);
  CHECK(engine_options(config, model, kGiB, true).max_num_batched_tokens == 8192);
  config.max_num_seqs = 1000;
  CHECK(engine_options(config, model, kGiB).max_num_batched_tokens == 1000);
  config.max_num_seqs = 10000;
  CHECK(engine_options(config, model, kGiB, true).max_num_batched_tokens == 10000);
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
