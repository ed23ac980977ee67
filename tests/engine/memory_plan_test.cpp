// Memory plans of the published sizes against figures computed by hand, and the split of the KV
// budget between the two page pools.
#include "engine/memory_plan.h"

#include <algorithm>

#include "config/startup_error.h"
#include "tests/catch.h"
#include "tests/engine/tiny_config.h"
#include "tests/thrown.h"

using namespace lapidary;

namespace {

constexpr int64_t kGiB = int64_t{1} << 30;

ModelConfig published(const std::string& size) {
  return ModelConfig::load(std::filesystem::path(LAPIDARY_SOURCE_DIR) / "tests/golden/configs" /
                           size);
}

double billions(const ModelConfig& config) {
  int64_t n = 0;
  for (const WeightPart& part : weight_parts(config, DType::bf16)) n += part.params;
  return static_cast<double>(n) / 1e9;
}

ModelConfig text_part(const char* size) {
  ModelConfig config = published(size);
  config.vision.reset();
  return config;
}

// The smallest share that any judged length gets of what it could have.
double worst_share(const ModelConfig& config, const KvPlan& plan, const KvDemand& demand,
                   int64_t budget) {
  const KvShape shape = kv_shape(config, demand.kv);
  double worst = 1;
  for (int64_t length = 256; length <= demand.max_model_len; length *= 2) {
    const int64_t window = shape.sliding_pages(length, 1);
    const int64_t chunk = shape.sliding_pages(length, demand.step_tokens) - window;
    const double n = std::min(
        {static_cast<double>(demand.max_num_seqs),
         static_cast<double>(plan.sliding_pages - chunk) / static_cast<double>(window),
         static_cast<double>(plan.global_pages) / static_cast<double>(shape.global_pages(length))});
    const double best = std::min(static_cast<double>(demand.max_num_seqs),
                                 static_cast<double>(budget - chunk * shape.sliding_page_bytes) /
                                     static_cast<double>(shape.sequence_bytes(length, 1)));
    worst = std::min(worst, n / best);
  }
  return worst;
}

}  // namespace

TEST_CASE("parameter counts are those of the published models", "[engine]") {
  CHECK(billions(text_part("E2B")) == Approx(4.629).margin(0.001));
  CHECK(billions(text_part("E4B")) == Approx(7.463).margin(0.001));
  CHECK(billions(text_part("12B")) == Approx(11.907).margin(0.001));
  CHECK(billions(text_part("26B-A4B")) == Approx(25.233).margin(0.001));
  CHECK(billions(text_part("31B")) == Approx(30.697).margin(0.001));
}

TEST_CASE("vision towers have about 167 and 570 million parameters", "[engine]") {
  for (const auto& [size, millions] :
       {std::pair{"E2B", 167.0}, {"E4B", 167.0}, {"26B-A4B", 570.0}, {"31B", 570.0}}) {
    INFO(size);
    CHECK(1e3 * (billions(published(size)) - billions(text_part(size))) ==
          Approx(millions).margin(8));
  }
}

TEST_CASE("weights of 26B-A4B take 50.47 GB in bfloat16, twice that in float32", "[engine]") {
  const ModelConfig config = text_part("26B-A4B");
  CHECK(static_cast<double>(resident_weight_bytes(config, DType::bf16)) / 1e9 ==
        Approx(50.47).margin(0.01));
  CHECK(static_cast<double>(resident_weight_bytes(config, DType::f32)) / 1e9 ==
        Approx(100.93).margin(0.02));
  // The per-layer embedding table of E2B (4.70 GB) is not resident.
  CHECK(static_cast<double>(resident_weight_bytes(text_part("E2B"), DType::bf16)) / 1e9 ==
        Approx(2 * 2.28).margin(0.02));
}

