/* Kernel bodies that count tokens: of a chunk, and of its groups of 128 by energy, from which
 * codes/rans/classes.c makes classes (ENCODER.md section 8.4). Stage: tokens -> code. */
#ifndef QSGD_KERNELS_HISTOGRAM_H
#define QSGD_KERNELS_HISTOGRAM_H

#include "base/bits.h"
#include "kernels/body.h"
#include "kernels/types.h"

#ifdef W_TALLY
/* Counters that any lane may add to. Adds the first `left` of W tokens; marked ones do not count.
 */
BODY void histogram_tally(const uint8_t *tokens, size_t left, uint32_t counts[64]) {
    const vu token = left >= W ? vu_load_u8(tokens) : vu_load_u8_some(tokens, left);
    const vu one = vu_where(vu_gt31(vu_set1(64), token), vu_where(vm_first(left), vu_set1(1)));
    vu_tally(counts, vu_and(token, vu_set1(63)), one);
}
#else
/* Four histograms in turn: equal neighbours would wait for each other's store. */
KERNEL void histogram_add(const uint8_t *tokens, size_t n, uint32_t counts[64]) {
    uint32_t part[4][256];
    size_t i = 0;
    if (n >= 256) memset(part, 0, sizeof part);
    for (; n >= 256 && i + 8 <= n; i += 8) {
        uint64_t eight;
        memcpy(&eight, tokens + i, 8);
        for (int j = 0; j < 8; j++) part[j % 4][eight >> (8 * j) & 255]++;
    }
    for (int t = 0; n >= 256 && t < 64; t++) {
        counts[t] += part[0][t] + part[1][t] + part[2][t] + part[3][t];
    }
    for (; i < n; i++) {
        if (tokens[i] < 64) counts[tokens[i]]++;
    }
}
#endif

#ifdef W_BYTES
/* Row j of a quarter's tokens: 1 at token 2 j, 16 at 2 j + 1. Looked up and added, every byte lane
 * counts two tokens in its nibbles, up to 15 times. */
static const uint8_t histogram_rows[8][16] = {
    {1, 16},
    {0, 0, 1, 16},
    {0, 0, 0, 0, 1, 16},
    {0, 0, 0, 0, 0, 0, 1, 16},
    {0, 0, 0, 0, 0, 0, 0, 0, 1, 16},
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 16},
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 16},
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 16},
};

/* Adds `vectors` (at most 15) vectors of tokens to nibble counters; other quarters' tokens, and
 * marked ones, find nothing: their distance is above 127, or saturates. Returns the or of all. */
BODY vb histogram_nibbles(const uint8_t *tokens, const int vectors, unsigned quarter, vb sum[8]) {
    const vb base = vb_set1((uint8_t)(16 * quarter)), top = vb_set1(0x70);
    vb row[8], seen = vb_set1(0);
    for (int j = 0; j < 8; j++) row[j] = vb_row(histogram_rows[j]);
#pragma GCC unroll 1 /* whole, it would not fit into registers */
    for (int v = 0; v < vectors; v++) {
        vb token = vb_load(tokens + v * W_BYTES);
        vb at = vb_add_saturated(vb_sub(token, base), top);
        seen = vb_or(seen, token);
        for (int j = 0; j < 8; j++) sum[j] = vb_add(sum[j], vb_look_up(row[j], at));
    }
    return seen;
}

/* counts[2 j], counts[2 j + 1] += the nibbles of sum[j]. */
BODY void histogram_flush(const vb sum[8], uint32_t counts[16]) {
    const vb low = vb_set1(15);
    for (int j = 0; j < 8; j++) {
        counts[2 * j] += (uint32_t)vb_sum(vb_and(sum[j], low));
        counts[2 * j + 1] += (uint32_t)vb_sum(vb_high_nibbles(sum[j]));
    }
}

#define HISTOGRAM_ROUND 15  /* vectors that a nibble can count */
#define HISTOGRAM_ROUNDS 17 /* rounds that a byte can count */

