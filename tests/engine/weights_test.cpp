// What load_weights hands to the backend: which rows of which tensors, in which order and scale;
// and the random weights that stand in for a checkpoint.
#include "engine/model/weights.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "config/startup_error.h"
#include "engine/model/dummy_weights.h"
#include "tests/catch.h"
#include "tests/engine/tiny_config.h"
#include "tests/thrown.h"

using namespace lapidary;

namespace {

// Packs by writing every part out row by row as float, and computes nothing.
class PlainBackend : public Backend {
 public:
  std::string description() const override { return "plain"; }
  DType compute_dtype() const override { return DType::f32; }
  DType activation_dtype() const override { return DType::f32; }
  int n_threads() const override { return 1; }
  std::vector<KernelPath> kernel_paths() const override { return {}; }
  bool stores_v_once() const override { return false; }
  int64_t free_bytes() const override { return int64_t{1} << 40; }
  Ceilings measure_ceilings() override { return {}; }
  Buffer allocate(size_t bytes) override {
    return {std::calloc(1, bytes), bytes, [](void* p) { std::free(p); }};
  }
  void upload(void* to, const void* from, size_t bytes) override { std::memcpy(to, from, bytes); }
  void download(void* to, const void* from, size_t bytes) override { std::memcpy(to, from, bytes); }
  Buffer map_host(const HostMatrix& matrix) override {
    return {const_cast<void*>(matrix.data), 0, [](void*) {}};
  }

  // [count][parts in order][rows][cols]
  Weight pack(std::span<const HostMatrix> parts, WeightForm form) override {
    Weight w;
    w.dtype = DType::f32;
    w.form = form;
    w.cols = parts[0].cols;
    w.count = parts[0].count;
    for (const HostMatrix& part : parts) w.rows += part.rows;
    w.buffer = allocate(static_cast<size_t>(w.count * w.rows * w.cols) * sizeof(float));
    auto* out = static_cast<float*>(w.buffer.data());
    for (int64_t c = 0; c < w.count; ++c) {
      for (const HostMatrix& part : parts) {
        REQUIRE(part.cols == w.cols);
        REQUIRE(part.dtype == DType::f32);
        const auto* from = static_cast<const float*>(part.data) + c * part.count_stride;
        std::memcpy(out, from, static_cast<size_t>(part.rows * part.cols) * sizeof(float));
        out += part.rows * part.cols;
      }
    }
    return w;
  }
  Tensor kv_pages(void*, DType, int64_t, int, int) const override { return {}; }

  void copy(void*, const void*, size_t) override { FAIL(); }
  void embed(const EmbedArgs&) override { FAIL(); }
  void rms_norm(const RmsNormArgs&) override { FAIL(); }
  void add_norm(const AddNormArgs&) override { FAIL(); }
  void moe_combine(const MoeCombineArgs&) override { FAIL(); }
  void linear(const LinearArgs&) override { FAIL(); }
  void geglu_linear(const GegluLinearArgs&) override { FAIL(); }
  void rope_table(const RopeTableArgs&) override { FAIL(); }
  void qkv(const QkvArgs&) override { FAIL(); }
  void attention(const AttentionArgs&) override { FAIL(); }
  void moe_route(const MoeRouteArgs&) override { FAIL(); }
  void moe_ffn(const MoeFfnArgs&) override { FAIL(); }
  void ple_inputs(const PleInputsArgs&) override { FAIL(); }
  void ple_gate(const PleGateArgs&) override { FAIL(); }
  void logits(const LogitsArgs&) override { FAIL(); }
  std::vector<Sampled> sample(const SampleArgs&) override {
    FAIL();
    return {};
  }
  void gather_rows(const GatherRowsArgs&) override { FAIL(); }
  void copy_pages(const CopyPagesArgs&) override { FAIL(); }
  void add_embeddings(const AddEmbeddingsArgs&) override { FAIL(); }
  void clip(const ClipArgs&) override { FAIL(); }
  void pool_rows(const PoolRowsArgs&) override { FAIL(); }
  void widen(const WidenArgs&) override { FAIL(); }
};

// Every value of every tensor is its own: the tensor's number in the table and the element's index.
class NumberedSource : public TensorSource {
 public:
  explicit NumberedSource(const ModelConfig& config) : specs_(expected_tensors(config)) {}

  bool has(std::string_view name) const override {
    for (const TensorSpec& spec : specs_) {
      if (spec.name == name) return !spec.optional;
    }
    return false;
  }
  HostTensor get(const TensorSpec& spec) override {
    auto values = std::make_shared<std::vector<float>>(spec.count());
    for (int64_t i = 0; i < spec.count(); ++i) (*values)[i] = value(spec.name, i);
    if (spec.name == poisoned) (*values)[0] = std::numeric_limits<float>::infinity();
    return {.dtype = DType::f32,
            .shape = spec.shape,
            .data = values->data(),
            .bytes = static_cast<int64_t>(values->size() * sizeof(float)),
            .owner = values};
  }
  void done_with(const TensorSpec& spec) override { read.push_back(spec.name); }

