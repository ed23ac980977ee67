// moe_route and moe_ffn. Tokens are sorted by expert, so that each expert is read once, and each
// expert's panels are shared out between the threads.
#include <algorithm>
#include <cmath>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/pack.h"

namespace lapidary::cpu {
namespace {

constexpr int kMostExpertsAToken = 64;

// The top_k largest of logits (lowest index first on ties) and their softmax among themselves,
// which is the softmax over all experts renormalised.
void select_experts(const float* logits, int64_t n_experts, int top_k, const float* scale,
                    int32_t* experts, float* weights) {
  int n = 0;
  for (int32_t e = 0; e < n_experts; ++e) {
    if (n == top_k && !(logits[e] > logits[experts[n - 1]])) continue;
    int place = n < top_k ? n++ : top_k - 1;
    for (; place > 0 && logits[e] > logits[experts[place - 1]]; --place) {
      experts[place] = experts[place - 1];
    }
    experts[place] = e;
  }
  double exponentials[kMostExpertsAToken];
  double sum = 0;
  for (int j = 0; j < top_k; ++j) {
    exponentials[j] = std::exp(static_cast<double>(logits[experts[j]]) - logits[experts[0]]);
    sum += exponentials[j];
  }
  for (int j = 0; j < top_k; ++j) {
    weights[j] = static_cast<float>(exponentials[j] / sum) * scale[experts[j]];
  }
}

}  // namespace

// Pairs (token, j) sorted by expert. All arrays live in scratch memory.
struct CpuBackend::MoePlan {
  int64_t n_pairs = 0;
  int64_t n_active = 0;                // experts that have a token
  int32_t* expert = nullptr;           // [n_active]
  int32_t* start = nullptr;            // [n_active + 1] into the sorted pairs
  int32_t* place = nullptr;            // [n_tokens * top_k]: sorted place of a pair
  const void** x_rows = nullptr;       // [n_pairs] prepared inputs, sorted
  const void** hidden_rows = nullptr;  // [n_pairs] rows of `hidden`
  char* hidden = nullptr;              // [n_pairs] inputs of down
  int64_t hidden_stride = 0;           // bytes
  Product product = Product::bf16_bf16;
};

void CpuBackend::moe_route(const MoeRouteArgs& args) {
  const Weight& w = *args.proj;
  const int64_t n = args.h.dim(0);
  const int64_t hidden = w.cols;
  const int64_t n_experts = w.rows;
  const int top_k = args.top_k;
  CHECK(w.form == WeightForm::stacked && w.count == 1);
  CHECK(top_k > 0 && top_k <= n_experts && top_k <= kMostExpertsAToken);
  expect_shape(args.h, DType::f32, {n, hidden});
  expect_shape(args.scale, DType::f32, {hidden});
  expect_shape(args.per_expert_scale, DType::f32, {n_experts});
  expect_shape(args.experts, DType::i32, {n, top_k});
  expect_shape(args.weights, DType::f32, {n, top_k});
  if (n == 0) return;
  auto* normed = normed_.reserve<float>(static_cast<size_t>(n * hidden));
  rms_norm({.x = args.h,
            .weight = args.scale,
            .eps = args.eps,
            .out = Tensor(normed, DType::f32, {n, hidden})});
  const Product product = w.dtype == DType::bf16 ? Product::bf16_f32 : Product::f32_f32;
  auto* scores = router_out_.reserve<float>(static_cast<size_t>(n * n_experts));
  multiply({.rows = prepare_rows(normed, n, hidden, product),
            .n_rows = n,
            .weight = &w,
            .product = product,
            .out = scores,
            .n_cols = n_experts,
            .cap = 0});
  pool_.run_ranges(n, 2 * n_experts, [&](int, int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      select_experts(scores + t * n_experts, n_experts, top_k, args.per_expert_scale.as<float>(),
                     args.experts.as<int32_t>() + t * top_k, args.weights.as<float>() + t * top_k);
    }
  });
}

CpuBackend::MoePlan CpuBackend::plan_moe(const MoeFfnArgs& args) {
  const int64_t n = args.x.dim(0);
  const int64_t top_k = args.experts.dim(1);
  const int64_t n_experts = args.gate_up->count;
  const auto* experts = args.experts.as<int32_t>();
  MoePlan plan;
  plan.n_pairs = n * top_k;
  plan.product = product_of(*args.gate_up);
  const auto pairs = static_cast<size_t>(plan.n_pairs);
  const auto all = static_cast<size_t>(n_experts);
  auto* rows = moe_plan_.reserve<const void*>(2 * pairs + (pairs + 3 * all + 3) / 2 + 1);
  plan.x_rows = rows;
  plan.hidden_rows = rows + pairs;
  plan.place = reinterpret_cast<int32_t*>(rows + 2 * pairs);
  plan.expert = plan.place + pairs;
  plan.start = plan.expert + all;
  int32_t* next = plan.start + all + 1;  // [n_experts]: count, then next free place

  std::fill_n(next, all, 0);
  for (size_t i = 0; i < pairs; ++i) {
    CHECK(experts[i] >= 0 && experts[i] < n_experts);
    ++next[experts[i]];
  }
  int32_t place = 0;
  for (int32_t e = 0; e < n_experts; ++e) {
    const int32_t count = next[e];
    next[e] = place;
    if (count == 0) continue;
    plan.expert[plan.n_active] = e;
    plan.start[plan.n_active++] = place;
    place += count;
  }
  plan.start[plan.n_active] = place;

  plan.hidden_stride = prepared_bytes(args.down->cols, product_of(*args.down));
  plan.hidden = moe_hidden_.reserve<char>(pairs * static_cast<size_t>(plan.hidden_stride));
  const void* const* x = prepare_rows(args.x.as<float>(), n, args.x.dim(1), plan.product);
  for (int64_t i = 0; i < plan.n_pairs; ++i) {
    plan.place[i] = next[experts[i]]++;
    plan.x_rows[plan.place[i]] = x[i / top_k];
    plan.hidden_rows[i] = plan.hidden + i * plan.hidden_stride;
  }
  return plan;
}

