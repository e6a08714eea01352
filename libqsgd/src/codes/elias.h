/* Codewords of the Elias codes (FORMAT.md section 7.2; Elias, IEEE Trans. Inf. Theory 21(2), 1975).
 *
 * For positive integers below 2^28, which is all that chunks need: counts and gaps are at most
 * 2^18 + 1. A codeword then has at most 55 bits, so one write, or one refill, covers it. */
#ifndef QSGD_CODES_ELIAS_H
#define QSGD_CODES_ELIAS_H

#include "base/bits.h"
#include "qsgd_stages.h"

#define ELIAS_LOG2_MAX 27U /* values below 2^28 */

/* Of bodies that take the kind of code as a parameter, which only inlining makes constant. */
#if defined(__GNUC__)
#define ELIAS_BODY static inline __attribute__((always_inline))
#else
#define ELIAS_BODY static inline
#endif

struct codeword {
    uint64_t bits;
    unsigned length;
};

/* 1 <= v < 2^28. `elias` is a constant where this is inlined. */
static inline struct codeword elias_codeword(int32_t elias, uint64_t v) {
    unsigned n = floor_log2(v);
    if (elias == QSGD_ELIAS_GAMMA) return (struct codeword){v, 2 * n + 1};
    if (elias == QSGD_ELIAS_DELTA) {
        uint64_t low = v & (((uint64_t)1 << n) - 1);
        return (struct codeword){(uint64_t)(n + 1) << n | low, 2 * floor_log2(n + 1) + 1 + n};
    }
    struct codeword word = {0, 1};
    while (v > 1) {
        n = floor_log2(v);
        word.bits |= v << word.length;
        word.length += n + 1;
        v = n;
    }
    return word;
}

/* Takes one codeword of a value below 2^(log2_max + 1), log2_max <= ELIAS_LOG2_MAX, from bits that
 * are held already: 2 * log2_max + 1 of them suffice, whichever the code. Returns 0 if the value is
 * larger; then an unknown part of the codeword is consumed. */
static inline uint64_t elias_take(int32_t elias, struct bit_reader *r, unsigned log2_max) {
    if (elias == QSGD_ELIAS_OMEGA) {
        uint64_t v = 1;
        while (r->acc >> 63 != 0) {
            if (v > log2_max) return 0;
            v = msb_take(r, (unsigned)v + 1);
        }
        msb_take(r, 1);
        return v;
    }
    unsigned most = elias == QSGD_ELIAS_GAMMA ? log2_max : floor_log2(log2_max + 1);
    if (r->acc >> (63 - most) == 0) return 0;
    unsigned zeros = (unsigned)__builtin_clzll(r->acc);
    uint64_t v = msb_take(r, 2 * zeros + 1);
    if (elias == QSGD_ELIAS_GAMMA) return v;
    unsigned n = (unsigned)v - 1;
    if (n > log2_max) return 0;
    uint64_t one = (uint64_t)1 << n;
    return n == 0 ? one : one | msb_take(r, n);
}

#endif
