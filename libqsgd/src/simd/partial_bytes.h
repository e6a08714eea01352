/* At most eight bytes in a register: what partial vectors of narrow lanes come from and go to, as a
 * load from the stack would wait for several stores to it. Little-endian. */
#ifndef QSGD_SIMD_PARTIAL_BYTES_H
#define QSGD_SIMD_PARTIAL_BYTES_H

#include "base/begin.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The first n of eight bytes; a larger n takes all. Loads overlap. */
static inline uint64_t partial_bytes_load(const void *from, size_t n) {
    const uint8_t *p = (const uint8_t *)from;
    uint64_t eight;
    uint32_t a, b;
    uint16_t c, d;
    if (n >= 8) {
        memcpy(&eight, p, 8);
        return eight;
    }
    if (n >= 4) {
        memcpy(&a, p, 4);
        memcpy(&b, p + n - 4, 4);
        return a | (uint64_t)b << 8 * (n - 4);
    }
    if (n >= 2) {
        memcpy(&c, p, 2);
        memcpy(&d, p + n - 2, 2);
        return c | (uint64_t)d << 8 * (n - 2);
    }
    return n != 0 ? *p : 0;
}

static inline void partial_bytes_store(void *to, uint64_t bytes, size_t n) {
    uint8_t *p = (uint8_t *)to;
    if (n >= 8) {
        memcpy(p, &bytes, 8);
    } else if (n >= 4) {
        const uint32_t low = (uint32_t)bytes, high = (uint32_t)(bytes >> 8 * (n - 4));
        memcpy(p, &low, 4);
        memcpy(p + n - 4, &high, 4);
    } else if (n >= 2) {
        const uint16_t low = (uint16_t)bytes, high = (uint16_t)(bytes >> 8 * (n - 2));
        memcpy(p, &low, 2);
        memcpy(p + n - 2, &high, 2);
    } else if (n != 0) {
        *p = (uint8_t)bytes;
    }
}

#endif