/* At most 255 vectors; returns the or of all tokens, in some lane. */
BODY vb histogram_block(const uint8_t *tokens, size_t vectors, unsigned quarter,
                        uint32_t counts[16]) {
    const vb low = vb_set1(15);
    vb even[8], odd[8], seen = vb_set1(0);
    for (int j = 0; j < 8; j++) even[j] = odd[j] = vb_set1(0);
    for (size_t v = 0; v < vectors; v += HISTOGRAM_ROUND) {
        vb sum[8];
        const uint8_t *p = tokens + v * W_BYTES;
        const size_t left = vectors - v;
        for (int j = 0; j < 8; j++) sum[j] = vb_set1(0);
        seen = vb_or(seen, left >= HISTOGRAM_ROUND
                               ? histogram_nibbles(p, HISTOGRAM_ROUND, quarter, sum)
                               : histogram_nibbles(p, (int)left, quarter, sum));
        for (int j = 0; j < 8; j++) {
            even[j] = vb_add(even[j], vb_and(sum[j], low));
            odd[j] = vb_add(odd[j], vb_high_nibbles(sum[j]));
        }
    }
    for (int j = 0; j < 8; j++) {
        counts[2 * j] += (uint32_t)vb_sum(even[j]);
        counts[2 * j + 1] += (uint32_t)vb_sum(odd[j]);
    }
    return seen;
}

/* Which quarters tokens with this or may lie in. */
BODY bool histogram_in_quarter(uint8_t seen, unsigned quarter) {
    return (quarter & ~(unsigned)(seen >> 4)) == 0;
}
#endif

KERNEL void kernel_histogram(const uint8_t *tokens, size_t n, uint32_t counts[64]) {
    size_t i = 0;
    EACH(t, 0, 64, 1) counts[t] = 0;
    lanes_sync();
#ifdef W_TALLY
    for (; i < n; i += W) histogram_tally(tokens + i, n - i, counts);
    lanes_sync();
#else
#ifdef W_BYTES
    while (n - i >= W_BYTES) {
        const size_t most = (size_t)HISTOGRAM_ROUND * HISTOGRAM_ROUNDS;
        const size_t vectors = (n - i) / W_BYTES < most ? (n - i) / W_BYTES : most;
        const uint8_t seen = vb_or_lanes(histogram_block(tokens + i, vectors, 0, counts));
        for (unsigned q = 1; q < 4; q++) {
            if (!histogram_in_quarter(seen, q)) continue;
            histogram_block(tokens + i, vectors, q, counts + 16 * q);
        }
        i += vectors * W_BYTES;
    }
#endif
    histogram_add(tokens + i, n - i, counts);
#endif
}

/* ---- groups ---------------------------------------------------------------------------------- */

/* 0 for no energy, else 1 + the energy's half octave. */
BODY uint8_t group_bin(uint64_t energy) {
    if (energy == 0) return 0;
    const unsigned e = floor_log2(energy);
    return (uint8_t)(1 + 2 * e + (energy * energy >> (2 * e + 1) != 0));
}

/* Sum of |k| over n <= 128 elements: of indices, or of direct tokens, whose |k| is (t + 1) / 2. */
BODY uint64_t group_energy(const int16_t *k, size_t n) {
    vu sum = vu_set1(0);
    size_t i = 0;
    for (; i + W_HALVES <= n; i += W_HALVES) {
        sum = vu_add(sum, vh_pair_sums(vh_abs(vh_load(k + i))));
    }
    if (i < n) sum = vu_add(sum, vh_pair_sums(vh_abs(vh_load_some(k + i, n - i))));
    return vu_sum(sum);
}

BODY uint64_t group_energy_of_tokens(const uint8_t *tokens, size_t n) {
    size_t i = 0;
#ifdef W_BYTES
    uint64_t total = 0;
    for (; i + W_BYTES <= n; i += W_BYTES) total += vb_sum(vb_half_up(vb_load(tokens + i)));
    if (i < n) total += vb_sum(vb_half_up(vb_load_some(tokens + i, n - i)));
    return total;
#else
    const vu one = vu_set1(1);
    vu sum = vu_set1(0);
    for (; i + W <= n; i += W) {
        sum = vu_add(sum, vu_srl(vu_add(vu_load_u8(tokens + i), one), 1));
    }
    if (i < n) sum = vu_add(sum, vu_srl(vu_add(vu_load_u8_some(tokens + i, n - i), one), 1));
    return vu_sum(sum);
#endif
}