  float value(const std::string& name, int64_t i) const {
    for (size_t t = 0; t < specs_.size(); ++t) {
      if (specs_[t].name == name) return static_cast<float>(t * 65536 + i % 65536);
    }
    return NAN;
  }

  std::string poisoned;
  std::vector<std::string> read;

 private:
  std::vector<TensorSpec> specs_;
};

const float* floats(const Weight& w) { return static_cast<const float*>(w.buffer.data()); }
const float* floats(const WeightVector& v) { return static_cast<const float*>(v.buffer.data()); }

std::vector<uint8_t> bytes_of(const HostTensor& t) {
  const auto* begin = static_cast<const uint8_t*>(t.data);
  return {begin, begin + t.bytes};
}

const TensorSpec& spec_of(const std::vector<TensorSpec>& specs, const std::string& name) {
  for (const TensorSpec& spec : specs) {
    if (spec.name == name) return spec;
  }
  FAIL(name);
  return specs.front();
}

}  // namespace

TEST_CASE("q, k and v are stacked, as far as a layer has them", "[engine]") {
  PlainBackend backend;
  const ModelConfig config = tiny_config("ple");  // layers 2 and 3 share KV
  NumberedSource source(config);
  const Weights w = load_weights(config, source, backend);
  const LayerWeights& own = w.layers[0];
  REQUIRE(own.qkv.rows == (4 + 2 + 2) * 16);
  const int64_t cols = config.hidden;
  CHECK(floats(own.qkv)[0] == source.value("layers.0.self_attn.q_proj.weight", 0));
  CHECK(floats(own.qkv)[64 * cols] == source.value("layers.0.self_attn.k_proj.weight", 0));
  CHECK(floats(own.qkv)[96 * cols + 5] == source.value("layers.0.self_attn.v_proj.weight", 5));
  CHECK(w.layers[2].qkv.rows == 4 * 16);
  CHECK_FALSE(w.layers[2].k_norm);
  CHECK(w.layers[3].gate_up.rows == 2 * 80);  // double width

  const ModelConfig moe = tiny_config("moe");
  NumberedSource moe_source(moe);
  const Weights m = load_weights(moe, moe_source, backend);
  CHECK(m.layers[1].qkv.rows == (4 + 1) * 32);  // K = V: no v_proj
  CHECK(m.layers[0].qkv.rows == (4 + 2 + 2) * 16);
}

TEST_CASE("experts are cut into gate and up, expert by expert", "[engine]") {
  PlainBackend backend;
  const ModelConfig config = tiny_config("moe");
  NumberedSource source(config);
  const Weights w = load_weights(config, source, backend);
  const LayerWeights& layer = w.layers[2];
  REQUIRE(layer.experts_gate_up.count == 8);
  REQUIRE(layer.experts_gate_up.rows == 48);
  CHECK(layer.experts_gate_up.form == WeightForm::gate_up);
  const int64_t each = 48 * 48;
  const std::string name = "layers.2.experts.gate_up_proj";
  for (int64_t e : {0, 3, 7}) {
    CHECK(floats(layer.experts_gate_up)[e * each] == source.value(name, e * each));
    CHECK(floats(layer.experts_gate_up)[e * each + 24 * 48] ==
          source.value(name, e * each + 24 * 48));
    CHECK(floats(layer.experts_down)[e * 48 * 24 + 1] ==
          source.value("layers.2.experts.down_proj", e * 48 * 24 + 1));
  }
  CHECK(layer.experts_down.rows == 48);
  CHECK(layer.experts_down.cols == 24);
  CHECK(layer.router.rows == 8);
  CHECK(floats(layer.router_scale)[7] ==
        source.value("layers.2.router.scale", 7) * (1.0F / std::sqrt(48.0F)));
  CHECK(floats(layer.per_expert_scale)[7] == source.value("layers.2.router.per_expert_scale", 7));
  CHECK(layer.layer_scalar == source.value("layers.2.layer_scalar", 0));
}

