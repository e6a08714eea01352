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

static inline uint64_t count_lg(uint64_t count) { return count * lg(count | (count == 0)); }

#endif
