/* Vocabulary of 32 lanes: a warp as one vector on the host, where a shuffle is a permutation and a
 * ballot a mask. Meanings: simd/scalar.h. Its twin, one lane a thread, is simd/warp.cuh: what holds
 * here, byte for byte, holds there. Built for tests, as backend `warp`. */
#ifndef QSGD_SIMD_WARP_H
#define QSGD_SIMD_WARP_H

#include "base/begin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define W 32
#define W_HALVES 64
#define W_LOOPS 1

#define LANES for (int l = 0; l < W; l++)
#define HALVES for (int i = 0; i < W_HALVES; i++)

typedef struct {
    float of[W];
} vf;
typedef struct {
    uint32_t of[W];
} vu;
typedef struct {
    double of[W];
} vd;
typedef struct {
    uint32_t bits; /* bit l: lane l */
} vm;

#define WARP_MASK(condition)                                                                       \
    vm m = {0};                                                                                    \
    LANES m.bits |= (uint32_t)(condition) << l;                                                    \
    return m

#define WARP_OF(type, value)                                                                       \
    type r;                                                                                        \
    LANES r.of[l] = (value);                                                                       \
    return r

static inline bool warp_has(vm m, int l) { return (m.bits >> l & 1) != 0; }

static inline vf vf_load(const float *p) {
    vf a;
    memcpy(a.of, p, sizeof a.of);
    return a;
}
static inline void vf_store(float *p, vf a) { memcpy(p, a.of, sizeof a.of); }
static inline vf vf_set1(float a) { WARP_OF(vf, a); }
static inline vf vf_add(vf a, vf b) { WARP_OF(vf, a.of[l] + b.of[l]); }
static inline vf vf_sub(vf a, vf b) { WARP_OF(vf, a.of[l] - b.of[l]); }
static inline vf vf_mul(vf a, vf b) { WARP_OF(vf, a.of[l] * b.of[l]); }
static inline vf vf_min(vf a, vf b) { WARP_OF(vf, a.of[l] < b.of[l] ? a.of[l] : b.of[l]); }
static inline vm vf_ge(vf a, vf b) { WARP_MASK(a.of[l] >= b.of[l]); }
static inline vu vf_bits(vf a) {
    vu u;
    memcpy(u.of, a.of, sizeof u.of);
    return u;
}
static inline vf vf_from_bits(vu a) {
    vf f;
    memcpy(f.of, a.of, sizeof f.of);
    return f;
}
static inline vf vf_partner(vf a, int h) { WARP_OF(vf, a.of[l ^ h]); }
static inline vf vf_gather(const float *table, vu i) { WARP_OF(vf, table[(int32_t)i.of[l]]); }
static inline vf vf_from_int(vu a) { WARP_OF(vf, (float)(int32_t)a.of[l]); }
static inline vu vf_trunc(vf a) { WARP_OF(vu, (uint32_t)(int32_t)a.of[l]); }

