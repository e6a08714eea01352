/* Kernel bodies of the shape of a bucket (ENCODER.md section 4.1): what says whether a rotation
 * gains. Stage: tensor -> rotation. */
#ifndef QSGD_KERNELS_SHAPE_H
#define QSGD_KERNELS_SHAPE_H

#include "kernels/body.h"
#include "kernels/norm.h"

/* Sums of squares, of magnitudes, and of elements, by the rule of 32 lanes: lane by lane, so that
 * all three pass over the elements at once. */
BODY void shape_sums(const float *x, const size_t n, double sums[3]) {
    const vu magnitude = vu_set1(0x7FFFFFFF);
    vd squares[NORM_LANES / W], magnitudes[NORM_LANES / W], elements[NORM_LANES / W];
    for (size_t v = 0; v < NORM_LANES / W; v++) {
        vd s = vd_zero(), m = vd_zero(), e = vd_zero();
        for (size_t i = v * W; i < n; i += NORM_LANES) { /* zeros behind the last change nothing */
            const vf a = n - i >= W ? vf_load(x + i) : vf_load_some(x + i, n - i);
            const vd size = vd_from_vf(vf_from_bits(vu_and(vf_bits(a), magnitude)));
            s = vd_add(s, vd_mul(size, size));
            m = vd_add(m, size);
            e = vd_add(e, vd_from_vf(a));
        }
        squares[v] = s;
        magnitudes[v] = m;
        elements[v] = e;
    }
    const double all[3] = {norm_fold(squares), norm_fold(magnitudes), norm_fold(elements)};
    for (int i = 0; i < 3; i++) sums[i] = all[i];
}

/* Nearly always of a whole block. */
KERNEL void kernel_shape_sums(const float *x, size_t n, double sums[3]) {
    if (n == SHAPE_BLOCK) {
        shape_sums(x, SHAPE_BLOCK, sums);
    } else {
        shape_sums(x, n, sums);
    }
}

/* Pairs of the same magnitude among aligned fours, of n elements, a multiple of 32. */
KERNEL uint64_t kernel_equal_pairs(const float *x, size_t n) {
#ifdef W_FOURS
    vu next = vu_set1(0), opposite = vu_set1(0);
    for (size_t i = 0; i < n; i += W) {
        const vu a = vu_sll(vf_bits(vf_load(x + i)), 1);
        next = vu_inc(vu_eq(a, vu_next_of_four(a)), next);
        opposite = vu_inc(vu_eq(a, vu_opposite_of_four(a)), opposite);
    }
    return vu_sum(next) + vu_sum(opposite) / 2; /* which each of two sees */
#else
    uint64_t pairs = 0;
    for (size_t i = 0; i < n; i += 4) {
        uint32_t a[4];
        memcpy(a, x + i, sizeof a);
        for (int j = 0; j < 4; j++) a[j] <<= 1;
        pairs += (uint64_t)((a[0] == a[1]) + (a[0] == a[2]) + (a[0] == a[3]) + (a[1] == a[2]) +
                            (a[1] == a[3]) + (a[2] == a[3]));
    }
    return pairs;
#endif
}

#endif
