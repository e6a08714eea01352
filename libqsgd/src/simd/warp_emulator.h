/* The primitives of simd/warp.cuh on a host: 32 threads of a warp as coroutines, which take turns
 * wherever lanes meet (a shuffle, a ballot, a barrier). What a device leaves open is tried: between
 * meetings one lane is done before the next begins, from the first to the last or from the last to
 * the first by turns, so that a body whose lanes read what others are still to change, or change
 * what others are still to read, gives other results than the other backends. Lanes that do not all
 * come to the same meetings end the program. For tests, on x86-64. C++. */
#ifndef QSGD_SIMD_WARP_EMULATOR_H
#define QSGD_SIMD_WARP_EMULATOR_H

#include "base/begin.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANE static inline
#define KERNEL static
#define KERNEL_APART static

/* Runs work(data) in all lanes of a warp, and returns when all have returned. */
void warp_run(void (*work)(void *data), void *data);

uint32_t warp_lane(void);
/* All lanes give a number each; returns those of all, until the next meeting. */
const uint64_t *warp_meet(uint64_t a);

LANE void lanes_sync(void) { warp_meet(0); }
LANE uint64_t warp_shuffle64(uint64_t a, uint32_t from) { return warp_meet(a)[from]; }
LANE uint32_t warp_shuffle(uint32_t a, uint32_t from) { return (uint32_t)warp_meet(a)[from]; }
LANE uint32_t warp_ballot(bool a) {
    const uint64_t *all = warp_meet(a ? 1 : 0);
    uint32_t bits = 0;
    for (uint32_t l = 0; l < 32; l++) bits |= (uint32_t)all[l] << l;
    return bits;
}
/* One lane runs at a time. */
LANE void warp_atomic_add(uint32_t *p, uint32_t a) { *p += a; }
LANE void warp_atomic_or(uint32_t *p, uint32_t a) {
    uint8_t bytes[4]; /* the others may lie past the end of the string: they stay untouched */
    memcpy(bytes, &a, 4);
    for (int i = 0; i < 4; i++) {
        if (bytes[i] != 0) ((uint8_t *)p)[i] |= bytes[i];
    }
}
LANE uint32_t warp_count(uint32_t a) { return (uint32_t)__builtin_popcount(a); }
LANE uint32_t warp_count64(uint64_t a) { return (uint32_t)__builtin_popcountll(a); }
/* Floats of callers may have any alignment here. */
LANE float f32_get(const float *p) {
    float a;
    memcpy(&a, p, sizeof a);
    return a;
}
LANE void f32_put(float *p, float a) { memcpy(p, &a, sizeof a); }
LANE float f32_add(float a, float b) { return a + b; }
LANE float f32_sub(float a, float b) { return a - b; }
LANE float f32_mul(float a, float b) { return a * b; }
LANE double f64_add(double a, double b) { return a + b; }
LANE double f64_mul(double a, double b) { return a * b; }
LANE float f32_from_int(int32_t a) { return (float)a; }
LANE int32_t f32_trunc(float a) { return (int32_t)a; }

#endif
