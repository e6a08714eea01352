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
    double lanes[NORM_LANES];
    for (int v = 0; v < rows; v++) vd_store(lanes + v * W, acc[v]);
    for (int half = NORM_LANES / 2; half > 0; half /= 2) {
        for (int l = 0; l < half; l++) lanes[l] += lanes[l + half];
    }
    *sum = lanes[0];
    return vu_top31(max);
}

KERNEL uint32_t kernel_sum_squares(const float *x, size_t n, double *sum) {
    return norm_sum(x, n, sum, true);
}

KERNEL uint32_t kernel_sum_magnitudes(const float *x, size_t n, double *sum) {
    return norm_sum(x, n, sum, false);
}