TEST_CASE("every required tensor is read once, and progress ends at the total", "[engine]") {
  PlainBackend backend;
  for (const char* kind : {"dense", "moe", "ple"}) {
    const ModelConfig config = tiny_config(kind);
    NumberedSource source(config);
    int64_t last = 0;
    LoadState state;
    load_weights(config, source, backend, [&](const LoadState& now) {
      CHECK((now.done > last || now.done == now.total));
      last = now.done;
      state = now;
    });
    CHECK(last == state.total);
    CHECK(state.bytes > 0);
    size_t n_packed = 0;  // the per-layer embedding table stays where it is
    for (const TensorSpec& spec : expected_tensors(config)) {
      if (!spec.optional && spec.role != TensorRole::ple_table) ++n_packed;
    }
    std::sort(source.read.begin(), source.read.end());
    CHECK(std::unique(source.read.begin(), source.read.end()) == source.read.end());
    CHECK(source.read.size() == n_packed);
  }
}

TEST_CASE("a scale or norm that is not finite ends the start with its name", "[engine]") {
  PlainBackend backend;
  const ModelConfig config = tiny_config("dense");
  for (const char* name :
       {"layers.1.layer_scalar", "norm.weight", "layers.0.self_attn.q_norm.weight"}) {
    NumberedSource source(config);
    source.poisoned = name;
    CHECK(contains(thrown_by<StartupError>([&] { load_weights(config, source, backend); }), name));
  }
}

TEST_CASE("embedding scales are roots rounded to the table's own type", "[engine]") {
  // A DummyWeights source has the declared type; f32 is the one PlainBackend packs.
  PlainBackend backend;
  const ModelConfig config = tiny_config("ple", "float32");
  DummyWeights source(config);
  const Weights w = load_weights(config, source, backend);
  CHECK(w.embed_scale == std::sqrt(48.0F));
  CHECK(w.ple_table_scale == 4.0F);
  CHECK(w.ple_table.rows == 320);
  CHECK(w.ple_table.cols == 4 * 16);
  CHECK(w.keep_alive != nullptr);
  CHECK(rounded_sqrt(2816, DType::bf16) == 53.0F);
  CHECK(rounded_sqrt(1536, DType::bf16) == 39.25F);
  CHECK(rounded_sqrt(2560, DType::bf16) == 50.5F);
  CHECK(rounded_sqrt(5376, DType::bf16) == 73.5F);
  CHECK(rounded_sqrt(3840, DType::bf16) == 62.0F);
  CHECK(rounded_sqrt(2816, DType::f16) == 53.0625F);
  CHECK(rounded_sqrt(2816, DType::f32) == std::sqrt(2816.0F));
}

TEST_CASE("dummy weights are the same whatever the threads, and differ by seed and name",
          "[engine]") {
  const ModelConfig config = tiny_config("moe");
  const auto specs = expected_tensors(config);
  DummyWeights one(config, 7, 1);
  DummyWeights four(config, 7, 4);
  DummyWeights other(config, 8, 4);
  ModelConfig wide = config;
  wide.vocab = 40000;  // enough elements that threads share them
  const TensorSpec big = expected_tensors(wide).front();
  CHECK(bytes_of(DummyWeights(wide, 7, 1).get(big)) == bytes_of(DummyWeights(wide, 7, 3).get(big)));
  for (const TensorSpec& spec : specs) {
    if (!one.has(spec.name)) continue;
    CHECK(bytes_of(one.get(spec)) == bytes_of(four.get(spec)));
  }
  const TensorSpec& q = spec_of(specs, "layers.0.self_attn.q_proj.weight");
  CHECK(bytes_of(one.get(q)) != bytes_of(other.get(q)));
  CHECK(bytes_of(one.get(q)) !=
        bytes_of(one.get(spec_of(specs, "layers.2.self_attn.q_proj.weight"))));
  CHECK_FALSE(one.has("lm_head.weight"));
}

TEST_CASE("dummy matrices have the deviation of 1 / sqrt(inputs), in every type", "[engine]") {
  PlainBackend backend;
  ModelConfig config = tiny_config("dense", "float32");
  config.hidden = 512;
  const TensorSpec down = spec_of(expected_tensors(config), "layers.0.mlp.gate_proj.weight");
  double sum[3] = {};
  int at = 0;
  for (const char* dtype : {"float32", "bfloat16", "float16"}) {
    config.dtype = dtype;
    const HostTensor t = DummyWeights(config, 1).get(down);
    double square = 0;
    for (int64_t i = 0; i < down.count(); ++i) {
      const double x = host_element(t, i);
      REQUIRE(std::isfinite(x));
      square += x * x;
      sum[at] += x;
    }
    CHECK(std::sqrt(square / static_cast<double>(down.count())) ==
          Approx(1 / std::sqrt(512.0)).epsilon(0.05));
    ++at;
  }
  // The same values, rounded differently.
  CHECK(sum[1] == Approx(sum[0]).margin(0.5));
  CHECK(sum[2] == Approx(sum[0]).margin(0.05));
}
