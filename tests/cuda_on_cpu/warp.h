// Barriers, shuffles, votes and reductions of CUDA threads.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "tests/cuda_on_cpu/block.h"

namespace cuda_on_cpu {

// Each lane gives a value and the lane that it reads; outside [0, 32): its own.
template <typename T>
T shuffle(const char* op, unsigned mask, T value, int source) {
  static_assert(std::is_trivially_copyable_v<T>);
  struct Lane {
    T value, result;
    int source;
  } mine{value, value, source};
  collective(op, mask, mine, [mask](Lane** lanes) {
    for (int lane = 0; lane < 32; ++lane) {
      if (lanes[lane] == nullptr) continue;
      const int source_lane = lanes[lane]->source;
      require((mask >> source_lane & 1U) != 0, "a shuffle reads a lane outside its mask");
      lanes[lane]->result = lanes[source_lane]->value;
    }
  });
  return mine.result;
}

// Folds the values of the lanes in `mask`, in their order.
template <typename T, typename Function>
T reduce(const char* op, unsigned mask, T value, const Function& function) {
  struct Lane {
    T value;
  } mine{value};
  collective(op, mask, mine, [&function](Lane** lanes) {
    bool first = true;
    T result{};
    for (int lane = 0; lane < 32; ++lane) {
      if (lanes[lane] == nullptr) continue;
      result = first ? lanes[lane]->value : function(result, lanes[lane]->value);
      first = false;
    }
    for (int lane = 0; lane < 32; ++lane) {
      if (lanes[lane] != nullptr) lanes[lane]->value = result;
    }
  });
  return mine.value;
}

// The first lane of the segment of `width` lanes that this lane belongs to.
inline int segment_start(int width) {
  require(width > 0 && width <= 32 && (width & (width - 1)) == 0,
          "a shuffle's width is a power of two up to 32");
  return static_cast<int>(lane_number()) & ~(width - 1);
}

}  // namespace cuda_on_cpu

inline void __syncthreads() { cuda_on_cpu::barrier("__syncthreads"); }
inline int __syncthreads_count(int predicate) {
  return cuda_on_cpu::barrier("__syncthreads_count", 0, 0, predicate != 0 ? 1 : 0);
}
inline int __syncthreads_or(int predicate) {
  return cuda_on_cpu::barrier("__syncthreads_or", 0, 0, predicate != 0 ? 1 : 0) != 0 ? 1 : 0;
}
inline int __syncthreads_and(int predicate) {
  return cuda_on_cpu::barrier("__syncthreads_and", 0, 0, predicate != 0 ? 0 : 1) == 0 ? 1 : 0;
}

inline void __syncwarp(unsigned mask = 0xffffffffU) { cuda_on_cpu::sync_warp(mask); }

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  const int start = cuda_on_cpu::segment_start(width);
  return cuda_on_cpu::shuffle("__shfl_sync", mask, value, start + (source & (width - 1)));
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32) {
  const int lane = static_cast<int>(cuda_on_cpu::lane_number());
  const int end = cuda_on_cpu::segment_start(width) + width;
  const int source = lane ^ lane_mask;
  return cuda_on_cpu::shuffle("__shfl_xor_sync", mask, value, source < end ? source : lane);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int lane = static_cast<int>(cuda_on_cpu::lane_number());
  const int end = cuda_on_cpu::segment_start(width) + width;
  const int source = lane + static_cast<int>(delta);
  return cuda_on_cpu::shuffle("__shfl_down_sync", mask, value, source < end ? source : lane);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int lane = static_cast<int>(cuda_on_cpu::lane_number());
  const int source = lane - static_cast<int>(delta);
  const int start = cuda_on_cpu::segment_start(width);
  return cuda_on_cpu::shuffle("__shfl_up_sync", mask, value, source >= start ? source : lane);
}

inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const unsigned mine = predicate != 0 ? 1U << cuda_on_cpu::lane_number() : 0U;
  return cuda_on_cpu::reduce("__ballot_sync", mask, mine,
                             [](unsigned a, unsigned b) { return a | b; });
}
inline int __any_sync(unsigned mask, int predicate) {
  return cuda_on_cpu::reduce("__any_sync", mask, predicate != 0 ? 1 : 0,
                             [](int a, int b) { return a | b; });
}
inline int __all_sync(unsigned mask, int predicate) {
  return cuda_on_cpu::reduce("__all_sync", mask, predicate != 0 ? 1 : 0,
                             [](int a, int b) { return a & b; });
}
inline unsigned __activemask() {
  cuda_on_cpu::fail("__activemask says nothing that a kernel may rely on");
}

// The lanes whose value has the same bits.
template <typename T>
unsigned __match_any_sync(unsigned mask, T value) {
  struct Lane {
    T value;
    unsigned result;
  } mine{value, 0};
  cuda_on_cpu::collective("__match_any_sync", mask, mine, [](Lane** lanes) {
    for (int a = 0; a < 32; ++a) {
      for (int b = 0; b < 32; ++b) {
        if (lanes[a] == nullptr || lanes[b] == nullptr) continue;
        if (std::memcmp(&lanes[a]->value, &lanes[b]->value, sizeof(T)) != 0) continue;
        lanes[a]->result |= 1U << b;
      }
    }
  });
  return mine.result;
}

inline unsigned __reduce_add_sync(unsigned mask, unsigned value) {
  return cuda_on_cpu::reduce("__reduce_add_sync", mask, value,
                             [](unsigned a, unsigned b) { return a + b; });
}
inline int __reduce_add_sync(unsigned mask, int value) {
  return static_cast<int>(__reduce_add_sync(mask, static_cast<unsigned>(value)));
}
template <typename T>
T __reduce_max_sync(unsigned mask, T value) {
  static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned>);
  return cuda_on_cpu::reduce("__reduce_max_sync", mask, value,
                             [](T a, T b) { return std::max(a, b); });
}
template <typename T>
T __reduce_min_sync(unsigned mask, T value) {
  static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned>);
  return cuda_on_cpu::reduce("__reduce_min_sync", mask, value,
                             [](T a, T b) { return std::min(a, b); });
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value) {
  return cuda_on_cpu::reduce("__reduce_or_sync", mask, value,
                             [](unsigned a, unsigned b) { return a | b; });
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned value) {
  return cuda_on_cpu::reduce("__reduce_and_sync", mask, value,
                             [](unsigned a, unsigned b) { return a & b; });
}
