/* Kernel bodies of the norm: largest magnitude and 32-lane sums of one block (ENCODER.md
 * section 5.1). Stage: tensor -> norm. Lane l of the format is lane l mod W of vector l / W,
 * whatever W is. */
#ifndef QSGD_KERNELS_NORM_H
#define QSGD_KERNELS_NORM_H

#include "kernels/body.h"
#include "kernels/types.h"

#define NORM_LANES 32

/* While this bucket is rounded, those ahead come from memory: what the hardware would fetch by
 * itself ends with every page. Never faults, wherever it points. */
#define NORM_AHEAD 8192 /* bytes */

BODY void norm_prefetch(const float *x) { PREFETCH((const void *)((uintptr_t)x + NORM_AHEAD)); }

BODY void norm_max_step(const float *x, vu max[4]) {
    const vu magnitude = vu_set1(0x7FFFFFFF);
    for (int v = 0; v < 4; v++) {
        max[v] = vu_max31(max[v], vu_and(vf_bits(vf_load(x + v * W)), magnitude));
    }
}

KERNEL uint32_t kernel_max_bits(const float *x, size_t n) {
    vu max[4];
    for (int v = 0; v < 4; v++) max[v] = vu_set1(0);
    size_t i = 0;
    for (; i + 4 * W <= n; i += 4 * W) {
        for (size_t line = 0; line < 4 * W; line += 16) norm_prefetch(x + i + line);
        norm_max_step(x + i, max);
    }
    if (i < n && n >= 4 * W) { /* once more what the last vectors have in common */
        norm_max_step(x + n - 4 * W, max);
        i = n;
    }
    for (; i < n; i += W) {
        const vu bits = vf_bits(vf_load_some(x + i, n - i));
        max[0] = vu_max31(max[0], vu_and(bits, vu_set1(0x7FFFFFFF)));
    }
    return vu_top31(vu_max31(vu_max31(max[0], max[1]), vu_max31(max[2], max[3])));
}

/* The lanes' sum, halves upon each other. */
BODY double norm_fold(const vd *acc) {
#if W < NORM_LANES
    enum { HALF = NORM_LANES / W / 2 };
    vd sum[HALF];
    for (int v = 0; v < HALF; v++) sum[v] = vd_add(acc[v], acc[v + HALF]);
    for (int half = HALF / 2; half > 0; half /= 2) {
        for (int v = 0; v < half; v++) sum[v] = vd_add(sum[v], sum[v + half]);
    }
    return vd_fold(sum[0]);
#else
    return vd_fold(acc[0]);
#endif
}

/* Of both sums: a row's vectors to acc and max; the last, shorter row is padded with zeros: adding
 * +0 changes no lane. */
BODY void norm_row(const float *row, size_t left, const bool whole, const bool square, vd *acc,
                   vu *max) {
    const vu magnitude = vu_set1(0x7FFFFFFF);
    for (size_t v = 0; v < NORM_LANES / W; v++) {
        const vf x =
            whole ? vf_load(row + v * W) : vf_load_some(row + v * W, elements_left(left, v * W));
        const vu bits = vu_and(vf_bits(x), magnitude);
        const vd value = vd_from_vf(vf_from_bits(bits));
        *max = vu_max31(*max, bits);
        acc[v] = vd_add(acc[v], square ? vd_mul(value, value) : value);
    }
}

BODY uint32_t norm_sum(const float *x, size_t n, double *sum, const bool square) {
    vd acc[NORM_LANES / W];
    vu max = vu_set1(0);
    for (int v = 0; v < NORM_LANES / W; v++) acc[v] = vd_zero();
    size_t i = 0;
    for (; n - i >= NORM_LANES; i += NORM_LANES) {
        norm_prefetch(x + i);
        norm_prefetch(x + i + 16);
        norm_row(x + i, NORM_LANES, true, square, acc, &max);
    }
    if (i < n) norm_row(x + i, n - i, false, square, acc, &max);
    *sum = norm_fold(acc);
    return vu_top31(max);
}

KERNEL uint32_t kernel_sum_squares(const float *x, size_t n, double *sum) {
    return norm_sum(x, n, sum, true);
}

BODY void norm_products(const float *x, const float *h, size_t left, const bool whole, vd *acc) {
    for (size_t v = 0; v < NORM_LANES / W; v++) {
        const size_t at = v * W, some = elements_left(left, at);
        const vf a = whole ? vf_load(x + at) : vf_load_some(x + at, some);
        const vf b = whole ? vf_load(h + at) : vf_load_some(h + at, some);
        acc[v] = vd_add(acc[v], vd_mul(vd_from_vf(a), vd_from_vf(b)));
    }
}

/* Of x h; the products are exact. */
KERNEL void kernel_sum_products(const float *x, const float *h, size_t n, double *sum) {
    vd acc[NORM_LANES / W];
    for (int v = 0; v < NORM_LANES / W; v++) acc[v] = vd_zero();
    size_t i = 0;
    for (; n - i >= NORM_LANES; i += NORM_LANES) {
        norm_products(x + i, h + i, NORM_LANES, true, acc);
    }
    if (i < n) norm_products(x + i, h + i, n - i, false, acc);
    *sum = norm_fold(acc);
}

KERNEL uint32_t kernel_sum_magnitudes(const float *x, size_t n, double *sum) {
    return norm_sum(x, n, sum, false);
}

#endif
