// The seam to the device: every number the model computes goes through one of these verbs.
// One Args struct a verb; shapes stand at each field and are executed by expect_shape.
// The residual stream h is float32; what lies between verbs ("act") has activation_dtype():
// float32 on the CPU, bf16 on CUDA. Backend::compute_dtype() says to what a linear's input and the
// weights are rounded. All verbs are called from the one engine thread.
//
// Promise of every verb of the CPU backend: a row's result depends on that row's inputs alone, bit
// for bit; not on how many rows, sequences or pages are in the call, nor on the number of threads.
// So each reduction runs in one order, whatever the tile. The CUDA backend's README says how far
// it keeps this.
//
// Dims: n_tokens (rows of this step), hidden, ffn, n_heads, n_kv_heads, head_dim, vocab.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/sample.h"
#include "kernels/tensor.h"

namespace lapidary {

// Positions a KV page holds, in both layer groups.
constexpr int kPageSize = 16;

// A row-major matrix (or `count` of them, `count_stride` elements apart) in host memory, as it
// stands in a file: [count, rows, cols] bf16, f16 or f32; no alignment is promised.
struct HostMatrix {
  const void* data = nullptr;
  DType dtype = DType::bf16;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t count = 1;
  int64_t count_stride = 0;  // elements between two matrices; unused for one
};

// How the parts of one packed weight lie: `stacked` puts the rows of each part after one another
// (q, k, v); `gate_up` interleaves two parts of equal shape so that GeGLU is the epilogue.
enum class WeightForm : uint8_t { stacked, gate_up };

// A weight matrix (or one per expert) in the backend's own layout. Opaque above the backend.
struct Weight {
  Buffer buffer;
  DType dtype = DType::bf16;  // bf16 or f32: how it is stored
  WeightForm form = WeightForm::stacked;
  int64_t rows = 0;           // output features (gate_up: of gate and up together)
  int64_t cols = 0;           // input features
  int64_t count = 1;          // experts

