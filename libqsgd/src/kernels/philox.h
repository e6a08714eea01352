/* Philox4x32 with 7 rounds (FORMAT.md section 8.1), one counter at a time: the specification of the
 * noise (noise.h), and the digest of tables (codes/shared_tables.c). */
#ifndef QSGD_PHILOX_H
#define QSGD_PHILOX_H

#include <stdint.h>

#include "kernels/body.h"

#define PHILOX_ROUNDS 7
#define PHILOX_M0 0xD2511F53U
#define PHILOX_M1 0xCD9E8D57U
#define PHILOX_K0 0x9E3779B9U
#define PHILOX_K1 0xBB67AE85U

/* One round of one counter: the specification. */
BODY void philox_one(uint32_t c[4], uint32_t k0, uint32_t k1) {
    const uint64_t p0 = (uint64_t)c[0] * PHILOX_M0, p1 = (uint64_t)c[2] * PHILOX_M1;
    const uint32_t c1 = c[1], c3 = c[3];
    c[0] = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c[1] = (uint32_t)p1;
    c[2] = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c[3] = (uint32_t)p0;
}

/* All rounds, in place. */
BODY void philox(uint32_t c[4], uint32_t k0, uint32_t k1) {
    for (int r = 0; r < PHILOX_ROUNDS; r++, k0 += PHILOX_K0, k1 += PHILOX_K1) {
        philox_one(c, k0, k1);
    }
}

#endif
