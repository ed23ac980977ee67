// The memory plan of a GPU against what the backend really takes.
#include <cuda_runtime.h>

#include "engine/model/dry_run.h"
#include "engine/model/step_memory.h"
#include "kernels/cuda_memory.h"
#include "tests/catch.h"
#include "tests/cuda/paged_batch.h"
#include "tests/ends.h"
#include "tests/engine/golden_model.h"

namespace lapidary {
namespace {

// Steps whose attention is cut into segments, and whose experts are grouped.
constexpr StepLimits kLimits{.max_tokens = 96, .max_seqs = 24, .max_keys = 1500};

struct Taken {
  int64_t buffers, workspace;  // bytes
};

Taken taken_after_dry_run(const char* name, DType kv, int64_t reserved,
                          const StepLimits& limits = kLimits) {
  GoldenModel golden;
  golden.config = ModelConfig::load(GoldenModel::folder(name));
  golden.backend = make_cuda_backend({.compute = DType::bf16});
  const auto checkpoint = Checkpoint::open(GoldenModel::folder(name), golden.config);
  golden.decoder = std::make_unique<Gemma4>(
      golden.config, load_weights(golden.config, *checkpoint, *golden.backend), *golden.backend);
  const int64_t free = golden.backend->free_bytes();
  golden.decoder->reserve(limits);
  const int64_t buffers = free - golden.backend->free_bytes();
  golden.backend->reserve_workspace(reserved);
  dry_run(*golden.decoder, *golden.backend, limits, kv);
  return {buffers, golden.backend->workspace_bytes()};
}

}  // namespace

TEST_CASE("a GPU takes the workspaces that were planned, and needs them", "[cuda][engine]") {
  for (const char* name : kGoldenCheckpoints) {
    const ModelConfig config = ModelConfig::load(GoldenModel::folder(name));
    const StepMemory plan = cuda_step_memory(config, kLimits);
    INFO(name << ": planned " << plan.workspace);
    const Taken taken = taken_after_dry_run(name, DType::bf16, plan.workspace);
    CHECK(taken.workspace == plan.workspace);
    // Beside the buffers there are the frequencies of the two rotary tables.
    CHECK(taken.buffers >= plan.buffers);
    CHECK(taken.buffers <= plan.buffers + 4096);
  }
}

TEST_CASE(
    "where attention takes the most, the plan knows that a recorded step's keys are rounded up",
    "[cuda][engine]") {
  constexpr StepLimits kFew{.max_tokens = 4, .max_seqs = 2, .max_keys = 9000};
  int n_shown = 0;  // models whose attention takes the most
  for (const char* name : kGoldenCheckpoints) {
    const StepMemory plan = cuda_step_memory(ModelConfig::load(GoldenModel::folder(name)), kFew);
    INFO(name << ": planned " << plan.workspace);
    n_shown += plan.workspace == plan.attention ? 1 : 0;
    CHECK(taken_after_dry_run(name, DType::bf16, plan.workspace, kFew).workspace == plan.workspace);
  }
  CHECK(n_shown > 0);
}

TEST_CASE("attention takes for its partial results what the plan says, to the byte", "[cuda]") {
  for (const int window : {0, 300}) {
    const cases::Attention c{"", 8, 2, 32, window, {{1500, 1}, {40, 1}, {700, 1}}};
    const int slots = cuda::attention_slots(1501, window, c.n_kv_heads);
    const int64_t planned = cuda::attention_bytes(3, slots, c.n_heads, c.head_dim);
    for (const int64_t missing : {0, 256}) {
      const auto backend = make_cuda_backend({.compute = DType::bf16});
      backend->reserve_workspace(planned - missing);
      const PagedBatch batch = paged_batch(*backend, c, DType::bf16, 0, 1);
      backend->attention(batch.call(*backend, 0, 3).args);
      INFO("window " << window << ", planned " << planned << ", missing " << missing);
      CHECK((backend->workspace_bytes() == planned) == (missing == 0));
    }
  }
}

TEST_CASE("a running engine that needs more workspace than there is ends with exit code 70",
          "[cuda]") {
  const cases::Attention c{"", 8, 2, 32, 0, {{1500, 1}}};
  for (const int64_t reserved : {0, 256}) {
    const auto backend = make_cuda_backend({.compute = DType::bf16});
    backend->reserve_workspace(reserved);
    const PagedBatch batch = paged_batch(*backend, c, DType::bf16, 0, 1);
    const auto call = batch.call(*backend, 0, 1);
    const auto run = [&] { backend->attention(call.args); };
    INFO("reserved " << reserved);
    CHECK(exit_code(run) == 0);
    CHECK(exit_code([&] {
            cuda_on_cpu::set_device_memory(0);
            run();
          }) == 70);
  }
}

TEST_CASE("fp8 pages are kept for every golden model, whatever of K its heads turn",
          "[cuda][engine]") {
  for (const char* name : kGoldenCheckpoints) {
    INFO(name);
    CHECK(taken_after_dry_run(name, DType::f8e4m3, 0).workspace > 0);
  }
}

}  // namespace lapidary