  explicit operator bool() const { return static_cast<bool>(buffer); }
};

// out[t] = table[ids[t]] * scale
struct EmbedArgs {
  Tensor ids;                     // [n_tokens] i32, each in [0, table rows)
  const Weight* table = nullptr;  // [vocab, hidden]
  float scale = 1.0F;
  Tensor out;                     // [n_tokens, hidden] f32: h
};

// out = x / sqrt(mean(x^2) + eps) * weight        (spec of RMSNorm: plain weight, not 1 + weight)
struct RmsNormArgs {
  Tensor x;       // [n_tokens, hidden] f32: h
  Tensor weight;  // [hidden] f32
  float eps = 1e-6F;
  Tensor out;     // [n_tokens, hidden] act
};

// out = rms_norm(h, weight) of the h that the verb leaves: the norm that the next block starts
// from, without reading h once more. Empty: none.
struct NextNorm {
  Tensor weight;  // [hidden] f32
  Tensor out;     // [n_tokens, hidden] act
};

// h = (h + rms_norm(x, weight)) * scale           (post-norm, residual, layer scalar)
struct AddNormArgs {
  Tensor h;       // [n_tokens, hidden] f32, in and out
  Tensor x;       // [n_tokens, hidden] act
  Tensor weight;  // [hidden] f32
  float eps = 1e-6F;
  float scale = 1.0F;
  NextNorm next, next_2 = {};
};

// h = (h + rms_norm(rms_norm(dense, dense_weight) + rms_norm(sparse, sparse_weight), weight)) * scale
struct MoeCombineArgs {
  Tensor h;              // [n_tokens, hidden] f32, in and out
  Tensor dense, sparse;  // [n_tokens, hidden] act
  Tensor dense_weight, sparse_weight, weight;  // [hidden] f32
  float eps = 1e-6F;
  float scale = 1.0F;
  NextNorm next = {};
};

// out = x . weight^T
struct LinearArgs {
  Tensor x;                        // [n_tokens, cols] act, or f32: h itself
  const Weight* weight = nullptr;  // [rows, cols], stacked
  Tensor out;                      // [n_tokens, rows] act
};

// out = gelu_tanh(x . gate^T) * (x . up^T)
struct GegluLinearArgs {
  Tensor x;                        // [n_tokens, cols] act
  const Weight* weight = nullptr;  // [2 * ffn, cols], gate_up
  Tensor out;                      // [n_tokens, ffn] act
};

// cos and sin of position * inv_freq, the angle rounded to float once. Once a step for each kind
// of layer; every layer of the kind reads it.
struct RopeTableArgs {
  Tensor positions;  // [n_tokens] i32
  Tensor inv_freq;   // [n_angles] f32
  Tensor out;        // [n_tokens, 2, n_angles] f32: cos row, then sin row
};

// From the stacked projections of a step: q = rope(rms_norm(q, q_norm)) to `q`;
// k = rope(rms_norm(k, k_norm)) and v = rms_norm(v, no weight) into the pages at `slots`.
// Layers that share another layer's KV give no pages: qkv is q alone.
//
// k_eq_v on a backend that stores V once: k = v * k_norm in the dims that RoPE does not turn, so
// K pages hold only the 2 * n_angles turned dims (first halves of the pairs, then the second), and
// q takes k_norm as a factor in all others. Such a q fits such pages alone.
struct QkvArgs {
  Tensor qkv;     // act [n_tokens, (n_heads + 2 n_kv_heads) * head_dim]; k_eq_v: (n_heads +
                  // n_kv_heads) * head_dim, V is the raw K; without pages: n_heads * head_dim
  Tensor q_norm;  // [head_dim] f32
  Tensor k_norm;  // [head_dim] f32; empty without pages
  Tensor rope;    // [n_tokens, 2, n_angles]; pairs (i, i + head_dim/2), i < n_angles
  Tensor slots;   // [n_tokens] i32: page * kPageSize + offset in page
  float eps = 1e-6F;
  int n_heads = 0, n_kv_heads = 0, head_dim = 0;
  bool k_eq_v = false;
  Tensor k_pages, v_pages;  // one layer's pages (Backend::kv_pages); empty: no KV is written
  Tensor q;       // [n_tokens, n_heads * head_dim] act
};

// Attention over paged KV, scaling 1.0. Query t of sequence s stands at positions[t] and sees keys
// j with j <= last and, if window > 0, j > position - window. `last` is the position (causal), or
// last_visible[t]: inside a span whose positions see one another both ways, the span's end. What
// is behind the window stays unseen, and there is no window to the right.
//
// The keys of a span must be in the pages, so a chunk holds all of a span or nothing of it:
// positions[t] <= last_visible[t] <= the last of the sequence's positions in this call, never
// falling inside a sequence. Anything else is a failed CHECK on the CPU; on CUDA, where the values
// are not the host's to read, an end beyond the chunk stops the kernel, an error of the device.
struct AttentionArgs {
  Tensor q;            // [n_tokens, n_heads * head_dim] act
  Tensor k_pages, v_pages;
  Tensor positions;    // [n_tokens] i32, consecutive inside a sequence
  Tensor last_visible; // [n_tokens] i32; empty: causal, at no cost
  Tensor query_start;  // [n_seqs + 1] i32: rows of sequence s are query_start[s] .. [s + 1]
  Tensor block_start;  // [n_seqs + 1] i32 into block_table
  Tensor block_table;  // [..] i32: page of positions [16 i, 16 i + 16) of its sequence; -1 where
                       // the page fell behind the window (never read)
  int n_heads = 0, n_kv_heads = 0, head_dim = 0;
  int window = 0;      // 0: sees all
  int max_keys = 0;    // no sequence has more positions; known without reading the device
  Tensor out;          // [n_tokens, n_heads * head_dim] act
};

// p = softmax(proj . (h / rms(h) * scale)) in float32; the top_k largest (lowest index first on
// ties), renormalised to sum 1, times per_expert_scale. Descending order.
struct MoeRouteArgs {
  Tensor h;                      // [n_tokens, hidden] f32: the raw residual stream
  Tensor scale;                  // [hidden] f32: router.scale * hidden^-0.5
  const Weight* proj = nullptr;  // [n_experts, hidden]; inputs are never rounded here
  Tensor per_expert_scale;       // [n_experts] f32
  float eps = 1e-6F;
  int top_k = 0;
  Tensor experts;                // [n_tokens, top_k] i32
  Tensor weights;                // [n_tokens, top_k] f32
};

// out = sum_j weights[j] * down[e_j] . (gelu_tanh(gate[e_j] . x) * (up[e_j] . x)), summed in
// the order of j in float32.
struct MoeFfnArgs {
  Tensor x;                         // [n_tokens, hidden] act, normed
  Tensor experts;                   // [n_tokens, top_k] i32
  Tensor weights;                   // [n_tokens, top_k] f32
  const Weight* gate_up = nullptr;  // n_experts x [2 * moe_ffn, hidden], gate_up
  const Weight* down = nullptr;     // n_experts x [hidden, moe_ffn]
  Tensor out;                       // [n_tokens, hidden] act
};

// Per-layer inputs (E2B, E4B):
// out = (rms_norm(projected * proj_scale, norm) + table[id] * table_scale) / sqrt(2), by slices.
struct PleInputsArgs {
  Tensor ids;          // [n_tokens] i32, media placeholders already replaced by the pad id
  HostMatrix table;    // [vocab, n_layers * ple_dim]; data as Backend::map_host gives it
  float table_scale = 1.0F;
  Tensor projected;    // [n_tokens, n_layers * ple_dim] act
  float proj_scale = 1.0F;
  Tensor norm;         // [ple_dim] f32
  float eps = 1e-6F;
  Tensor out;          // [n_tokens, n_layers * ple_dim] act
};

// out = gelu_tanh(gate) * ple[:, layer]
struct PleGateArgs {
  Tensor gate;    // [n_tokens, ple_dim] act
  Tensor ple;     // [n_tokens, n_layers * ple_dim] act
  int layer = 0;
  Tensor out;     // [n_tokens, ple_dim] act; may be gate
};

// logits = cap * tanh(x . table^T / cap); cap 0: none.
struct LogitsArgs {
  Tensor x;                       // [n_rows, hidden] act, after the final norm
  const Weight* table = nullptr;  // [vocab, hidden]
  float cap = 0.0F;
  Tensor out;                     // [n_rows, vocab] f32
};

// out[i] = x[rows[i]]
struct GatherRowsArgs {
  Tensor x;     // [n_tokens, hidden] f32
  Tensor rows;  // [n_rows] i32
  Tensor out;   // [n_rows, hidden] f32
};

// What towers need beside the decoder's verbs (media):

// out[t] = x[t] + sum_j table[ids[t][j]]: patches and where they lie.
struct AddEmbeddingsArgs {
  Tensor x;                       // [n_tokens, hidden] act
  Tensor ids;                     // [n_tokens, n_ids] i32, each in [0, table rows)
  const Weight* table = nullptr;  // [.., hidden]
  Tensor out;                     // [n_tokens, hidden] f32: h
};

// out[t][column + i] = min(max(x[t][i], low), high); nothing else of out is written. How parts that
// were clipped one by one come to stand side by side.
struct ClipArgs {
  Tensor x;  // [n_tokens, width] act
  float low = 0.0F, high = 0.0F;
  int64_t column = 0;
  Tensor out;  // [n_tokens, >= column + width] act; may be x
};

// out[i] = (scale * mean_j h[rows[i][j]] - shift) * factor, in float32.
struct PoolRowsArgs {
  Tensor h;               // [n_tokens, hidden] f32
  Tensor rows;            // [n_out, n_pooled] i32
  float scale = 1.0F;
  Tensor shift, factor;   // [hidden] f32; empty: 0 and 1
  Tensor out;             // [n_out, hidden] f32
};

// out = x in float32: soft tokens into the rows of h that were kept for them.
struct WidenArgs {
  Tensor x;    // [n_tokens, hidden] act
  Tensor out;  // [n_tokens, hidden] f32
};

// Copies whole pages of one layer: pages[to[i]] = pages[from[i]] for K and V.
struct CopyPagesArgs {
  Tensor from, to;          // [n] i32
  Tensor k_pages, v_pages;
};

// What a recorded step depends on, beside the values in memory.
struct ReplayKey {
  int n_tokens = 0;
  int max_keys = 0;
  uint64_t cache = 0;  // number of the cache it works on: an address may be given out again

