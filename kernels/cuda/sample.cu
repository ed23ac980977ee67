// sample: from rows of logits to tokens without sorting a row and without reading it twice.
//
// A call is one upload (draws and lists), and for most draws two launches:
//   select_kernel   a block a piece of 16384 logits of a row: the piece in registers, its k largest
//                   (k = top_k up to 64, or 1) in order. A thread's largest of 64 is its bid; the
//                   k-th largest bid bounds what can be in the top k, and so few logits pass that
//                   they are sorted in shared memory. Exact for any row.
//   draw_kernel     a block a draw: sorts the pieces' candidates, cuts by top_p and min_p, draws.
// and one download of the answers. Besides, where a draw asks for it:
//   edit_kernel     penalties, bias and bans, in place; undo_kernel puts the raw logits back
//   select_kernel   once more, before edit_kernel, on the raw row: largest logits and exp sums
//   logprob_kernel  from these, after undo_kernel
//   sample_long.cu  draws without a short top_k
// Draws that share a row and edit it come in turns, each turn these launches.
//
// 256 rows of 262144 are 268 MB, by arithmetic 62 us at 4.3 TB/s, the limit; a block has 64 KB of
// loads in flight, and while one sorts, the others of its multiprocessor read. draw_kernel sorts
// 1024 keys (55 barriers) for every draw at once. Logprobs read the rows once more.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "kernels/check.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/lanes.cuh"
#include "kernels/cuda/sample.cuh"
#include "kernels/cuda_limits.h"

