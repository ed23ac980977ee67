#include "kernels/cpu/isa.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace lapidary::cpu {

extern const Kernels kGenericKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx512Bf16Kernels;
#elif defined(__aarch64__)
extern const Kernels kNeonKernels;
#endif

namespace {

struct Runnable {
  const Kernels* tables[4] = {};
  int count = 0;

  Runnable() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (avx512 && __builtin_cpu_supports("avx512bf16")) add(kAvx512Bf16Kernels);
    if (avx512) add(kAvx512Kernels);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) add(kAvx2Kernels);
#elif defined(__aarch64__)
    add(kNeonKernels);  // part of every 64-bit Arm
#endif
    add(kGenericKernels);
  }
  void add(const Kernels& kernels) { tables[count++] = &kernels; }
};

const Runnable& runnable() {
  static const Runnable found;
  return found;
}

}  // namespace

const Kernels* const* runnable_kernels(int* count) {
  *count = runnable().count;
  return runnable().tables;
}

const Kernels& choose_kernels(const char* wanted) {
  std::string name = wanted;
  const char* from_environment = std::getenv("LAPIDARY_CPU_ISA");
  if (name.empty() && from_environment != nullptr) name = from_environment;
  if (name.empty()) return *runnable().tables[0];
  std::string names;
  for (int i = 0; i < runnable().count; ++i) {
    if (name == runnable().tables[i]->name) return *runnable().tables[i];
    names += (i == 0 ? "" : ", ") + std::string(runnable().tables[i]->name);
  }
  throw std::invalid_argument("the CPU instruction set \"" + name +
                              "\" is unknown or this machine lacks it; it can run: " + names);
}

}  // namespace lapidary::cpu
