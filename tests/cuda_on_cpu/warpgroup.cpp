#include "tests/cuda_on_cpu/warpgroup.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <tuple>
#include <vector>

#include "tests/cuda_on_cpu/block.h"
#include "tests/cuda_on_cpu/proxies.h"
#include "tests/cuda_on_cpu/tensor_map.h"

namespace cuda_on_cpu {
namespace {

constexpr int kDepth = 16;  // k of one product
constexpr int kMaxN = 256;

// --- matrices in shared memory ---

// A matrix descriptor: 14-bit fields count 16 bytes. Only the 128-byte swizzle is emulated.
struct Matrix {
  uint32_t start, leading, stride;
  bool is_mn_major;

  Matrix(uint64_t bits, bool mn_major)
      : start(static_cast<uint32_t>(bits & 0x3fffU) << 4),
        leading(static_cast<uint32_t>(bits >> 16 & 0x3fffU) << 4),
        stride(static_cast<uint32_t>(bits >> 32 & 0x3fffU) << 4),
        is_mn_major(mn_major) {
    constexpr uint64_t kUnused =
        uint64_t{3} << 14 | uint64_t{3} << 30 | uint64_t{7} << 46 | uint64_t{0x3ff} << 52;
    require((bits & kUnused) == 0, "a matrix descriptor has bits set that mean nothing");
    require(bits >> 62 == 1, "a matrix descriptor's swizzle is not that of 128 bytes");
    require((bits >> 49 & 7) == 0 && start % 1024 < 128,
            "a matrix does not start at a repeat of its swizzle (1024 bytes)");
    require(stride % 1024 == 0, "a matrix descriptor's stride is not a multiple of 1024 bytes");
    require(is_mn_major ? leading % 1024 == 0 && start % 1024 == 0 : start % 128 + 32 <= 128,
            "a matrix descriptor's rows leave their 128 bytes");
  }

  // 128-byte rows; eight of them repeat the swizzle. K-major: a row is one of m or n, and holds k.
  // MN-major: a row is one k and holds 64 of m or n.
  uint32_t address(int mn, int k) const {
    const auto i = static_cast<uint32_t>(is_mn_major ? k : mn);  // row
    const auto j = static_cast<uint32_t>(is_mn_major ? mn : k);  // column
    const uint32_t chunk = is_mn_major ? j / 64 * leading + j % 64 * 2 : j * 2;
    return swizzled_128(start + i / 8 * stride + i % 8 * 128 + chunk);
  }
  float at(int mn, int k) const {
    uint16_t bits;
    std::memcpy(&bits, async_view(address(mn, k), 2), 2);
    return float_of(uint32_t{bits} << 16);
  }
  // n rows of m or n: by the running thread.
  void note(int first, int n) const {
#ifdef CUDA_ON_CPU_RACES
    const char* begin = dynamic_shared_bytes().data() - shared_address(dynamic_shared());
    const int step = is_mn_major ? 8 : 1;
    for (int mn = first; mn < first + n; mn += step) {
      for (int k = 0; k < kDepth; k += is_mn_major ? 1 : 8) note_read(begin + address(mn, k), 16);
    }
#else
    static_cast<void>(first);
    static_cast<void>(n);
#endif
  }
};

// --- products of one warp ---

struct Product {
  WarpgroupProduct shape;  // of lane 0
  int first_row;           // of this warp
  float* d[32];
  uint32_t held[32][4];
  // What d held, while it shows NaN; empty: an earlier product has it.
  std::vector<float> kept;

  int n_registers() const { return shape.n / 2; }
  Matrix a() const { return Matrix(shape.a, false); }
  Matrix b() const { return Matrix(shape.b, shape.b_is_mn_major); }

  void note() const {
    if (shape.a_held == nullptr) a().note(first_row, 16);
    b().note(0, shape.n);
  }

  void hide_sums() {
    for (float* lane : d) {
      kept.insert(kept.end(), lane, lane + n_registers());
      std::fill_n(lane, n_registers(), std::numeric_limits<float>::quiet_NaN());
    }
  }
  void show_sums() {
    for (size_t i = 0; i < kept.size(); ++i) {
      d[i / static_cast<size_t>(n_registers())][i % static_cast<size_t>(n_registers())] = kept[i];
    }
    kept.clear();
  }

  void read_a(float (&left)[16][kDepth]) const {
    for (int lane = 0; lane < 32; ++lane) {
      for (int i = 0; i < 8 && shape.a_held != nullptr; ++i) {
        const uint32_t pair = held[lane][i / 2];
        const int row = lane / 4 + i / 2 % 2 * 8;
        left[row][lane % 4 * 2 + i / 4 * 8 + i % 2] =
            float_of(i % 2 == 0 ? pair << 16 : pair & 0xffff0000U);
      }
    }
    for (int i = 0; i < 16 * kDepth && shape.a_held == nullptr; ++i) {
      left[i / kDepth][i % kDepth] = a().at(first_row + i / kDepth, i % kDepth);
    }
  }