static inline vu vu_set1(uint32_t a) { WARP_OF(vu, a); }
static inline vu vu_iota(void) { WARP_OF(vu, (uint32_t)l); }
static inline vu vu_flips(const uint16_t *bits, size_t first, size_t n) {
    vu r = {{0}};
    for (size_t l = 0; l < W && l < n; l++) {
        r.of[l] = (uint32_t)bits[(first + l) / 16] >> (first + l) % 16 << 31;
    }
    return r;
}
static inline vu vu_add(vu a, vu b) { WARP_OF(vu, a.of[l] + b.of[l]); }
static inline vu vu_sub(vu a, vu b) { WARP_OF(vu, a.of[l] - b.of[l]); }
static inline vu vu_and(vu a, vu b) { WARP_OF(vu, a.of[l] & b.of[l]); }
static inline vu vu_or(vu a, vu b) { WARP_OF(vu, a.of[l] | b.of[l]); }
static inline vu vu_xor(vu a, vu b) { WARP_OF(vu, a.of[l] ^ b.of[l]); }
static inline vu vu_srl(vu a, int n) { WARP_OF(vu, a.of[l] >> n); }
static inline vu vu_sll(vu a, int n) { WARP_OF(vu, a.of[l] << n); }
static inline vu vu_srlv(vu a, vu n) { WARP_OF(vu, a.of[l] >> n.of[l]); }
static inline vu vu_sign(vu a) { WARP_OF(vu, 0U - (a.of[l] >> 31)); }
static inline vu vu_mullo(vu a, vu b) { WARP_OF(vu, a.of[l] * b.of[l]); }
static inline vu vu_mulhi(vu a, vu b) {
    WARP_OF(vu, (uint32_t)((uint64_t)a.of[l] * b.of[l] >> 32));
}
static inline vu vu_max31(vu a, vu b) { WARP_OF(vu, a.of[l] > b.of[l] ? a.of[l] : b.of[l]); }
static inline vm vu_eq(vu a, vu b) { WARP_MASK(a.of[l] == b.of[l]); }
static inline vm vu_gt31(vu a, vu b) { WARP_MASK(a.of[l] > b.of[l]); }
static inline vm vu_below_2_16(vu a) { WARP_MASK(a.of[l] < 65536); }
static inline vm vm_first(size_t n) { WARP_MASK((size_t)l < n); }
static inline vu vu_select(vm m, vu a, vu b) { WARP_OF(vu, warp_has(m, l) ? a.of[l] : b.of[l]); }
static inline vu vu_where(vm m, vu a) { WARP_OF(vu, warp_has(m, l) ? a.of[l] : 0); }
static inline vu vu_inc(vm m, vu a) { WARP_OF(vu, a.of[l] + warp_has(m, l)); }
static inline vu vu_gather(const uint32_t *table, vu i) { WARP_OF(vu, table[i.of[l]]); }
static inline uint32_t vu_top31(vu a) {
    uint32_t top = 0;
    LANES top = a.of[l] > top ? a.of[l] : top;
    return top;
}
static inline uint64_t vu_sum(vu a) {
    uint64_t sum = 0;
    LANES sum += a.of[l];
    return sum;
}
static inline vu vu_load(const uint32_t *p) { WARP_OF(vu, p[l]); }
static inline void vu_store(uint32_t *p, vu a) { LANES p[l] = a.of[l]; }
static inline vu vu_load_u8(const uint8_t *p) { WARP_OF(vu, p[l]); }
static inline void vu_store_u8(uint8_t *p, vu a) { LANES p[l] = (uint8_t)a.of[l]; }
static inline vu vu_load_u16(const uint16_t *p) { WARP_OF(vu, p[l]); }
static inline vu vu_load_i16(const int16_t *p) { WARP_OF(vu, (uint32_t)(int32_t)p[l]); }
static inline void vu_store_i16(int16_t *p, vu a) { LANES p[l] = (int16_t)(int32_t)a.of[l]; }
static inline void vu_store_halves(uint16_t *p, vu a) {
    LANES {
        p[2 * l] = (uint16_t)a.of[l];
        p[2 * l + 1] = (uint16_t)(a.of[l] >> 16);
    }
}

typedef struct {
    uint32_t of[W];
} vp;
static inline vp vp_set1(uint32_t a) { WARP_OF(vp, a); }
static inline vp vp_count(uint32_t a) { WARP_OF(vp, a + (uint32_t)l); }
static inline vp vp_split(vu a) { WARP_OF(vp, a.of[l]); }
static inline void vp_mulhilo(vp a, uint32_t b, vp *hi, vp *lo) {
    LANES {
        const uint64_t product = (uint64_t)a.of[l] * b;
        hi->of[l] = (uint32_t)(product >> 32);
        lo->of[l] = (uint32_t)product;
    }
}
static inline vp vp_xor3(vp a, vp b, vu c) { WARP_OF(vp, a.of[l] ^ b.of[l] ^ c.of[l]); }
static inline vu vp_join(vp a) { WARP_OF(vu, a.of[l]); }

/* A lane holds half l and half 32 + l: pair order is the natural one. */
typedef struct {
    uint16_t of[W_HALVES];
} vh;
typedef struct {
    bool of[W_HALVES];
} vhm;

#define WARP_HALVES(type, value)                                                                   \
    type r;                                                                                        \
    HALVES r.of[i] = (value);                                                                      \
    return r