KERNEL void kernel_group_bins(const int16_t *k, const uint8_t *tokens, size_t n, uint8_t *bins) {
    for (size_t i = 0; i < n; i += 128) {
        const size_t len = n - i < 128 ? n - i : 128;
        *bins++ = group_bin(k != NULL ? group_energy(k + i, len)
                                      : group_energy_of_tokens(tokens + i, len));
    }
}

#if defined(W_BYTES) && W_BYTES >= 32
/* Nibble counters of one bin: how many more groups they can take. */
struct group_counter {
    vb sum[4][8];
    uint8_t left[4];
};

enum { GROUP_VECTORS = 128 / W_BYTES, GROUP_ROUNDS = 15 / GROUP_VECTORS, GROUP_BLOCK = 256 };

KERNEL void group_flush(struct group_counter *c, unsigned quarter, uint32_t counts[64]) {
    if (c->left[quarter] == GROUP_ROUNDS) return;
    histogram_flush(c->sum[quarter], counts + 16 * quarter);
    for (int j = 0; j < 8; j++) c->sum[quarter][j] = vb_set1(0);
    c->left[quarter] = GROUP_ROUNDS;
}

/* Groups of one bin, from `group` on to the one that is its own next. */
KERNEL void group_chain(const uint8_t *tokens, unsigned group, const uint8_t *next,
                        struct group_counter *c, uint32_t counts[64]) {
    for (;; group = next[group]) {
        const uint8_t *p = tokens + (size_t)128 * group;
        const vb all = histogram_nibbles(p, GROUP_VECTORS, 0, c->sum[0]);
        if (--c->left[0] == 0) group_flush(c, 0, counts);
        if (vb_any_above(vb_and(all, vb_set1(63)), 15)) {
            const uint8_t seen = vb_or_lanes(all);
            for (unsigned q = 1; q < 4; q++) {
                if (!histogram_in_quarter(seen, q)) continue;
                histogram_nibbles(p, GROUP_VECTORS, q, c->sum[q]);
                if (--c->left[q] == 0) group_flush(c, q, counts);
            }
        }
        if (next[group] == group) break;
    }
    for (unsigned q = 0; q < 4; q++) group_flush(c, q, counts);
}

/* Bin by bin, so that one bin's counters serve for all. */
KERNEL void kernel_group_histograms(const uint8_t *tokens, size_t n, const uint8_t *bins,
                                    unsigned count, uint32_t (*counts)[64]) {
    struct group_counter c;
    size_t whole = n / 128;
    for (int j = 0; j < 32; j++) c.sum[j / 8][j % 8] = vb_set1(0);
    memset(c.left, GROUP_ROUNDS, sizeof c.left);
    memset(counts, 0, count * sizeof *counts);
    if (n % 128 != 0) histogram_add(tokens + 128 * whole, n % 128, counts[bins[whole]]);
    while (whole > 0) {
        const unsigned groups = whole < GROUP_BLOCK ? (unsigned)whole : GROUP_BLOCK;
        uint8_t first[GROUP_BINS], next[GROUP_BLOCK];
        bool used[GROUP_BINS] = {false};
        for (unsigned g = groups; g-- > 0;) {
            const unsigned bin = bins[g];
            next[g] = used[bin] ? first[bin] : (uint8_t)g;
            first[bin] = (uint8_t)g;
            used[bin] = true;
        }
        for (unsigned bin = 0; bin < count; bin++) {
            if (used[bin]) group_chain(tokens, first[bin], next, &c, counts[bin]);
        }
        tokens += (size_t)128 * groups;
        bins += groups;
        whole -= groups;
    }
}
#else
KERNEL void kernel_group_histograms(const uint8_t *tokens, size_t n, const uint8_t *bins,
                                    unsigned count, uint32_t (*counts)[64]) {
    EACH(c, 0, (size_t)count * 64, 1) counts[c / 64][c % 64] = 0;
    lanes_sync();
#ifdef W_TALLY
    for (size_t i = 0; i < n; i += W) histogram_tally(tokens + i, n - i, counts[bins[i / 128]]);
    lanes_sync();
#else
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] < 64) counts[bins[i / 128]][tokens[i]]++;
    }
#endif
}
#endif

#endif
