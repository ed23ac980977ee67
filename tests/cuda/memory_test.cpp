// The memory plan of a GPU against what the backend really takes.
#include <cstdio>

#include "engine/model/dry_run.h"
#include "engine/model/step_memory.h"
#include "tests/catch.h"
#include "tests/engine/golden_model.h"

namespace lapidary {
namespace {

// Steps whose attention is cut into segments, and whose experts are grouped.
constexpr StepLimits kLimits{.max_tokens = 96, .max_seqs = 24, .max_keys = 1500};

struct Taken {
  int64_t buffers, workspace;  // bytes
};

Taken taken_after_dry_run(const char* name, DType kv, int64_t reserved) {
  GoldenModel golden;
  golden.config = ModelConfig::load(GoldenModel::folder(name));
  golden.backend = make_cuda_backend({.compute = DType::bf16});
  const auto checkpoint = Checkpoint::open(GoldenModel::folder(name), golden.config);
  golden.decoder = std::make_unique<Gemma4>(
      golden.config, load_weights(golden.config, *checkpoint, *golden.backend), *golden.backend);
  const int64_t free = golden.backend->free_bytes();
  golden.decoder->reserve(kLimits);
  const int64_t buffers = free - golden.backend->free_bytes();
  golden.backend->reserve_workspace(reserved);
  dry_run(*golden.decoder, *golden.backend, kLimits, kv);
  return {buffers, golden.backend->workspace_bytes()};
}

}  // namespace

TEST_CASE("a GPU takes the workspaces that were planned, and needs them", "[cuda][engine]") {
  int n_halved = 0;
  for (const char* name : kGoldenCheckpoints) {
    const ModelConfig config = ModelConfig::load(GoldenModel::folder(name));
    const StepMemory plan = cuda_step_memory(config, kLimits);
    INFO(name << ": planned " << plan.workspace);
    const Taken taken = taken_after_dry_run(name, DType::bf16, plan.workspace);
    CHECK(taken.workspace == plan.workspace);
    // Beside the buffers there are the frequencies of the two rotary tables.
    CHECK(taken.buffers >= plan.buffers);
    CHECK(taken.buffers <= plan.buffers + 4096);
    // What half of it would not hold is taken later; but that lists of edits are long is only
    // allowed for.
    if (plan.workspace != plan.attention) continue;
    ++n_halved;
    CHECK(taken_after_dry_run(name, DType::bf16, plan.workspace / 2).workspace >
          plan.workspace / 2);
  }
  CHECK(n_halved > 0);
}

TEST_CASE("fp8 pages are kept for every golden model, whatever of K its heads turn",
          "[cuda][engine]") {
  for (const char* name : kGoldenCheckpoints) {
    INFO(name);
    CHECK(taken_after_dry_run(name, DType::f8e4m3, 0).workspace > 0);
  }
}

}  // namespace lapidary