namespace lapidary::cuda {
namespace {

constexpr int kThreads = 256;
// --- edits ---

__device__ __forceinline__ int32_t edited_id(const DeviceDraw& draw, int i) {
  if (i < draw.n_counts) return draw.counts[i].token;
  i -= draw.n_counts;
  return i < draw.n_biases ? draw.biases[i].token : draw.banned[i - draw.n_biases];
}

// As vLLM: repetition over prompt and answer, the other two over the answer. No fused
// multiply-adds: the same bits as the CPU's.
__device__ __forceinline__ float penalized(float logit, const TokenCount& count,
                                           const DeviceDraw& draw) {
  const float r = draw.repetition_penalty;
  float value = logit > 0.0F ? __fdiv_rn(logit, r) : __fmul_rn(logit, r);
  value = __fsub_rn(value, __fmul_rn(draw.frequency_penalty, static_cast<float>(count.output)));
  return count.output > 0 ? __fsub_rn(value, draw.presence_penalty) : value;
}

// Several biases of one token add up in their order, by the thread of the first.
__device__ __forceinline__ void add_biases(const DeviceDraw& draw, float* row, int first) {
  const int32_t id = draw.biases[first].token;
  for (int i = 0; i < first; ++i) {
    if (draw.biases[i].token == id) return;
  }
  float value = row[id];
  for (int i = first; i < draw.n_biases; ++i) {
    if (draw.biases[i].token == id) value = __fadd_rn(value, draw.biases[i].bias);
  }
  row[id] = value;
}

// A block a draw.
__global__ void edit_kernel(const DeviceDraw* draws, float* logits, int64_t vocab) {
  const DeviceDraw& draw = draws[blockIdx.x];
  if (!draw.draws() || !draw.is_edited()) return;
  const auto is_in_row = [&](int32_t id) { return id >= 0 && id < vocab; };
  float* row = logits + draw.row_begin;
  const int thread = static_cast<int>(threadIdx.x);
  const int n = draw.n_counts + draw.n_biases + draw.n_banned;
  for (int i = thread; i < n; i += kThreads) {
    const int32_t id = edited_id(draw, i);
    if (is_in_row(id)) draw.raw[i] = row[id];
  }
  __syncthreads();
  for (int i = thread; i < draw.n_counts; i += kThreads) {
    const TokenCount count = draw.counts[i];
    if (is_in_row(count.token)) {
      row[count.token] = penalized(row[count.token], count, draw);
    }
  }
  __syncthreads();
  for (int i = thread; i < draw.n_biases; i += kThreads) {
    if (is_in_row(draw.biases[i].token)) add_biases(draw, row, i);
  }
  __syncthreads();
  for (int i = thread; i < draw.n_banned; i += kThreads) {
    if (is_in_row(draw.banned[i])) row[draw.banned[i]] = -kInfinity;
  }
}

// A block a draw. An id that stands in several lists has the same raw logit in all.
__global__ void undo_kernel(const DeviceDraw* draws, float* logits, int64_t vocab) {
  const DeviceDraw& draw = draws[blockIdx.x];
  if (!draw.draws()) return;
  const int n = draw.n_counts + draw.n_biases + draw.n_banned;
  for (int i = static_cast<int>(threadIdx.x); i < n; i += kThreads) {
    const int32_t id = edited_id(draw, i);
    if (id < 0 || id >= vocab) continue;
    // Atomic, as the entries of one id write the same bits at the same time.
    atomicExch(reinterpret_cast<int*>(logits + draw.row_begin + id), __float_as_int(draw.raw[i]));
  }
}

// --- draws ---

// For a row without candidates: the lowest id that is neither banned nor masked out, else 0.
__device__ int32_t lowest_allowed(const DeviceDraw& draw, int64_t vocab) {
  __shared__ int lowest;
  if (threadIdx.x == 0) lowest = kThreads;
  for (int64_t begin = 0; begin < vocab; begin += kThreads) {
    const int64_t id = begin + threadIdx.x;
    bool is_allowed = id < vocab && allows(draw.mask, id);
    for (int i = 0; i < draw.n_banned && is_allowed; ++i) is_allowed = draw.banned[i] != id;
    if (__syncthreads_or(static_cast<int>(is_allowed)) == 0) continue;
    if (is_allowed) atomicMin(&lowest, static_cast<int>(threadIdx.x));
    __syncthreads();
    return static_cast<int32_t>(begin + lowest);
  }
  return 0;
}

// The k first candidates of all pieces, in order, to the front of `keys` [power_of_two(n_pieces *
// k)]; 0 where there are fewer.
__device__ __forceinline__ void merge_pieces(const Key* tops, int64_t n_pieces, int k, Key* keys) {
  const int n = static_cast<int>(n_pieces) * k;
  const int n_sorted = power_of_two(n);
  for (int i = static_cast<int>(threadIdx.x); i < n_sorted; i += kThreads) {
    keys[i] = i < n ? tops[i / k * kMaxShortTopK + i % k] : 0;
  }
  sort_descending(keys, n_sorted);
}

// A block a draw; what is_long() is left to others, if it has a candidate.
__global__ void draw_kernel(const DeviceDraw* draws, const Key* tops, int64_t n_pieces,
                            int64_t vocab, DeviceAnswer* answers) {
  DYNAMIC_SHARED(Key, keys);
  __shared__ double weights[kMaxShortTopK];
  const DeviceDraw& draw = draws[blockIdx.x];
  if (!draw.draws()) return;
  const int k = draw.n_kept();
  merge_pieces(tops + int64_t{blockIdx.x} * n_pieces * kMaxShortTopK, n_pieces, k, keys);
  int32_t token = 0;
  if (keys[0] == 0) {
    token = lowest_allowed(draw, vocab);
  } else if (draw.is_greedy()) {
    token = id_of(keys[0]);
  } else if (!draw.is_long()) {
    int n = 0;
    while (n < k && n < n_pieces * k && keys[n] != 0) ++n;
    token = draw_from_sorted(draw, keys, n, weights);
  }
  if (threadIdx.x == 0) answers[draw.result].token = token;
}

// --- logprobs ---

struct LogSum {
  double log_sum = 0.0;
  bool is_infinite = false;  // infinite logits share everything