static inline vh vh_load(const int16_t *p) { WARP_HALVES(vh, (uint16_t)p[i]); }
static inline vh vh_load_u16(const uint16_t *p) { WARP_HALVES(vh, p[i]); }
static inline vh vh_load_u8(const uint8_t *p) { WARP_HALVES(vh, p[i]); }
static inline void vh_store(int16_t *p, vh a) { HALVES p[i] = (int16_t)a.of[i]; }
static inline void vh_store_u8(uint8_t *p, vh a, vh b) {
    HALVES p[i] = (uint8_t)a.of[i];
    HALVES p[W_HALVES + i] = (uint8_t)b.of[i];
}
static inline vh vh_pair(vh a) { return a; }
static inline vh vh_natural(vh a) { return a; }
static inline vh vh_first(size_t n) { WARP_HALVES(vh, (size_t)i < n ? 0xFFFF : 0); }
static inline vu vh_lanes(vh a, const int last) { WARP_OF(vu, a.of[W * last + l]); }
static inline vh vh_high(vu a, vu b) {
    WARP_HALVES(vh, (uint16_t)((i < W ? a.of[i] : b.of[i - W]) >> 16));
}
static inline vh vh_low(vu a, vu b) { WARP_HALVES(vh, (uint16_t)(i < W ? a.of[i] : b.of[i - W])); }
static inline vh vh_sign(vh a) { WARP_HALVES(vh, (uint16_t)(0U - (a.of[i] >> 15))); }
static inline vh vh_signs(vu a, vu b) { return vh_sign(vh_high(a, b)); }
static inline vh vh_set1(int16_t a) { WARP_HALVES(vh, (uint16_t)a); }
static inline vh vh_add(vh a, vh b) { WARP_HALVES(vh, (uint16_t)(a.of[i] + b.of[i])); }
static inline vh vh_sub(vh a, vh b) { WARP_HALVES(vh, (uint16_t)(a.of[i] - b.of[i])); }
static inline vh vh_sub_or_zero(vh a, vh b) {
    WARP_HALVES(vh, (uint16_t)(a.of[i] > b.of[i] ? a.of[i] - b.of[i] : 0));
}
static inline vh vh_mullo(vh a, vh b) { WARP_HALVES(vh, (uint16_t)((uint32_t)a.of[i] * b.of[i])); }
static inline vh vh_and(vh a, vh b) { WARP_HALVES(vh, a.of[i] & b.of[i]); }
static inline vh vh_xor(vh a, vh b) { WARP_HALVES(vh, a.of[i] ^ b.of[i]); }
static inline vh vh_srl(vh a, int n) { WARP_HALVES(vh, (uint16_t)(a.of[i] >> n)); }
static inline vhm vh_above(vh a, vh b) { WARP_HALVES(vhm, a.of[i] > b.of[i]); }
static inline vhm vh_eq(vh a, vh b) { WARP_HALVES(vhm, a.of[i] == b.of[i]); }
static inline bool vhm_any(vhm a) {
    bool any = false;
    HALVES any |= a.of[i];
    return any;
}
static inline vh vh_inc(vhm m, vh a) { WARP_HALVES(vh, (uint16_t)(a.of[i] + m.of[i])); }
static inline vh vh_ones(vhm m) { WARP_HALVES(vh, (uint16_t)(0U - m.of[i])); }
static inline vh vh_abs(vh a) {
    WARP_HALVES(vh, (uint16_t)(a.of[i] >> 15 ? 0U - a.of[i] : a.of[i]));
}
static inline vu vh_pair_sums(vh a) { WARP_OF(vu, (uint32_t)a.of[l] + a.of[W + l]); }

static inline vd vd_zero(void) { WARP_OF(vd, 0); }
static inline vd vd_add(vd a, vd b) { WARP_OF(vd, a.of[l] + b.of[l]); }
static inline vd vd_mul(vd a, vd b) { WARP_OF(vd, a.of[l] * b.of[l]); }
static inline vd vd_from_vf(vf a) { WARP_OF(vd, (double)a.of[l]); }
static inline double vd_fold(vd a) {
    for (int half = W / 2; half > 0; half /= 2) {
        for (int l = 0; l < half; l++) a.of[l] = a.of[l] + a.of[l + half];
    }
    return a.of[0];
}

/* ---- coders ---------------------------------------------------------------------------------- */

#define W_TABLE 64