void CpuBackend::moe_gate_up(const MoePlan& plan, const MoeFfnArgs& args) {
  const Weight& w = *args.gate_up;
  const auto kernel = plan.product == Product::bf16_bf16
                          ? kernels_.geglu_prepared
                          : kernels_.geglu[static_cast<int>(plan.product)];
  const int64_t element = input_bytes(plan.product);
  const int64_t panels = n_panels(w);
  const int64_t steps = panel_steps(w);
  const Cut c = cut(panels * plan.n_active, 1, true);
  const int64_t groups = div_up(panels, c.group);
  const int64_t pieces = groups * plan.n_active;
  const int64_t cost = multiply_cost(c.group * steps * 64, div_up(plan.n_pairs, plan.n_active));
  const auto panels_of = [&](int64_t i) {
    return matrix_of(w, plan.expert[i / groups]) + i % groups * c.group * steps * 64;
  };
  pool_.run_ranges(pieces, cost, [&](int, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t active = i / groups;
      const int64_t panel = i % groups * c.group;
      const int64_t first = plan.start[active];
      PanelJob job{};
      job.rows = plan.x_rows + first;
      job.n_rows = plan.start[active + 1] - first;
      job.panels = panels_of(i);
      job.next = i + 1 < end ? panels_of(i + 1) : nullptr;
      job.n_panels = std::min(c.group, panels - panel);
      job.n_steps = steps;
      job.out = plan.hidden + first * plan.hidden_stride + panel / 2 * kLanes * element;
      job.out_stride = plan.hidden_stride;
      job.n_cols = panels / 2 * kLanes;  // the padding too: it is zero and down reads one of it
      kernel(job);
    }
  });
}

void CpuBackend::moe_down(const MoePlan& plan, const MoeFfnArgs& args) {
  const Weight& w = *args.down;
  const Product product = product_of(w);
  const auto kernel = kernels_.multiply[static_cast<int>(product)];
  const int64_t n = args.x.dim(0);
  const int64_t top_k = args.experts.dim(1);
  const int64_t panels = n_panels(w);
  const int64_t steps = panel_steps(w);
  const Cut c = cut(panels, 1, false);
  const int64_t width = c.group * kLanes;
  const auto size = static_cast<size_t>(plan.n_pairs * width);
  for (Scratch& scratch : of_thread_) scratch.reserve<float>(size);
  const int64_t cost =
      plan.n_active * multiply_cost(c.group * steps * 64, div_up(plan.n_pairs, plan.n_active));
  pool_.run_ranges(c.n_groups, cost, [&](int thread, int64_t begin, int64_t end) {
    auto* outputs = of_thread_[thread].reserve<float>(size);  // [n_pairs, width]
    for (int64_t g = begin; g < end; ++g) {
      const int64_t column = g * width;
      const auto panels_of = [&](int64_t active) {
        return matrix_of(w, plan.expert[active]) + g * c.group * steps * 64;
      };
      for (int64_t active = 0; active < plan.n_active; ++active) {
        const int64_t first = plan.start[active];
        PanelJob job{};
        job.rows = plan.hidden_rows + first;
        job.n_rows = plan.start[active + 1] - first;
        job.panels = panels_of(active);
        job.next = active + 1 < plan.n_active ? panels_of(active + 1) : nullptr;
        job.n_panels = std::min(c.group, panels - g * c.group);
        job.n_steps = steps;
        job.out = outputs + first * width;
        job.out_stride = width * 4;
        job.n_cols = width;
        kernel(job);
      }
      const int64_t exist = std::min(width, w.rows - column);
      for (int64_t t = 0; t < n; ++t) {
        const float* rows[kMostExpertsAToken];
        for (int64_t j = 0; j < top_k; ++j) {
          rows[j] = outputs + plan.place[t * top_k + j] * width;
        }
        kernels_.weighted_sum(rows, args.weights.as<float>() + t * top_k, static_cast<int>(top_k),
                              exist, args.out.as<float>() + t * w.rows + column);
      }
    }
  });
}

void CpuBackend::moe_ffn(const MoeFfnArgs& args) {
  const Weight& gate_up = *args.gate_up;
  const Weight& down = *args.down;
  const int64_t n = args.x.dim(0);
  const int64_t top_k = args.experts.dim(1);
  CHECK(gate_up.form == WeightForm::gate_up && down.form == WeightForm::stacked);
  CHECK(gate_up.count == down.count && gate_up.rows == 2 * down.cols &&
        gate_up.dtype == down.dtype && gate_up.cols == down.rows && top_k <= kMostExpertsAToken);
  expect_shape(args.x, DType::f32, {n, gate_up.cols});
  expect_shape(args.experts, DType::i32, {n, top_k});
  expect_shape(args.weights, DType::f32, {n, top_k});
  expect_shape(args.out, DType::f32, {n, down.rows});
  if (n == 0) return;
  const MoePlan plan = plan_moe(args);
  moe_gate_up(plan, args);
  moe_down(plan, args);
}

}  // namespace lapidary::cpu