  __device__ float logprob(float logit) const {
    if (!is_candidate(logit)) return -kInfinity;
    if (!is_infinite) return static_cast<float>(static_cast<double>(logit) - log_sum);
    return logit == kInfinity ? static_cast<float>(-log_sum) : -kInfinity;
  }
};

__device__ __forceinline__ LogSum log_sum_of(const PieceSum* pieces, int64_t n_pieces) {
  float max = -kInfinity;
  for (int64_t i = 0; i < n_pieces; ++i) max = fmaxf(max, pieces[i].max);
  const bool is_infinite = max == kInfinity;
  double sum = 0.0;
  for (int64_t i = 0; i < n_pieces; ++i) {
    const PieceSum piece = pieces[i];
    if (is_infinite) {
      sum += piece.max == kInfinity ? static_cast<double>(piece.sum) : 0.0;
    } else if (is_candidate(piece.max)) {
      sum += static_cast<double>(piece.sum) *
             exp(static_cast<double>(piece.max) - static_cast<double>(max));
    }
  }
  return {is_infinite ? log(sum) : static_cast<double>(max) + log(sum), is_infinite};
}

// A block a draw, of the raw row. out: [.., most_top] by result.
__global__ void logprob_kernel(const DeviceDraw* draws, const float* logits, const Key* tops,
                               const PieceSum* sums, int64_t n_pieces, int most_top,
                               DeviceAnswer* answers, TokenLogprob* out) {
  DYNAMIC_SHARED(Key, keys);
  __shared__ int n_top;
  const DeviceDraw& draw = draws[blockIdx.x];
  if (!draw.wants_logprobs()) return;
  const LogSum whole = log_sum_of(sums + int64_t{blockIdx.x} * n_pieces, n_pieces);
  DeviceAnswer& answer = answers[draw.result];
  const int k = draw.n_top();
  if (threadIdx.x == 0) {
    const int32_t token = draw.draws() ? answer.token : draw.scored;
    answer.token = token;
    answer.logprob = whole.logprob(logits[draw.row_begin + token]);
    answer.n_top = 0;
    n_top = 0;
  }
  if (k == 0) return;
  merge_pieces(tops + int64_t{blockIdx.x} * n_pieces * kMaxShortTopK, n_pieces, k, keys);
  const int i = static_cast<int>(threadIdx.x);
  if (i < k && i < n_pieces * k && keys[i] != 0) {
    const float logprob = whole.logprob(value_of(keys[i]));
    if (is_candidate(logprob)) {
      out[int64_t{draw.result} * most_top + i] = {id_of(keys[i]), logprob};
      atomicAdd(&n_top, 1);  // they come first: the keys descend
    }
  }
  __syncthreads();
  if (threadIdx.x == 0) answer.n_top = n_top;
}

// --- the host's side ---

// Draws and lists as one upload, and where they will lie.
class Package {
 public:
  // Room for n elements, aligned to 16 bytes; returns the offset.
  template <typename T>
  size_t append(std::span<const T> items) {
    const size_t at = (bytes_.size() + 15) / 16 * 16;
    bytes_.resize(at + items.size_bytes());
    if (!items.empty()) std::memcpy(bytes_.data() + at, items.data(), items.size_bytes());
    return at;
  }
  const std::vector<unsigned char>& bytes() const { return bytes_; }

