/* Kernel bodies of the sparse codes: where, among many zeros, an index is not 0; and whether zeros
 * may be left out of a sum. */
#ifndef QSGD_KERNELS_NONZEROS_H
#define QSGD_KERNELS_NONZEROS_H

#include "kernels/body.h"

#ifdef W_NONZERO
#ifdef W_POSITIONS
#define nonzero_take vu_positions
#else
/* Four positions of set bits at a time, whether there are four or none: words with few of them,
 * which is what sparse codes are for, then cost no branch that could be mispredicted. */
BODY size_t nonzero_take(uint64_t mask, uint32_t first, uint32_t *at) {
    const size_t count = (size_t)__builtin_popcountll(mask);
    size_t i = 0;
    do {
        for (int j = 0; j < 4; j++) {
            at[i++] = first + (uint32_t)__builtin_ctzll(mask | (uint64_t)1 << 63);
            mask &= mask - 1;
        }
    } while (i < count);
    return count;
}
#endif

KERNEL size_t kernel_nonzeros(const int16_t *k, size_t n, uint32_t *at) {
    size_t count = 0, i = 0;
    for (; n - i >= 64; i += 64)
        count += nonzero_take(vh_nonzero64(k + i), (uint32_t)i, at + count);
    return count + nonzero_take(vh_nonzero64_some(k + i, n - i), (uint32_t)i, at + count);
}
#else
KERNEL size_t kernel_nonzeros(const int16_t *k, size_t n, uint32_t *at) {
    size_t count = 0, i = 0;
    for (; n - i >= 4; i += 4) {
        uint64_t four;
        memcpy(&four, k + i, sizeof four);
        for (size_t j = i; four != 0 && j < i + 4; j++) {
            if (k[j] != 0) at[count++] = (uint32_t)j;
        }
    }
    for (; i < n; i++) {
        if (k[i] != 0) at[count++] = (uint32_t)i;
    }
    return count;
}
#endif

/* -0 would become +0, and a signalling NaN a quiet one; quiet ones are counted with them. */
BODY vu changed_by_zero(vf sums, vu count) {
    const vu bits = vf_bits(sums), magnitude = vu_and(bits, vu_set1(0x7FFFFFFF));
    count = vu_inc(vu_eq(bits, vu_set1(0x80000000U)), count);
    return vu_inc(vu_gt31(magnitude, vu_set1(0x7F800000)), count);
}

KERNEL bool kernel_keeps_with_zero(const float *sums, size_t n) {
    size_t i = 0;
    vu count = vu_set1(0);
    for (; n - i >= W; i += W) count = changed_by_zero(vf_load(sums + i), count);
    if (i < n) count = changed_by_zero(vf_load_some(sums + i, n - i), count);
    return vu_top31(count) == 0;
}

#endif
