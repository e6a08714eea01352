/* Kernel bodies of the norm: largest magnitude and 32-lane sums of one block (FORMAT.md
 * section 4.1). Stage: tensor -> norm. Lane l of the format is lane l mod W of vector l / W,
 * whatever W is. */

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
    uint32_t result = vu_top31(vu_max31(vu_max31(max[0], max[1]), vu_max31(max[2], max[3])));
    for (; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, 4);
        bits &= 0x7FFFFFFF;
        result = bits > result ? bits : result;
    }
    return result;
}

/* The lanes' sum, halves upon each other. */
BODY double norm_fold(const vd *acc) {
    vd sum[NORM_LANES / W];
    for (int v = 0; v < NORM_LANES / W; v++) sum[v] = acc[v];
    for (int half = NORM_LANES / W / 2; half > 0; half /= 2) {
        for (int v = 0; v < half; v++) sum[v] = vd_add(sum[v], sum[v + half]);
    }
    return vd_fold(sum[0]);
}

/* Both sums in one body. The last, shorter row is padded with zeros: adding +0 changes no lane. */
BODY uint32_t norm_sum(const float *x, size_t n, double *sum, const bool square) {
    enum { rows = NORM_LANES / W };
    const vu magnitude = vu_set1(0x7FFFFFFF);
    vd acc[rows];
    vu max = vu_set1(0);
    for (int v = 0; v < rows; v++) acc[v] = vd_zero();
    for (size_t i = 0; i < n; i += NORM_LANES) {
        float padded[NORM_LANES];
        const float *row = x + i;
        norm_prefetch(row);
        norm_prefetch(row + 16);
        if (n - i < NORM_LANES) {
            memset(padded, 0, sizeof padded);
            memcpy(padded, row, (n - i) * sizeof *x);
            row = padded;
        }
        for (int v = 0; v < rows; v++) {
            vu bits = vu_and(vf_bits(vf_load(row + v * W)), magnitude);
            vd value = vd_from_vf(vf_from_bits(bits));
            max = vu_max31(max, bits);
            acc[v] = vd_add(acc[v], square ? vd_mul(value, value) : value);
        }
    }
    *sum = norm_fold(acc);
    return vu_top31(max);
}

KERNEL uint32_t kernel_sum_squares(const float *x, size_t n, double *sum) {
    return norm_sum(x, n, sum, true);
}

/* Sum of x h, h = k, or k less 1/2 towards 0; the products are exact. */
KERNEL void kernel_sum_products(const float *x, const int16_t *k, size_t n, float half,
                                double *sum) {
    enum { rows = NORM_LANES / W };
    const vu sign = vu_set1(0x80000000), half_bits = vf_bits(vf_set1(half));
    vd acc[rows];
    for (int v = 0; v < rows; v++) acc[v] = vd_zero();
    for (size_t i = 0; i < n; i += NORM_LANES) {
        float padded[NORM_LANES];
        int16_t padded_k[NORM_LANES];
        const float *row = x + i;
        const int16_t *of = k + i;
        if (n - i < NORM_LANES) {
            memset(padded, 0, sizeof padded);
            memset(padded_k, 0, sizeof padded_k);
            memcpy(padded, row, (n - i) * sizeof *x);
            memcpy(padded_k, of, (n - i) * sizeof *k);
            row = padded;
            of = padded_k;
        }
        for (int v = 0; v < rows; v++) {
            const vf index = vf_from_int(vu_load_i16(of + v * W));
            const vu towards = vu_or(half_bits, vu_and(vf_bits(index), sign));
            const vf h = vf_sub(index, vf_from_bits(towards));
            const vd product = vd_mul(vd_from_vf(vf_load(row + v * W)), vd_from_vf(h));
            acc[v] = vd_add(acc[v], product);
        }
    }
    *sum = norm_fold(acc);
}

KERNEL uint32_t kernel_sum_magnitudes(const float *x, size_t n, double *sum) {
    return norm_sum(x, n, sum, false);
}
