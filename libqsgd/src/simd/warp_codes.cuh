/* More of the vocabulary of a warp, one lane a thread, for the coders. Meanings: simd/scalar.h
 * names the blocks, simd/warp.h is the twin. Included by simd/warp.cuh. */
#ifndef QSGD_SIMD_WARP_CODES_CUH
#define QSGD_SIMD_WARP_CODES_CUH

#include "base/begin.h"

#define W_TABLE 64

struct vt {
    uint32_t a, b; /* entries l and 32 + l; of 16: l mod 16 */
};
LANE vt vt_load(const uint32_t *p, const int size) {
    vt t;
    t.a = p[warp_lane() & ((uint32_t)size - 1)];
    t.b = size == 64 ? p[W + warp_lane()] : 0;
    return t;
}
LANE vu vt_at(const vt *t, vu i, const int size) {
    const uint32_t low = warp_shuffle(t->a, i.u & ((uint32_t)size - 1) & 31);
    if (size < 64) return warp_u(low);
    const uint32_t high = warp_shuffle(t->b, i.u & 31);
    return warp_u((i.u & 32) != 0 ? high : low);
}

#define W_TALLY 1

LANE void vu_tally(uint32_t *counts, vu i, vu by) {
    if (by.u != 0) warp_atomic_add(counts + i.u, by.u);
}

#define W_FOURS 1

LANE vu vu_next_of_four(vu a) {
    const uint32_t l = warp_lane();
    return warp_u(warp_shuffle(a.u, (l & ~3U) | ((l + 1) & 3)));
}
LANE vu vu_opposite_of_four(vu a) { return warp_u(warp_shuffle(a.u, warp_lane() ^ 2)); }

#define W_ALONE 1

#define W_SCAN 1

LANE vu vu_running(vu a) {
    for (uint32_t h = 1; h < W; h *= 2) {
        const uint32_t before = warp_shuffle(a.u, (warp_lane() - h) & 31);
        if (warp_lane() >= h) a.u += before;
    }
    return a;
}
LANE vu vu_bits_at(const uint8_t *p, uint64_t bytes, uint64_t first, vu at) {
    const uint64_t bit = first + at.u;
    uint32_t word = 0;
    for (uint64_t b = 0; b < 3; b++) {
        if (bit / 8 + b < bytes) word |= (uint32_t)p[bit / 8 + b] << 8 * b;
    }
    return warp_u(word >> bit % 8 & 0xFFFF);
}
/* Neighbours may share a word, so that words are or-ed as one; a word may reach past the string to
 * the next multiple of four bytes, where it changes nothing. */
LANE void vu_put_bits(uint8_t *p, uint64_t first, vu at, vu bits) {
    const uintptr_t byte = (uintptr_t)p + (uintptr_t)((first + at.u) / 8);
    const uint32_t shift = (uint32_t)(byte % 4 * 8 + (first + at.u) % 8);
    uint32_t *const word = (uint32_t *)(byte - byte % 4);
    const uint64_t two = (uint64_t)bits.u << shift;
    if ((uint32_t)two != 0) warp_atomic_or(word, (uint32_t)two);
    if (two >> 32 != 0) warp_atomic_or(word + 1, (uint32_t)(two >> 32));
}

#define W_RENORM 1

/* Of a mask's sixteen lanes with this one, those below it, and all. */
struct warp_group {
    uint32_t high, below, all[2];
};
LANE warp_group warp_group_of(vm mask) {
    const uint32_t bits = warp_ballot(mask.b), lane = warp_lane();
    warp_group g;
    g.high = lane / 16;
    g.below = warp_count((bits >> 16 * g.high & 0xFFFF) & ((1U << lane % 16) - 1));
    g.all[0] = warp_count(bits & 0xFFFF);
    g.all[1] = warp_count(bits >> 16);
    return g;
}
LANE void vu_push_words(uint16_t **words, vu a, vm mask) {
    const warp_group g = warp_group_of(mask);
    if (g.all[0] != 0) words[0] -= g.all[0];
    if (g.all[1] != 0) words[1] -= g.all[1];
    if (mask.b) (g.high ? words[1] : words[0])[g.below] = (uint16_t)a.u;
}
LANE vu vu_pull_words(const uint8_t **words, const uint8_t *const *ends, vu a, vm mask) {
    const warp_group g = warp_group_of(mask);
    if (mask.b) {
        const uint8_t *p = (g.high ? words[1] : words[0]) + 2 * g.below;
        const uint8_t *const end = g.high ? ends[1] : ends[0];
        const uint32_t word = end - p >= 2 ? (uint32_t)(p[0] | p[1] << 8) : 0;
        a.u = a.u << 16 | word;
    }
    if (g.all[0] != 0) words[0] += 2 * (size_t)g.all[0];
    if (g.all[1] != 0) words[1] += 2 * (size_t)g.all[1];
    return a;
}

#define W_NONZERO 1

LANE uint64_t vh_nonzero64_some(const int16_t *k, size_t n) {
    const vh a = vh_load_some(k, n);
    const uint32_t low = warp_ballot(a.a != 0), high = warp_ballot(a.b != 0);
    return low | (uint64_t)high << 32;
}
LANE uint64_t vh_nonzero64(const int16_t *k) { return vh_nonzero64_some(k, 64); }

#define W_POSITIONS 1

LANE size_t vu_positions(uint64_t mask, uint32_t first, uint32_t *at) {
    for (uint32_t i = warp_lane(); i < 64; i += W) {
        const uint64_t below = mask & (((uint64_t)1 << i) - 1);
        if ((mask >> i & 1) != 0) at[warp_count64(below)] = first + i;
    }
    return warp_count64(mask);
}

#define W_CRC_ROWS 1

LANE vu vu_load_le32(const uint8_t *p) {
    p += 4 * warp_lane();
    return warp_u((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                  (uint32_t)p[3] << 24);
}
LANE uint32_t vu_xor_lanes(vu a) {
    for (uint32_t h = W / 2; h > 0; h /= 2) a.u ^= warp_shuffle(a.u, warp_lane() ^ h);
    return a.u;
}

#endif