TEST_CASE("KV bytes a token and the sliding cap are the published sizes'", "[engine]") {
  struct Row {
    const char* size;
    int64_t sliding_bytes, global_bytes;  // a token, all KV-owning layers
    double cap_mib;                       // window pages of all sliding layers
    double total_gib;                     // one sequence of the longest length
  };
  const Row row =
      GENERATE(Row{"E2B", 12 * 1024, 6144, 6, 0.756}, Row{"E4B", 20 * 2048, 16384, 20, 2.02},
               Row{"12B", 40 * 8192, 16384, 320, 4.31}, Row{"26B-A4B", 25 * 8192, 20480, 200, 5.20},
               Row{"31B", 50 * 16384, 81920, 800, 20.78});
  INFO(row.size);
  const ModelConfig config = published(row.size);
  const KvShape shape = kv_shape(config, {DType::bf16});
  CHECK(shape.sliding_page_bytes == 16 * row.sliding_bytes);
  CHECK(shape.global_page_bytes == 16 * row.global_bytes);
  CHECK(static_cast<double>(shape.window * row.sliding_bytes) / (1 << 20) == Approx(row.cap_mib));
  // One page more than the window, since it may begin inside a page.
  CHECK(shape.sliding_pages(config.max_positions, 1) == config.layers[0].window / 16 + 1);
  const auto total = static_cast<double>(shape.sequence_bytes(config.max_positions, 1));
  const double extra_page = static_cast<double>(shape.sliding_page_bytes);
  CHECK((total - extra_page) / kGiB == Approx(row.total_gib).margin(0.006));
  CHECK(kv_shape(config, {DType::f32}).global_page_bytes == 32 * row.global_bytes);
}

TEST_CASE("K is kept whole where its turned dims do not fill loads of 16 bytes", "[engine]") {
  ModelConfig config = published("26B-A4B");
  LayerConfig layer = config.layers[5];
  REQUIRE(layer.k_eq_v);
  CHECK(key_width(config, layer, {DType::bf16, true}) == 128);
  CHECK(key_width(config, layer, {DType::f8e4m3, true}) == 128);
  CHECK(key_width(config, layer, {DType::bf16, false}) == 512);
  layer.head_dim = 32;  // a quarter turns: 8 dims
  CHECK(key_width(config, layer, {DType::bf16, true}) == 8);
  CHECK(key_width(config, layer, {DType::f8e4m3, true}) == 32);
  layer.head_dim = 16;  // 4 dims
  CHECK(key_width(config, layer, {DType::bf16, true}) == 16);
  layer.head_dim = 256;  // no kernel for it
  CHECK(key_width(config, layer, {DType::bf16, true}) == 256);
}

TEST_CASE("one longest sequence always fits, or the start ends with what to set", "[engine]") {
  const ModelConfig config = published("26B-A4B");
  KvDemand demand = {.max_model_len = 262144, .max_num_seqs = 256, .step_tokens = 512};
  const KvShape shape = kv_shape(config, {DType::bf16});
  const int64_t least = shape.sequence_bytes(262144, 512);
  const std::string message = thrown_by<StartupError>([&] { plan_kv(config, least - 1, demand); });
  CHECK(contains(message, "262144 tokens"));
  CHECK(contains(message, "--kv-cache-memory-bytes"));
  CHECK(contains(message, "--max-model-len"));
  const KvPlan plan = plan_kv(config, least, demand);
  CHECK(plan.sliding_pages == shape.sliding_pages(262144, 512));
  CHECK(plan.global_pages == 16384);
  CHECK(plan.bytes == least);
  CHECK(sequences_at_once(config, plan, demand, 262144) == 1);
  CHECK_THROWS_AS(plan_kv(config, 0, demand), StartupError);
  CHECK_THROWS_AS(plan_kv(config, -1, demand), StartupError);
}

TEST_CASE("the split loses least over all lengths", "[engine]") {
  for (const char* size : {"E4B", "26B-A4B", "31B"}) {
    const ModelConfig config = published(size);
    for (const int seqs : {4, 32, 256}) {
      KvDemand demand = {.max_model_len = 32768, .max_num_seqs = seqs, .step_tokens = 512};
      const int64_t budget = 8 * kGiB;
      const KvShape shape = kv_shape(config, {DType::bf16});
      const KvPlan plan = plan_kv(config, budget, demand);
      INFO(size << " " << seqs);
      CHECK(plan.bytes <= budget);
      const double got = worst_share(config, plan, demand, budget);
      // No other split is better, found by trying many of them.
      for (int64_t sliding = shape.sliding_pages(32768, 512);
           sliding * shape.sliding_page_bytes < budget; sliding += 7) {
        KvPlan other = {.sliding_pages = sliding};
        other.global_pages =
            (budget - sliding * shape.sliding_page_bytes) / shape.global_page_bytes;
        if (other.global_pages < shape.global_pages(32768)) break;
        CHECK(worst_share(config, other, demand, budget) <= got + 1e-9);
      }
    }
  }
}