  auto operator<=>(const ReplayKey&) const = default;
};

// What the device can do, measured: the denominators of every share that a benchmark prints.
struct Ceilings {
  double gb_per_s = 0;     // 1e9 bytes; CPU: read by all threads, GPU: copied, read plus written
  double gflop_per_s = 0;  // 1e9 operations in compute_dtype(), a multiply-add counts two
};

// What a measurement must name. Zero and empty: not known, or of no meaning.
struct DeviceFacts {
  std::string name;
  std::string driver, runtime;       // versions: of the driver, of the CUDA that this was built with
  int clock_mhz = 0, memory_mhz = 0;  // at most
  int64_t cache_bytes = 0;           // the last level before memory
};

// Which code computes a verb: for --list-kernels.
struct KernelPath {
  std::string verb;    // or verbs
  std::string path;    // the instruction set, or the kind of GPU kernel
  std::string source;  // file below kernels/
};

// Which of two kernels the CUDA backend takes where there is one for Hopper's own instructions.
// portable: the one that runs on all GPUs, until a measurement shows the other right and faster.
enum class CudaPath : uint8_t { portable, hopper };

struct BackendOptions {
  DType compute = DType::bf16;  // bf16 or f32
  int n_threads = 0;            // 0: one a physical core this process may use
  std::string isa;              // "", or one of cpu: avx2, avx512, avx512bf16, neon, generic
  CudaPath cuda_path = CudaPath::portable;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string description() const = 0;  // device, instruction set, threads: for the log
  virtual DeviceFacts facts() const { return {.name = description()}; }
  virtual std::vector<KernelPath> kernel_paths() const = 0;
  virtual DType compute_dtype() const = 0;
  virtual DType activation_dtype() const = 0;   // of every tensor marked "act" above
  // Whether K pages of k_eq_v layers hold the turned dims alone (QkvArgs), where the head's size
  // allows it (cuda_limits.h).
  virtual bool stores_v_once() const = 0;
  virtual int n_threads() const = 0;