 private:
  std::vector<unsigned char> bytes_;
};

double max_distance_of(const SampleDraw& draw) {
  if (draw.min_p <= 0.0F) return std::numeric_limits<double>::infinity();
  return std::abs(std::log(static_cast<double>(draw.min_p)) * draw.temperature);
}

// The turn of each draw. Those that edit a row which others share come after all that do not, one
// a turn; the rest is the first turn.
std::vector<int> turns_of(std::span<const SampleDraw> draws) {
  const auto edits = [](const SampleDraw& d) {
    return d.scored < 0 && d.counts.size + d.bias.size + d.banned.size > 0;
  };
  std::map<int64_t, int> n_of_row;
  for (const SampleDraw& d : draws) ++n_of_row[d.row];
  std::map<int64_t, int> next_of_row;
  std::vector<int> turns;
  for (const SampleDraw& d : draws) {
    const bool waits = edits(d) && n_of_row[d.row] > 1;
    turns.push_back(waits ? ++next_of_row[d.row] : 0);
  }
  return turns;
}

// What all turns of a call work on, on the device.
struct SampleMemory {
  float* logits;           // [n_rows, vocab]
  Key* tops;               // [n_draws, n_pieces, kMaxShortTopK], of edited rows
  Key* raw_tops;           // the same, of raw rows
  PieceSum* sums;          // [n_draws, n_pieces], of raw rows
  DeviceAnswer* answers;   // [n_draws]
  TokenLogprob* logprobs;  // [n_draws, most_top]
  int64_t n_pieces, vocab;
  int most_top;
};

// `draws`: what lies at `there` on the device.
void run_turn(std::span<const DeviceDraw> draws, const DeviceDraw* there,
              const SampleMemory& memory, cudaStream_t stream) {
  const auto any = [&](auto holds) { return std::any_of(draws.begin(), draws.end(), holds); };
  const bool has_logprobs = any([](const DeviceDraw& d) { return d.wants_logprobs(); });
  const bool has_edits = any([](const DeviceDraw& d) { return d.draws() && d.is_edited(); });
  const auto n = static_cast<unsigned>(draws.size());
  int most = 1;  // candidates that one piece keeps
  for (const DeviceDraw& d : draws) most = std::max({most, d.n_kept(), d.n_top()});
  const LaunchShape a_block_a_draw{.grid = dim3(n), .block = dim3(kThreads), .stream = stream};
  LaunchShape merging = a_block_a_draw;
  merging.shared_bytes = sizeof(Key) * static_cast<size_t>(power_of_two(memory.n_pieces * most));

  if (has_logprobs) {
    launch_select(true, there, n, memory.logits, memory.n_pieces, memory.vocab, memory.raw_tops,
                  memory.sums, stream);
  }
  if (has_edits) launch(edit_kernel, a_block_a_draw, there, memory.logits, memory.vocab);
  if (any([](const DeviceDraw& d) { return d.draws(); })) {
    launch_select(false, there, n, memory.logits, memory.n_pieces, memory.vocab, memory.tops,
                  memory.sums, stream);
    launch(draw_kernel, merging, there, memory.tops, memory.n_pieces, memory.vocab, memory.answers);
  }
  if (any([](const DeviceDraw& d) { return d.is_long(); })) {
    launch_long_draws(there, n, memory.logits, memory.tops, memory.n_pieces, memory.vocab,
                      memory.answers, stream);
  }
  if (has_edits) launch(undo_kernel, a_block_a_draw, there, memory.logits, memory.vocab);
  if (has_logprobs) {
    launch(logprob_kernel, merging, there, memory.logits, memory.raw_tops, memory.sums,
           memory.n_pieces, memory.most_top, memory.answers, memory.logprobs);
  }
}

// A draw whose lists lie at the given places of the device.
struct ListsOnDevice {
  const TokenCount* counts;
  const TokenBias* biases;
  const int32_t* banned;
  const uint32_t* masks;
  float* raw;
};

DeviceDraw on_device(const SampleDraw& draw, const Tensor& logits, const ListsOnDevice& lists) {
  const int64_t vocab = logits.dim(1);
  return {.row_begin = draw.row * vocab,
          .mask = draw.mask < 0 ? nullptr : lists.masks + draw.mask * div_up(vocab, 32),
          .counts = lists.counts + draw.counts.begin,
          .biases = lists.biases + draw.bias.begin,
          .banned = lists.banned + draw.banned.begin,
          .raw = lists.raw,
          .max_distance = max_distance_of(draw),
          .seed = draw.seed,
          .position = draw.position,
          .n_counts = static_cast<int32_t>(draw.counts.size),
          .n_biases = static_cast<int32_t>(draw.bias.size),
          .n_banned = static_cast<int32_t>(draw.banned.size),
          .choice = draw.choice,
          .temperature = draw.temperature,
          .top_p = draw.top_p,
          .presence_penalty = draw.presence_penalty,
          .frequency_penalty = draw.frequency_penalty,
          .repetition_penalty = draw.repetition_penalty,
          .top_k = draw.top_k,
          .n_logprobs = draw.n_logprobs,
          .scored = draw.scored,
          .result = 0};
}

// The draws of a call by turns, and where each turn ends.
struct Plan {
  std::vector<DeviceDraw> draws;
  std::vector<size_t> ends;
  int most_top = 0;
};

Plan plan_draws(const SampleArgs& args, ListsOnDevice lists, Workspace& workspace) {
  const std::vector<int> turns = turns_of(args.draws);
  Plan plan;
  for (int turn = 0; plan.draws.size() < args.draws.size(); ++turn) {
    for (size_t i = 0; i < args.draws.size(); ++i) {
      if (turns[i] != turn) continue;
      const SampleDraw& draw = args.draws[i];
      const int64_t n_edits = draw.counts.size + draw.bias.size + draw.banned.size;
      if (draw.scored < 0 && n_edits > 0) lists.raw = workspace.take<float>(n_edits);
      plan.draws.push_back(on_device(draw, args.logits, lists));
      plan.draws.back().result = static_cast<int32_t>(i);
      plan.most_top = std::max(plan.most_top, plan.draws.back().n_top());
    }
    plan.ends.push_back(plan.draws.size());
  }
  return plan;
}

void check_draws(const SampleArgs& args) {
  const int64_t n_rows = args.logits.dim(0);
  const int64_t vocab = args.logits.dim(1);
  expect_shape(args.logits, DType::f32, {n_rows, vocab});
  // Ids fit the digits by which long draws search; draws the second dimension of a grid.
  CHECK(vocab > 0 && vocab <= kMaxVocab && args.draws.size() <= 65535);
  for (size_t i = 0; i < args.draws.size(); ++i) {
    const SampleDraw& draw = args.draws[i];
    CHECK(draw.row >= 0 && draw.row < n_rows && draw.scored < vocab);
    CHECK(draw.n_logprobs <= SampleArgs::kMaxLogprobs);
    CHECK(i == 0 || args.draws[i - 1].row <= draw.row);
  }
}

// The host's copy of answers and logprobs.
std::vector<Sampled> unpack(const std::vector<unsigned char>& bytes,
                            std::span<const SampleDraw> draws, int most_top) {
  std::vector<Sampled> out(draws.size());
  const unsigned char* logprobs = bytes.data() + draws.size() * sizeof(DeviceAnswer);
  for (size_t i = 0; i < draws.size(); ++i) {
    DeviceAnswer answer;
    std::memcpy(&answer, bytes.data() + i * sizeof(answer), sizeof(answer));
    out[i].token = answer.token;
    if (draws[i].n_logprobs < 0 && draws[i].scored < 0) continue;
    out[i].logprob = answer.logprob;
    out[i].top.resize(static_cast<size_t>(answer.n_top));
    if (answer.n_top > 0) {
      std::memcpy(out[i].top.data(),
                  logprobs + i * static_cast<size_t>(most_top) * sizeof(TokenLogprob),
                  out[i].top.size() * sizeof(TokenLogprob));
    }
  }
  return out;
}

}  // namespace

std::vector<Sampled> CudaBackend::sample(const SampleArgs& args) {
  check_draws(args);
  const auto n = static_cast<int64_t>(args.draws.size());
  if (n == 0) return {};
  workspace_.clear();
  Package package;
  const size_t counts_at = package.append(args.counts);
  const size_t biases_at = package.append(args.biases);
  const size_t banned_at = package.append(args.banned);
  const size_t masks_at = package.append(args.masks);
  const size_t draws_at = (package.bytes().size() + 15) / 16 * 16;
  auto* there = workspace_.take<unsigned char>(static_cast<int64_t>(draws_at) +
                                               n * static_cast<int64_t>(sizeof(DeviceDraw)));
  const Plan plan = plan_draws(args,
                               {reinterpret_cast<const TokenCount*>(there + counts_at),
                                reinterpret_cast<const TokenBias*>(there + biases_at),
                                reinterpret_cast<const int32_t*>(there + banned_at),
                                reinterpret_cast<const uint32_t*>(there + masks_at), nullptr},
                               workspace_);
  CHECK(package.append(std::span<const DeviceDraw>(plan.draws)) == draws_at);
  upload(there, package.bytes().data(), package.bytes().size());

  const int64_t n_pieces = div_up(args.logits.dim(1), kPiece);
  const int64_t answer_bytes = n * static_cast<int64_t>(sizeof(DeviceAnswer));
  const int64_t result_bytes =
      answer_bytes + n * plan.most_top * static_cast<int64_t>(sizeof(TokenLogprob));
  auto* results = workspace_.take<unsigned char>(result_bytes);
  // Draws without logprobs write their token alone; what comes back is whole all the same.
  CUDA_CHECK(cudaMemsetAsync(results, 0, static_cast<size_t>(result_bytes), stream_));
  const SampleMemory memory{.logits = args.logits.as<float>(),
                            .tops = workspace_.take<Key>(n * n_pieces * kMaxShortTopK),
                            .raw_tops = workspace_.take<Key>(n * n_pieces * kMaxShortTopK),
                            .sums = workspace_.take<PieceSum>(n * n_pieces),
                            .answers = reinterpret_cast<DeviceAnswer*>(results),
                            .logprobs = reinterpret_cast<TokenLogprob*>(results + answer_bytes),
                            .n_pieces = n_pieces,
                            .vocab = args.logits.dim(1),
                            .most_top = plan.most_top};
  const auto* draws = reinterpret_cast<const DeviceDraw*>(there + draws_at);
  size_t begin = 0;
  for (size_t end : plan.ends) {
    run_turn(std::span(plan.draws).subspan(begin, end - begin), draws + begin, memory, stream_);
    begin = end;
  }
  std::vector<unsigned char> bytes(static_cast<size_t>(result_bytes));
  download(bytes.data(), results, bytes.size());
  return unpack(bytes, args.draws, plan.most_top);
}

}  // namespace lapidary::cuda
