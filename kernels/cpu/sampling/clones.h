// LAPIDARY_CLONES compiles a function for AVX2 as well as for the baseline and lets the loader
// pick. Only where that cannot change a result: AVX2 without FMA does the same additions in the
// same order, in wider registers. Off under sanitizers, whose run time is not up yet when the
// loader asks, and where the loader has no such question (not glibc).
#pragma once

#include <cstddef>  // defines __GLIBC__ where there is one

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define LAPIDARY_SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LAPIDARY_SANITIZED
#endif

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(LAPIDARY_SANITIZED) && \
    (!defined(__clang__) || __clang_major__ >= 14)
#define LAPIDARY_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define LAPIDARY_CLONES
#endif