  void compute() const {
    float left[16][kDepth];
    static float right[kDepth][kMaxN];
    read_a(left);
    const Matrix matrix = b();
    for (int k = 0; k < kDepth; ++k) {
      for (int column = 0; column < shape.n; ++column) right[k][column] = matrix.at(column, k);
    }
    for (int row = 0; row < 16; ++row) {
      float sums[kMaxN];
      const auto sum = [&](int column) {
        return d[row % 8 * 4 + column % 8 / 2] + column / 8 * 4 + row / 8 * 2 + column % 2;
      };
      for (int i = 0; i < shape.n; ++i) sums[i] = shape.adds ? *sum(i) : 0.0F;
      for (int k = 0; k < kDepth; ++k) {
        for (int i = 0; i < shape.n; ++i) sums[i] += left[row][k] * right[k][i];
      }
      for (int i = 0; i < shape.n; ++i) *sum(i) = sums[i];
    }
  }
};

struct Warp {
  Meeting wait;  // all lanes are behind it, whose products may have read until then
  bool is_fenced = false;
  size_t n_issued = 0;
  std::vector<Product> open;
  std::deque<std::vector<Product>> groups;

  template <typename Function>
  void for_each_pending(const Function& function) {
    for (auto& group : groups) std::for_each(group.begin(), group.end(), function);
    std::for_each(open.begin(), open.end(), function);
  }
  bool hides(const float* sums) {
    bool is = false;
    for_each_pending([&](const Product& p) { is = is || (p.d[0] == sums && !p.kept.empty()); });
    return is;
  }
  // The oldest group, and then what newer ones go on with is hidden once more.
  void finish_group() {
    std::vector<Product> group = std::move(groups.front());
    groups.pop_front();
    for (Product& product : group) {
      product.show_sums();
      product.compute();
    }
    for_each_pending([this](Product& product) {
      if (!hides(product.d[0])) product.hide_sums();
    });
  }
};

// What all four warps must issue alike.
using Signature = std::tuple<int, bool, bool, bool, uint64_t, uint64_t>;
Signature signature_of(const WarpgroupProduct& p) {
  const bool is_held = p.a_held != nullptr;
  return {p.n, p.b_is_mn_major, p.adds, is_held, is_held ? 0 : p.a, p.b};
}

std::vector<Warp> warps;
std::vector<std::vector<Signature>> issued;  // by each warpgroup
unsigned n_block_threads;

Warp& own_warp() { return warps[thread_number() / 32]; }

struct Nothing {};

void issue(WarpgroupProduct** lanes) {
  const unsigned number = thread_number() / 32;
  Warp& warp = warps[number];
  require(number / 4 * 128 + 128 <= n_block_threads, "wgmma needs four whole warps");
  require(warp.is_fenced, "wgmma without wgmma.fence since the last wait");
  Product product{*lanes[0], static_cast<int>(number % 4) * 16, {}, {}, {}};
  require(product.shape.n % 8 == 0 && product.shape.n <= kMaxN, "wgmma's n is 8, 16 .. 256");
  for (int lane = 0; lane < 32; ++lane) {
    require(signature_of(*lanes[lane]) == signature_of(product.shape),
            "lanes of a warp give wgmma different operands");
    product.d[lane] = lanes[lane]->d;
    if (product.shape.a_held != nullptr) {
      std::copy_n(lanes[lane]->a_held, 4, product.held[lane]);
    }
  }
  std::vector<Signature>& group = issued[number / 4];
  if (warp.n_issued == group.size()) group.push_back(signature_of(product.shape));
  require(group[warp.n_issued++] == signature_of(product.shape),
          "warps of a warpgroup issue different products");
  if (!schedule().late_copies) {
    product.compute();
  } else if (!warp.hides(product.d[0])) {
    product.hide_sums();
  }
  warp.open.push_back(std::move(product));
}

}  // namespace

void warpgroup_multiply(const WarpgroupProduct& product) {
  const int first_row = static_cast<int>(thread_number() / 32 % 4) * 16;
  Product{product, first_row, {}, {}, {}}.note();
  WarpgroupProduct mine = product;
  collective("wgmma", ~0U, mine, issue);
}

void warpgroup_fence() {
  Nothing mine;
  collective("wgmma.fence", ~0U, mine, [](Nothing**) { own_warp().is_fenced = true; });
}

void warpgroup_commit() {
  Nothing mine;
  collective("wgmma.commit_group", ~0U, mine, [](Nothing**) {
    Warp& warp = own_warp();
    warp.groups.push_back(std::move(warp.open));
    warp.open.clear();
  });
}

void warpgroup_wait(int n_pending) {
  // Until here it may have been reading, as far as each lane can tell.
  own_warp().for_each_pending([](const Product& product) { product.note(); });
  own_warp().wait.arrive();
  Nothing mine;
  collective("wgmma.wait_group", ~0U, mine, [n_pending](Nothing**) {
    Warp& warp = own_warp();
    warp.is_fenced = false;
    while (warp.groups.size() > static_cast<size_t>(n_pending)) {
      if (schedule().late_copies) {
        warp.finish_group();
      } else {
        warp.groups.pop_front();
      }
    }
  });
  own_warp().wait.leave();
}

void begin_warpgroups(unsigned n_threads) {
  n_block_threads = n_threads;
  warps.assign((n_threads + 31) / 32, Warp{});
  issued.assign((n_threads + 127) / 128, {});
}

void end_warpgroups() {
  for (size_t i = 0; i < warps.size(); ++i) {
    require(warps[i].n_issued == issued[i / 4].size(),
            "warps of a warpgroup issue different products");
    require(warps[i].open.empty() && warps[i].groups.empty(),
            "a block ends while wgmma is under way");
  }
}

}  // namespace cuda_on_cpu