TEST_CASE("no more pages are taken than the sequences can use", "[engine]") {
  const ModelConfig config = tiny_config("dense");
  KvDemand demand = {.max_model_len = 4096, .max_num_seqs = 3, .step_tokens = 64};
  const KvPlan plan = plan_kv(config, 64 * kGiB, demand);
  const KvShape shape = kv_shape(config, {DType::bf16});
  CHECK(plan.global_pages == 3 * 256);
  CHECK(plan.sliding_pages == 2 * shape.sliding_pages(4096, 1) + shape.sliding_pages(4096, 64));
  CHECK(sequences_at_once(config, plan, demand, 4096) == 3);
  CHECK(sequences_at_once(config, plan, demand, 256) == 3);
}

TEST_CASE("models of one kind of layer get one pool", "[engine]") {
  ModelConfig config = tiny_config("dense");
  for (LayerConfig& layer : config.layers) {
    layer = config.layers[1];
  }
  for (int l = 0; l < config.n_layers(); ++l) config.layers[l].kv_layer = l;
  KvDemand demand = {.max_model_len = 1024, .max_num_seqs = 8, .step_tokens = 64};
  const KvPlan plan = plan_kv(config, kGiB, demand);
  CHECK(plan.sliding_pages == 0);
  CHECK(plan.global_pages == 8 * 64);
}

TEST_CASE("the longest sequence is what the budget holds and no token more", "[engine]") {
  const ModelConfig config = published("26B-A4B");
  const KvShape shape = kv_shape(config, {DType::bf16});
  for (const int64_t budget : {kGiB, 2 * kGiB, 3 * kGiB + 12345}) {
    const int64_t n = longest_sequence(config, budget, {DType::bf16}, 512);
    CHECK(shape.sequence_bytes(n, 512) <= budget);
    CHECK(shape.sequence_bytes(n + 1, 512) > budget);
  }
  CHECK(longest_sequence(config, 64 * kGiB, {DType::bf16}, 512) == 262144);
  CHECK(longest_sequence(config, 1000, {DType::bf16}, 512) == 0);
}

TEST_CASE("an automatic length is the whole one, or leaves half of the budget to others",
          "[engine]") {
  const ModelConfig config = published("26B-A4B");
  const KvDemand demand = {.max_model_len = 262144, .max_num_seqs = 256, .step_tokens = 512};
  CHECK(automatic_model_len(config, 8 * kGiB, demand) == 262144);
  const int64_t n = automatic_model_len(config, 4 * kGiB, demand);
  CHECK(n == longest_sequence(config, 2 * kGiB, {DType::bf16}, 512));
  const KvPlan plan =
      plan_kv(config, 4 * kGiB,
              {.max_model_len = static_cast<int>(n), .max_num_seqs = 256, .step_tokens = 512});
  CHECK(sequences_at_once(config, plan, demand, 4096) >= 4);
  // A budget of which half holds nothing.
  const int64_t tiny = kv_shape(config, {DType::bf16}).sequence_bytes(16, 512);
  CHECK(automatic_model_len(config, tiny, demand) == 16);
  CHECK(automatic_model_len(config, 0, demand) == 0);
}

TEST_CASE("the printed plan holds its key figures", "[engine]") {
  const KvDemand demand = {.max_model_len = 262144, .max_num_seqs = 256, .step_tokens = 512};
  const std::string text = memory_plan_text(published("26B-A4B"), DType::bf16, 20 * kGiB, demand);
  CHECK(contains(text, "48.07 GiB"));  // 50.47 GB of the decoder, 1.15 of the tower
  CHECK(contains(text, "204800 bytes a token, at most 200.00 MiB a sequence"));
  CHECK(contains(text, "20480 bytes a token"));
  CHECK(contains(text, "one sequence of 262144 tokens: 5.20 GiB"));
  CHECK(contains(text, "20.00 GiB"));
  CHECK(contains(memory_plan_text(published("E2B"), DType::bf16, 0, demand), "stays in the file"));
}
