// The table of inner loops compiled once per instruction set, and its choice at start.
// Each tile_<isa>.cpp fills one `Kernels`; nothing else in kernels/ contains vector code.
// This header is included by files compiled for instructions the machine may lack, so it holds
// plain data only: no function of it may be emitted twice with different instructions.
// Immutable after start; any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lapidary::cpu {

// Output features that lie side by side in the P16 layout: one line of a packed weight.
constexpr int kLanes = 16;

// Weight type x input type of a multiplication. `bf16_bf16` takes inputs rounded to bf16.
enum class Product : uint8_t { bf16_bf16, bf16_f32, f32_f32 };
constexpr int kProducts = 3;

// out[r][c] = row r . weight row c, for the panels of one weight and n_rows rows.
struct PanelJob {
  const void* const* rows;  // [n_rows] prepared inputs of n_steps lines each
  int64_t n_rows;
  const void* panels;  // the first panel; panels follow each other without a gap
  int64_t n_panels;    // gate_up: of gate and up together, even
  int64_t n_steps;     // lines in a panel
  void* out;           // first output of row 0
  int64_t out_stride;  // bytes from row to row
  int64_t n_cols;      // outputs that exist from the first panel on (gate_up: of ffn)
  const void* next;    // panels this thread will read after these; null: not known
};

// One kv head, some queries and up to 64 pages, as one step of the online softmax.
struct AttendJob {
  const void* const* queries;  // [n_rows] prepared, head_dim each
  const int32_t* positions;    // [n_rows]
  const int32_t* last_keys;    // [n_rows] the last key that each sees
  int n_rows;                  // <= kAttendRows
  const void* const* k_pages;  // [n_pages] of this head; null where no page is
  const void* const* v_pages;
  int n_pages;
  int64_t first_key;  // position of the first key of k_pages[0]; a multiple of kAttendKeys
  int head_dim;
  int window;     // 0: sees all
  float* scores;  // [kAttendRows, kAttendKeys] scratch
  // The state of the softmax over these pages alone, written whole.
  float* max;  // [n_rows]
  float* sum;  // [n_rows]
  float* acc;  // [n_rows, head_dim]
};
constexpr int kAttendRows = 48;
constexpr int kAttendKeys = 64;

struct Kernels {
  const char* name;
  bool bf16_inputs;  // a prepared bf16_bf16 input is bf16 in memory; else rounded float32
  int tile_rows;     // rows that share a load of the weight
  int tile_lines;    // panels that share a load of the input

  // The first n elements of x as an input of bf16_bf16. n is a multiple of kLanes or the rest
  // of the row is padded with zeros up to one; `out` has room for it.
  void (*prepare)(const float* x, int64_t n, void* out);

  void (*multiply[kProducts])(const PanelJob&);  // out float32
  void (*geglu[kProducts])(const PanelJob&);     // out float32
  void (*geglu_prepared)(const PanelJob&);       // bf16_bf16; out as `prepare` leaves it

  // out = x * rsqrt(mean(x^2) + eps) * weight; weight may be null (ones).
  void (*rms_norm)(const float* x, const float* weight, float eps, int64_t n, float* out);
  // h = (h + rms_norm(x, weight)) * scale
  void (*add_norm)(float* h, const float* x, const float* weight, float eps, float scale,
                   int64_t n);
  // out[i] = a[i] + b[i]
  void (*add)(const float* a, const float* b, int64_t n, float* out);
  // Pairs (i, i + n/2) for i < n_angles; the others stay. cos row, then sin row. In place.
  void (*rope)(float* x, const float* cos_sin, int64_t n_angles, int64_t n);
  // out[i] = gelu_tanh(a[i]) * b[i]
  void (*gelu_mul)(const float* a, const float* b, int64_t n, float* out);
  // x[i] = cap * tanh(x[i] / cap)
  void (*soft_cap)(float* x, int64_t n, float cap);
  // out[i] = sum_j weights[j] * rows[j][i], j ascending
  void (*weighted_sum)(const float* const* rows, const float* weights, int n_rows, int64_t n,
                       float* out);
  // out[i] = exp(x[i]); the exponential of the softmax, for its own test.
  void (*exp)(const float* x, int64_t n, float* out);

  void (*attend[kProducts])(const AttendJob&);
  // Joins the state (max2, sum2, acc2) of later keys into (max, sum, acc) of one row.
  void (*merge)(float* max, float* sum, float* acc, float max2, float sum2, const float* acc2,
                int64_t n);
  // out = acc / sum
  void (*finish)(float sum, const float* acc, int64_t n, float* out);

  // Register-only loops for the probe; returns the floating point operations of `n` rounds.
  int64_t (*peak[kProducts])(int64_t n, float* sink);
  // Reads n bytes (a multiple of 1024) and returns something that depends on all of them.
  float (*stream)(const void* from, int64_t n);
};

// "" or a name; the environment variable LAPIDARY_CPU_ISA decides when `wanted` is empty.
// Throws std::invalid_argument for a name that is unknown or that this machine cannot run.
const Kernels& choose_kernels(const char* wanted);

// Every table this machine can run, best first.
const Kernels* const* runnable_kernels(int* count);

}  // namespace lapidary::cpu
