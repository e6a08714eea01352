/* The AVX-512 backend: sixteen lanes. */
#include "base/begin.h"

#if defined(QSGD_HAVE_AVX512)
#include <immintrin.h>
#include <string.h>

#include "base/bits.h"
#include "base/crc32c.h"
#include "kernels/kernels.h"

/* As in avx2.c. */
#if defined(__clang__)
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,"             \
                          "vpclmulqdq,pclmul,bmi,bmi2,popcnt"))),                                  \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2")
#pragma GCC target("vpclmulqdq,pclmul,bmi,bmi2,popcnt")
#pragma GCC optimize("no-tree-slp-vectorize")
#endif
/* Without optimisation gcc's gathers are macros, which convert their masks themselves. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"

#include "simd/avx512.h"
#include "simd/avx512_codes.h"

#define BACKEND_NAME avx512
#include "backends/instantiate.h"

const uint16_t avx512_rotate[32] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
                                    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

#pragma GCC diagnostic pop
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
