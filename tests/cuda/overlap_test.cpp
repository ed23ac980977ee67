// The verbs of a decode step one after another, where each grid may begin before the one before it
// is done (--cuda-path hopper): the same bits as where none does.
#include "tests/cuda/device_data.h"
#include "tests/cuda/paths.h"
#include "tests/cuda/schedules.h"
#include "tests/kernels/data.h"
#include "tests/reference/norm.h"

namespace lapidary {
namespace {

constexpr int64_t kTokens = 3, kHidden = 72, kFfn = 40, kMoeFfn = 24, kExperts = 6, kTopK = 2;
constexpr int64_t kHeads = 4, kHeadDim = 16, kAngles = 8, kVocab = 171;

Weight stacked(Backend& backend, int64_t rows, int64_t cols, uint32_t seed, int64_t count = 1) {
  const FileMatrix matrix(rows, cols, DType::bf16, seed, count, 0.2F);
  const HostMatrix host = matrix.host();
  return backend.pack({&host, 1}, WeightForm::stacked);
}

Weight gate_up(Backend& backend, int64_t ffn, uint32_t seed, int64_t count = 1) {
  const FileMatrix gate(ffn, kHidden, DType::bf16, seed, count, 0.2F);
  const FileMatrix up(ffn, kHidden, DType::bf16, seed + 1, count, 0.2F);
  const HostMatrix parts[] = {gate.host(), up.host()};
  return backend.pack(parts, WeightForm::gate_up);
}

struct Step {
  explicit Step(Backend& device) : backend(device) {}

  OnDevice act(int64_t width) { return unwritten(backend, DType::bf16, {kTokens, width}); }

  // Nothing is sent or fetched between the verbs.
  std::vector<float> run() {
    const OnDevice h = to_device(backend, h0, DType::f32, {kTokens, kHidden});
    const OnDevice x = act(kHidden), q_in = act(kHeads * kHeadDim), q = act(kHeads * kHeadDim);
    const OnDevice o = act(kHidden), normed = act(kHidden), inner = act(kFfn), dense = act(kHidden);
    const OnDevice sparse = act(kHidden), last = act(kHidden);
    const OnDevice logits = unwritten(backend, DType::f32, {kTokens, kVocab});
    backend.rms_norm({.x = h, .weight = norm, .out = x});
    backend.linear({x, &w_q, q_in});
    backend.qkv({.qkv = q_in,
                 .q_norm = q_norm,
                 .rope = rope,
                 .n_heads = kHeads,
                 .head_dim = kHeadDim,
                 .q = q});
    backend.linear({q, &w_o, o});
    backend.add_norm({.h = h, .x = o, .weight = norm, .next = {norm, normed}});
    backend.geglu_linear({normed, &w_gate_up, inner});
    backend.linear({inner, &w_down, dense});
    backend.moe_ffn({normed, experts, shares, &w_experts_in, &w_experts_out, sparse});
    backend.moe_combine({.h = h,
                         .dense = dense,
                         .sparse = sparse,
                         .dense_weight = norm,
                         .sparse_weight = norm,
                         .weight = norm,
                         .next = {norm, last}});
    backend.logits({last, &w_vocab, 30, logits});
    return from_device(backend, logits);
  }

  Backend& backend;
  std::vector<float> h0 = normals(kTokens * kHidden, 1);
  Weight w_q = stacked(backend, kHeads* kHeadDim, kHidden, 2);
  Weight w_o = stacked(backend, kHidden, kHeads* kHeadDim, 3);
  Weight w_gate_up = gate_up(backend, kFfn, 4);
  Weight w_down = stacked(backend, kHidden, kFfn, 6);
  Weight w_experts_in = gate_up(backend, kMoeFfn, 7, kExperts);
  Weight w_experts_out = stacked(backend, kHidden, kMoeFfn, 9, kExperts);
  Weight w_vocab = stacked(backend, kVocab, kHidden, 10);
  OnDevice norm = to_device(backend, normals(kHidden, 11), DType::f32, {kHidden});
  OnDevice q_norm = to_device(backend, normals(kHeadDim, 12), DType::f32, {kHeadDim});
  OnDevice rope =
      to_device(backend, normals(kTokens * 2 * kAngles, 13), DType::f32, {kTokens, 2, kAngles});
  OnDevice experts = to_device(backend, std::vector<int32_t>{0, 3, 3, 5, 1, 0}, {kTokens, kTopK});
  OnDevice shares = to_device(backend, normals(kTokens* kTopK, 14), DType::f32, {kTokens, kTopK});
};

}  // namespace

TEST_CASE("a step's verbs give the same bits where their grids overlap", "[cuda]") {
  const auto portable = make_cuda_backend({});
  const auto expected = Step(*portable).run();
  for (const float x : expected) REQUIRE(std::isfinite(x));
  for (const CudaPath path : cuda_paths()) {
    INFO(name_of(path));
    const auto backend = make_cuda_backend({.cuda_path = path});
    Step step(*backend);
    each_schedule([&] { require_same_bits(step.run(), expected); });
  }
}

}  // namespace lapidary
