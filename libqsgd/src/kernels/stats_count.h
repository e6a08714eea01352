/* Kernel body of the statistics: r = x / scale to bins, and its sums (STATISTICS.md). Stage:
 * tensor, norm -> statistics. */
#ifndef QSGD_KERNELS_STATS_COUNT_H
#define QSGD_KERNELS_STATS_COUNT_H

#include "kernels/norm.h"
#include "kernels/types.h"

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

/* Sum of lanes, widened first. */
BODY double stats_fold(const vf *sum) {
    vd wide[NORM_LANES / W];
    for (int v = 0; v < NORM_LANES / W; v++) wide[v] = vd_from_vf(sum[v]);
    return norm_fold(wide);
}

/* Counting leaves memory time to bring what comes after the next buckets. Never faults. */
#define STATS_AHEAD 16384 /* bytes */

BODY void stats_prefetch(const float *x) { PREFETCH((const void *)((uintptr_t)x + STATS_AHEAD)); }

#define STATS_VECTORS                                                                              \
    (NORM_LANES / W) /* of a row: lane l of the sums is that of elements l mod 32 */

/* r of one vector of a row, of which `left` elements are there: zeros behind them. */
BODY vf stats_ratio(const float *x, size_t left, const bool whole, float inv) {
    return vf_mul(whole ? vf_load(x) : vf_load_some(x, left), vf_set1(inv));
}

#ifdef W_TALLY
/* Counters that any lane may add to: rows are counted as they come. */
BODY void stats_rows(const float *x, size_t n, float inv, uint32_t weight,
                     uint32_t counts[STATS_COPIES][STATS_BINS], vf *sum, vf *square) {
    for (size_t i = 0; i < n; i += W) {
        const size_t v = i / W % STATS_VECTORS;
        const vu lane = vu_and(vu_iota(), vu_set1(STATS_COPIES - 1));
        const vu copy = vu_mullo(lane, vu_set1(STATS_BINS));
        const vu bins = stats_bins(stats_ratio(x + i, n - i, n - i >= W, inv), sum + v, square + v);
        vu_tally(counts[0], vu_add(bins, copy), vu_where(vm_first(n - i), vu_set1(weight)));
    }
}
#else
/* Rows whose bins wait before they are counted, so that loads need not wait for stores. */
#define STATS_WAIT 4

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

/* Adds a row to the sums; its bins go to `bins`. */
BODY void stats_row(const float *row, size_t left, const bool whole, float inv, vf *sum, vf *square,
                    int16_t *bins) {
    for (size_t v = 0; v < STATS_VECTORS; v += 2) {
        const size_t at = v * W;
        const vf a = stats_ratio(row + at, elements_left(left, at), whole, inv);
        const vf b = stats_ratio(row + at + W, elements_left(left, at + W), whole, inv);
        const vu low = stats_bins(a, sum + v, square + v);
        const vu high = stats_bins(b, sum + v + 1, square + v + 1);
        vh_store(bins + at, vh_natural(vh_low(low, high)));
    }
}

BODY void stats_rows(const float *x, size_t n, float inv, uint32_t weight,
                     uint32_t counts[STATS_COPIES][STATS_BINS], vf *sum, vf *square) {
    ALIGNED(64) int16_t bins[STATS_WAIT][NORM_LANES];
    const size_t whole = n / NORM_LANES, rest = n % NORM_LANES;
    for (size_t i = 0; i < whole; i++) {
        const float *row = x + i * NORM_LANES;
        stats_prefetch(row);
        stats_prefetch(row + 16);
        if (i >= STATS_WAIT) stats_increment(bins[i % STATS_WAIT], weight, counts);
        stats_row(row, NORM_LANES, true, inv, sum, square, bins[i % STATS_WAIT]);
    }
    for (size_t i = whole < STATS_WAIT ? 0 : whole - STATS_WAIT; i < whole; i++) {
        stats_increment(bins[i % STATS_WAIT], weight, counts);
    }
    if (rest == 0) return;
    stats_row(x + n - rest, rest, false, inv, sum, square, bins[0]);
    for (size_t l = 0; l < rest; l++) counts[0][bins[0][l]] += weight;
}
#endif

/* n <= STATS_BLOCK elements. */
KERNEL void kernel_stats_count(const float *x, size_t n, float inv, uint32_t weight,
                               uint32_t counts[STATS_COPIES][STATS_BINS], double sums[2]) {
    vf sum[STATS_VECTORS], square[STATS_VECTORS];
    for (int v = 0; v < STATS_VECTORS; v++) sum[v] = square[v] = vf_set1(0);
    stats_rows(x, n, inv, weight, counts, sum, square);
    const double first = sums[0] + stats_fold(sum), second = sums[1] + stats_fold(square);
    lanes_sync();
    sums[0] = first;
    sums[1] = second;
}

#endif
