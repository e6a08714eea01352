/* Square roots, rounded to nearest even as IEEE 754 has them, without libm: of __builtin_sqrt
 * compilers make a call unless they are told that nobody looks at errno. */
#ifndef QSGD_BASE_SQUARE_ROOT_H
#define QSGD_BASE_SQUARE_ROOT_H

#include "base/begin.h"

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/bits.h"

/* By digits, two of the radicand for one of the root. x is not negative, or NaN. */
static inline double square_root_portable(double x) {
    uint64_t bits;
    memcpy(&bits, &x, 8);
    if (bits << 1 == 0 || bits >= 0x7FF0000000000000U) return x;
    int exponent = (int)(bits >> 52);
    uint64_t radicand = bits & 0xFFFFFFFFFFFFFU;
    if (exponent == 0) { /* subnormal: the highest digit to bit 52 */
        const int up = 52 - (int)floor_log2(radicand);
        radicand <<= up;
        exponent = 1 - up;
    }
    radicand |= (uint64_t)1 << 52;
    exponent -= 1023;
    if ((exponent & 1) != 0) radicand <<= 1;
    exponent = (exponent - (exponent & 1)) / 2;
    /* Of radicand * 2^54, in 108 digits, the root has 54: the last one rounds, and is never half
     * of the way, as squares of 54 digits that end with 1 have more digits than radicands. */
    uint64_t root = 0, rest = 0;
    for (int digit = 106; digit >= 0; digit -= 2) {
        rest = rest << 2 | (digit >= 54 ? radicand >> (digit - 54) & 3 : 0);
        const uint64_t least = root << 2 | 1;
        const int one = rest >= least;
        if (one) rest -= least;
        root = root << 1 | (uint64_t)one;
    }
    bits = ((root + 1) >> 1) + ((uint64_t)(exponent + 1022) << 52); /* its bit 52 adds 1 */
    memcpy(&x, &bits, 8);
    return x;
}

static inline double square_root(double x) {
#if defined(__SSE2__)
    const __m128d a = _mm_set_sd(x);
    return _mm_cvtsd_f64(_mm_sqrt_sd(a, a));
#elif defined(__aarch64__)
    __asm__("fsqrt %d0, %d1" : "=w"(x) : "w"(x));
    return x;
#elif defined(__arm__) && defined(__ARM_FP) && (__ARM_FP & 8) != 0
    __asm__("vsqrt.f64 %P0, %P1" : "=w"(x) : "w"(x));
    return x;
#elif defined(__s390x__)
    __asm__("sqdbr %0, %1" : "=f"(x) : "f"(x));
    return x;
#elif defined(__riscv_flen) && __riscv_flen >= 64
    __asm__("fsqrt.d %0, %1" : "=f"(x) : "f"(x));
    return x;
#elif defined(__powerpc64__) && defined(_ARCH_PPCSQ)
    __asm__("fsqrt %0, %1" : "=d"(x) : "d"(x));
    return x;
#else
    return square_root_portable(x);
#endif
}

#endif
