/* Floats that kernels are tried with. */
#ifndef QSGD_TESTS_HOSTILE_H
#define QSGD_TESTS_HOSTILE_H

#include "support.h"

/* Finite, but else anything: subnormals, huge, zeros of both signs, powers of two, plain numbers.
 */
static inline float hostile(uint64_t *state) {
    uint32_t r = (uint32_t)(random_u64(state) >> 32), sign = r & 0x80000000;
    switch (r % 8) {
    case 0: return float_from_bits(sign);
    case 1: return float_from_bits(sign | (r >> 4 & 0x7FFFFF));
    case 2: return float_from_bits(sign | 0x7F000000 | (r >> 4 & 0x7FFFFF));
    case 3: return float_from_bits(sign | (r >> 4 & 0xFF) % 255 << 23);
    default: return random_float(state);
    }
}

static inline void store(void *p, size_t i, float f) { memcpy((uint8_t *)p + 4 * i, &f, 4); }

#endif
