// What this machine can do, measured: the denominators of every share that a benchmark prints.
// Takes about a second a call; call with the machine as idle as the benchmark will find it.
#pragma once

#include <string>

#include "kernels/tensor.h"

namespace lapidary::cpu {

// Gigabytes (1e9) a second that n_threads read together from 512 MiB of memory; the best of
// several passes.
double read_bandwidth(int n_threads, const std::string& isa = "");

// Floating point operations a second (1e9; a multiply-add counts two) of n_threads on registers
// alone. bf16: the pair products of bf16 where the instruction set has them, else as f32.
double peak_gflops(DType dtype, int n_threads, const std::string& isa = "");

}  // namespace lapidary::cpu