typedef struct {
    uint32_t of[W_TABLE];
} vt;
static inline vt vt_load(const uint32_t *p, const int size) {
    vt t = {{0}};
    for (int i = 0; i < size; i++) t.of[i] = p[i];
    return t;
}
static inline vu vt_at(const vt *t, vu i, const int size) {
    WARP_OF(vu, t->of[i.of[l] & ((unsigned)size - 1)]);
}

/* Counters that lanes may share: counts[i] += by. */
#define W_TALLY 1

static inline void vu_tally(uint32_t *counts, vu i, vu by) { LANES counts[i.of[l]] += by.of[l]; }

/* Lanes work alone where bodies have them do so (EACH): none writes where another does. */
#define W_ALONE 1

/* Numbers of bits of lanes, and bit strings that all lanes read or write at once. */
#define W_SCAN 1

/* Sums of the lanes up to each. */
static inline vu vu_running(vu a) {
    for (int l = 1; l < W; l++) a.of[l] += a.of[l - 1];
    return a;
}
static inline vu vu_sllv(vu a, vu n) { WARP_OF(vu, a.of[l] << n.of[l]); }
/* Sixteen bits from bit `first` + at on, the lowest first, of a string of `bytes`; zeros past it.
 */
static inline vu vu_bits_at(const uint8_t *p, uint64_t bytes, uint64_t first, vu at) {
    vu r;
    LANES {
        const uint64_t bit = first + at.of[l];
        uint32_t word = 0;
        for (uint64_t b = 0; b < 3; b++) {
            if (bit / 8 + b < bytes) word |= (uint32_t)p[bit / 8 + b] << 8 * b;
        }
        r.of[l] = word >> bit % 8 & 0xFFFF;
    }
    return r;
}
/* Bits, at most sixteen, to where a string has zeros: bit `first` + at and up. */
static inline void vu_put_bits(uint8_t *p, uint64_t first, vu at, vu bits) {
    LANES {
        const uint64_t bit = first + at.of[l];
        uint32_t word = bits.of[l] << bit % 8;
        for (uint8_t *q = p + bit / 8; word != 0; word >>= 8) *q++ |= (uint8_t)word;
    }
}

#define W_RENORM 1

static inline void vu_push_words(uint16_t **words, vu a, vm mask) {
    for (int l = W - 1; l >= 0; l--) {
        if (warp_has(mask, l)) *--words[l / 16] = (uint16_t)a.of[l];
    }
}
static inline vu vu_pull_words(const uint8_t **words, const uint8_t *const *ends, vu a, vm mask) {
    LANES {
        if (!warp_has(mask, l)) continue;
        const uint8_t *p = words[l / 16];
        const uint32_t word = ends[l / 16] - p >= 2 ? (uint32_t)(p[0] | p[1] << 8) : 0;
        a.of[l] = a.of[l] << 16 | word;
        words[l / 16] += 2;
    }
    return a;
}

#define W_FOURS 1

static inline vu vu_next_of_four(vu a) { WARP_OF(vu, a.of[(l & ~3) | ((l + 1) & 3)]); }
static inline vu vu_opposite_of_four(vu a) { WARP_OF(vu, a.of[l ^ 2]); }

#define W_NONZERO 1

static inline uint64_t vh_nonzero64(const int16_t *k) {
    uint64_t bits = 0;
    HALVES bits |= (uint64_t)(k[i] != 0) << i;
    return bits;
}

#define W_POSITIONS 1

static inline size_t vu_positions(uint64_t mask, uint32_t first, uint32_t *at) {
    size_t count = 0;
    HALVES if ((mask >> i & 1) != 0) at[count++] = first + (uint32_t)i;
    return count;
}

/* CRC-32C by rows of a word a lane. */
#define W_CRC_ROWS 1

static inline vu vu_load_le32(const uint8_t *p) {
    WARP_OF(vu, (uint32_t)p[4 * l] | (uint32_t)p[4 * l + 1] << 8 | (uint32_t)p[4 * l + 2] << 16 |
                    (uint32_t)p[4 * l + 3] << 24);
}
static inline uint32_t vu_xor_lanes(vu a) {
    uint32_t all = 0;
    LANES all ^= a.of[l];
    return all;
}

#undef LANES
#undef HALVES

#include "simd/partial.h"

#endif