  // Bytes of its memory that this process may still take.
  virtual int64_t free_bytes() const = 0;
  // Bytes of the device's memory in all; 0 where the device shares the host's.
  virtual int64_t total_bytes() const { return 0; }

  // Takes what the largest verb needs (cuda_memory.h), before the first; throws std::bad_alloc.
  // Later only what replay() records and long lists of sample() take more, or end the process.
  virtual void reserve_workspace(int64_t) {}
  virtual int64_t workspace_bytes() const { return 0; }  // taken so far

  // Takes about a second, with the device as idle as a benchmark will find it.
  virtual Ceilings measure_ceilings() = 0;

  // Whether a verb may return before its work is done, so that the host has time of its own between
  // two waits (sample, download).
  virtual bool runs_ahead() const { return false; }

  // Whether steps of a fixed shape are worth their padding: see replay().
  virtual bool replays() const { return false; }
  // Runs body, whose verbs are called with the same tensors whenever the key is the same; only the
  // values in memory differ. A backend that replays records the launches and repeats them.
  virtual void replay(const ReplayKey&, const std::function<void()>& body) { body(); }

  // Zeroed memory. Throws std::bad_alloc.
  virtual Buffer allocate(size_t bytes) = 0;
  virtual void upload(void* to, const void* from_host, size_t bytes) = 0;
  virtual void download(void* to_host, const void* from, size_t bytes) = 0;
  virtual void copy(void* to, const void* from, size_t bytes) = 0;  // inside its memory

  // Where ple_inputs reads rows of `matrix`, which stays in the host's memory, unchanged, until the
  // Buffer is gone. Throws std::runtime_error, one sentence.
  virtual Buffer map_host(const HostMatrix& matrix) = 0;

  // Packs host matrices into the backend's layout: bf16 stays bf16; f32 and f16 become f32, or
  // bf16 when compute_dtype() is bf16. Parts have equal cols and count.
  virtual Weight pack(std::span<const HostMatrix> parts, WeightForm form) = 0;

  // One layer's K or V pages for these shapes in this type: what to allocate per page, and the
  // tensor to hand to the verbs. `width`: head_dim, or the turned dims of K where V is stored once.
  // The inner layout is the backend's own.
  virtual Tensor kv_pages(void* data, DType dtype, int64_t n_pages, int n_kv_heads,
                          int width) const = 0;

  virtual void embed(const EmbedArgs&) = 0;
  virtual void rms_norm(const RmsNormArgs&) = 0;
  virtual void add_norm(const AddNormArgs&) = 0;
  virtual void moe_combine(const MoeCombineArgs&) = 0;
  virtual void linear(const LinearArgs&) = 0;
  virtual void geglu_linear(const GegluLinearArgs&) = 0;
  virtual void rope_table(const RopeTableArgs&) = 0;
  virtual void qkv(const QkvArgs&) = 0;
  virtual void attention(const AttentionArgs&) = 0;
  virtual void moe_route(const MoeRouteArgs&) = 0;
  virtual void moe_ffn(const MoeFfnArgs&) = 0;
  virtual void ple_inputs(const PleInputsArgs&) = 0;
  virtual void ple_gate(const PleGateArgs&) = 0;
  virtual void logits(const LogitsArgs&) = 0;
  // One Sampled a draw, in their order: kernels/sample.h. The logits never leave the device.
  virtual std::vector<Sampled> sample(const SampleArgs&) = 0;
  virtual void gather_rows(const GatherRowsArgs&) = 0;
  virtual void copy_pages(const CopyPagesArgs&) = 0;
  virtual void add_embeddings(const AddEmbeddingsArgs&) = 0;
  virtual void clip(const ClipArgs&) = 0;
  virtual void pool_rows(const PoolRowsArgs&) = 0;
  virtual void widen(const WidenArgs&) = 0;
};

// Empty when make_cuda_backend has a device to use; else why not, in words that continue a sentence
// ("this build has no CUDA, as ...", "the driver is missing"). Opens no device.
std::string why_no_cuda();

// The CUDA backend on the first device that is visible. Computes in bf16 alone. Throws
// std::runtime_error, one sentence that says what to do: without a usable device, in a build
// without CUDA, and where the device is busy or its memory full.
std::unique_ptr<Backend> make_cuda_backend(const BackendOptions&);

// The CPU backend. Throws std::invalid_argument for an instruction set this machine lacks.
std::unique_ptr<Backend> make_cpu_backend(const BackendOptions&);

}  // namespace lapidary
