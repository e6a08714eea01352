/* Kernel body of the statistics: r = x / scale to bins, and its sums (FORMAT.md section 12). Stage:
 * tensor, norm -> statistics. */

/* Bin of |r| from its bits: the exponent and four bits of the significand are one number. A quarter
 * of a bin is added, so that the last bin starts at 1 - 2^-7: there lie the largest elements of
 * buckets whose scale was rounded up to bfloat16. */
#define STATS_BIN_SHIFT 19
#define STATS_BIN_QUARTER (1U << 17)
#define STATS_BIN_OF_ONE (0x3F800000U >> STATS_BIN_SHIFT)
#define STATS_BIN_BASE (STATS_BIN_OF_ONE - (STATS_MAGNITUDES - 1))

/* r of one vector: its sums, and its bins as halves of 16 bits in the low ones. */
BODY vu stats_bins(vf r, vf *sum, vf *square) {
    const vu least = vu_set1(STATS_BIN_BASE);
    const vu sign = vu_and(vf_bits(r), vu_set1(0x80000000));
    const vf size = vf_min(vf_from_bits(vu_xor(vf_bits(r), sign)), vf_set1(1.0F));
    *sum = vf_add(*sum, vf_from_bits(vu_or(vf_bits(size), sign)));
    *square = vf_add(*square, vf_mul(size, size));
    const vu bin = vu_sub(
        vu_max31(vu_srl(vu_add(vf_bits(size), vu_set1(STATS_BIN_QUARTER)), STATS_BIN_SHIFT), least),
        least);
    return vu_add(bin, vu_and(vu_sign(sign), vu_set1(STATS_MAGNITUDES)));
}

/* Four bins come by one load: stores to counters are what bounds this. */
BODY void stats_increment(const int16_t *bins, uint32_t weight,
                          uint32_t counts[STATS_COPIES][STATS_BINS]) {
    for (int l = 0; l < NORM_LANES; l += 4) {
        uint64_t four;
        memcpy(&four, bins + l, sizeof four);
        counts[0][four & 0xFFFF] += weight;
        counts[1][(four >>= 16) & 0xFFFF] += weight;
        counts[2][(four >>= 16) & 0xFFFF] += weight;
        counts[3][four >> 16] += weight;
    }
}

/* Sum of lanes, widened first. */
BODY double stats_fold(const vf *sum) {
    vd wide[NORM_LANES / W];
    for (int v = 0; v < NORM_LANES / W; v++) wide[v] = vd_from_vf(sum[v]);
    return norm_fold(wide);
}

/* Counting leaves memory time to bring what comes after the next buckets. Never faults. */
#define STATS_AHEAD 16384 /* bytes */

BODY void stats_prefetch(const float *x) { PREFETCH((const void *)((uintptr_t)x + STATS_AHEAD)); }

/* Rows whose bins wait before they are counted, so that loads need not wait for stores. */
#define STATS_WAIT 4

/* n <= STATS_BLOCK elements. Rows of 32 give the sums; lane l is that of elements l mod 32,
 * whatever W is. The last, shorter row is padded with zeros, which are not counted. */
KERNEL void kernel_stats_count(const float *x, size_t n, float inv, uint32_t weight,
                               uint32_t counts[STATS_COPIES][STATS_BINS], double sums[2]) {
    enum { rows = NORM_LANES / W };
    _Alignas(64) int16_t bins[STATS_WAIT][NORM_LANES];
    vf sum[rows], square[rows];
    for (int v = 0; v < rows; v++) sum[v] = square[v] = vf_set1(0);
    const size_t whole = n / NORM_LANES, all = whole + (n % NORM_LANES != 0);
    for (size_t i = 0; i < all; i++) {
        float padded[NORM_LANES];
        const float *row = x + i * NORM_LANES;
        int16_t *const to = bins[i % STATS_WAIT];
        stats_prefetch(row);
        stats_prefetch(row + 16);
        if (i >= STATS_WAIT) stats_increment(to, weight, counts);
        if (i == whole) {
            memset(padded, 0, sizeof padded);
            memcpy(padded, row, n % NORM_LANES * sizeof *x);
            row = padded;
        }
        for (int v = 0; v < rows; v += 2) {
            const vf a = vf_mul(vf_load(row + v * W), vf_set1(inv));
            const vf b = vf_mul(vf_load(row + (v + 1) * W), vf_set1(inv));
            const vu low = stats_bins(a, sum + v, square + v);
            const vu high = stats_bins(b, sum + v + 1, square + v + 1);
            vh_store(to + v * W, vh_natural(vh_low(low, high)));
        }
    }
    for (size_t i = all < STATS_WAIT ? 0 : all - STATS_WAIT; i < whole; i++) {
        stats_increment(bins[i % STATS_WAIT], weight, counts);
    }
    for (size_t l = 0; l < n % NORM_LANES; l++) {
        counts[0][(uint16_t)bins[whole % STATS_WAIT][l]] += weight;
    }
    sums[0] += stats_fold(sum);
    sums[1] += stats_fold(square);
}
