/* Logarithms of counts, for what coding costs (ENCODER.md section 8.4). Integers only, so that
 * every machine chooses alike. */
#ifndef QSGD_CODES_LOGARITHMS_H
#define QSGD_CODES_LOGARITHMS_H

#include "base/begin.h"

#include <stdint.h>
#include <string.h>

/* log2(v) in units of 2^-16, v < 2^53, within 0.5 % of a bit: a parabola between powers of two.
 * As a double, v shows exponent and mantissa side by side, and is exact. */
static inline uint64_t lg(uint64_t v) {
    const double exact = (double)v;
    uint64_t bits;
    memcpy(&bits, &exact, sizeof bits);
    const uint64_t straight = (bits >> 36) - ((uint64_t)1023 << 16), m = straight & 0xFFFF;
    return straight + ((22570 * ((m * (65536 - m)) >> 16)) >> 16);
}

/* What log2 is above a straight line at m / 2^16 between powers of two, within 2^-14 of a bit: for
 * what is told, not chosen by. */
static inline uint64_t lg_bulge(uint64_t m) {
    const uint64_t cubic = 9589 - (2884 * m >> 16);
    const uint64_t square = 17435 - (cubic * m >> 16);
    const uint64_t linear = 28950 - (square * m >> 16);
    return ((m * (65536 - m)) >> 16) * linear >> 16;
}

/* log2 of a normal number in units of 2^-16, maybe below 0; that of 0 is less than all. */
static inline int64_t fine_lg(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    if (bits == 0) return -((int64_t)1 << 27);
    return (int64_t)(bits >> 36) - ((int64_t)1023 << 16) + (int64_t)lg_bulge((bits >> 36) & 0xFFFF);
}

static inline uint64_t count_lg(uint64_t count) { return count * lg(count | (count == 0)); }

#endif
