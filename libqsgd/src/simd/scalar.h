/* Vocabulary of one lane: the executable specification of every vector operation, and the backend
 * of machines without a vector one. simd/avx2.h says the same in eight lanes, simd/warp.h in 32.
 *
 * Vectors are opaque: bodies touch them through these functions alone (here they are structs, so
 * that anything else is no C). What ends in _some takes the first n lanes, n >= 0; a larger n takes
 * all. Memory behind those n is neither read nor written, lanes behind them load 0.
 *
 * What is here is in every vocabulary. The blocks below are optional, each with all its functions,
 * and explained where they come first; without one, the bodies take another way to the same
 * results.
 *
 *   block          provides                                with       first in      for
 *   W_STREAM       vf_stream: stores past the cache                   avx2          values.h
 *   W_BYTES n      vb: n bytes; look-ups in rows of 16                avx2_bytes    histogram.h
 *                  vb_any_above only if n >= 32
 *   W_PACK         vb: fields of 1 to 7 bits, packed       W_BYTES    avx2_bytes    fixed.h
 *   W_PACK_HALVES  vh: fields of 8 to 16 bits              W_PACK     avx2_bytes    fixed.h
 *   W_FOURS        lanes of every four change places                  avx2          shape.h
 *   W_NONZERO      vh_nonzero64: where 64 indices are not 0           avx2          nonzeros.h
 *   W_POSITIONS    vu_positions: a mask's bits, as a list  W_NONZERO  avx512        nonzeros.h
 *   W_TABLE n      vt: n words in registers, n = 16 or 64             avx2_codes    rans_write.h
 *   W_RENORM       vu_push_words, vu_pull_words            W_TABLE    avx2_codes    rans_write.h
 *   W_SLOTS        vs: tables of 256 to 1024 bytes         W_RENORM,  avx512_codes  rans_read.h
 *                                                          W_TABLE 64
 *   W_STARTS       bytes of lanes and back; vb_greater     W_RENORM,  avx2_codes    rans_read.h
 *                                                          W_BYTES
 *   W_CRC          vu_crc64, vu_crc8, vu_clmul                        avx2_codes    crc32c.h
 *   W_FOLD n       vc: n bytes, multiplied without carry;  W_CRC      avx512_codes  crc32c.h
 *                  then vu_clmul is not needed
 *   W_CRC_ROWS     a word a lane of every 4 W bytes        W_TABLE    warp          crc32c.h
 *   W_MERGE        vq: 64 bits, shifts; 256-byte tables    W_BYTES    avx2_codes    prefix_write.h
 *   W_EXTRA        bits of tokens, gathered and joined     W_MERGE    avx2_codes    extra_bits.h
 *   W_WIDE_TABLES  256 bytes, 64 words by look-up          W_EXTRA    avx512_codes  tokens.h
 *   W_COMPRESS     halves that are wanted close up         W_EXTRA    avx512_codes  extra_bits.h
 *   W_SCAN         running sums; bit strings of all lanes             warp          extra_scan.h
 *   W_TALLY        vu_tally: counters that lanes share                warp          histogram.h
 *   W_ALONE        a lane may write where others do not               warp          fixed.h */
#ifndef QSGD_SIMD_SCALAR_H
#define QSGD_SIMD_SCALAR_H

#include "base/begin.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define W 1 /* lanes of 32 bits */

typedef struct {
    float f;
} vf;
typedef struct {
    uint32_t u;
} vu;
typedef struct {
    double d;
} vd; /* W doubles */
typedef struct {
    bool b;
} vm; /* a truth value per lane */

static inline vf scalar_f(float a) { return (vf){a}; }
static inline vu scalar_u(uint32_t a) { return (vu){a}; }
static inline vm scalar_m(bool a) { return (vm){a}; }

/* Floats of the caller may have any alignment. */
static inline vf vf_load(const float *p) {
    vf a;
    memcpy(&a.f, p, 4);
    return a;
}
static inline void vf_store(float *p, vf a) { memcpy(p, &a.f, 4); }
static inline vf vf_set1(float a) { return scalar_f(a); }
static inline vf vf_add(vf a, vf b) { return scalar_f(a.f + b.f); }
static inline vf vf_sub(vf a, vf b) { return scalar_f(a.f - b.f); }
static inline vf vf_mul(vf a, vf b) { return scalar_f(a.f * b.f); }
static inline vf vf_min(vf a, vf b) { return a.f < b.f ? a : b; }
static inline vm vf_ge(vf a, vf b) { return scalar_m(a.f >= b.f); }
static inline vu vf_bits(vf a) {
    vu u;
    memcpy(&u.u, &a.f, 4);
    return u;
}
static inline vf vf_from_bits(vu a) {
    vf f;
    memcpy(&f.f, &a.u, 4);
    return f;
}
static inline vf vf_partner(vf a, int h) { /* lane l gets that of lane l ^ h; h < W */
    (void)h;
    return a;
}
static inline vf vf_gather(const float *table, vu i) { return scalar_f(table[(int32_t)i.u]); }
static inline vf vf_from_int(vu a) { return scalar_f((float)(int32_t)a.u); } /* two's complement */
static inline vu vf_trunc(vf a) { return scalar_u((uint32_t)(int32_t)a.f); } /* 0..2^31 - 128 */

static inline vu vu_set1(uint32_t a) { return scalar_u(a); }
static inline vu vu_iota(void) { return scalar_u(0); } /* l in lane l */
/* Sign bit of lane l < n: bit first + l of a string of bits in words of 16; of others: open. One
 * word more may be read. */
static inline vu vu_flips(const uint16_t *bits, size_t first, size_t n) {
    (void)n;
    return scalar_u((uint32_t)bits[first / 16] >> first % 16 << 31);
}
static inline vu vu_add(vu a, vu b) { return scalar_u(a.u + b.u); }
static inline vu vu_sub(vu a, vu b) { return scalar_u(a.u - b.u); }
static inline vu vu_and(vu a, vu b) { return scalar_u(a.u & b.u); }
static inline vu vu_or(vu a, vu b) { return scalar_u(a.u | b.u); }
static inline vu vu_xor(vu a, vu b) { return scalar_u(a.u ^ b.u); }
static inline vu vu_srl(vu a, int n) { return scalar_u(a.u >> n); }
static inline vu vu_sll(vu a, int n) { return scalar_u(a.u << n); }
static inline vu vu_srlv(vu a, vu n) { return scalar_u(a.u >> n.u); } /* n <= 31 */
static inline vu vu_sign(vu a) { return scalar_u(0U - (a.u >> 31)); } /* all ones if negative */
static inline vu vu_mullo(vu a, vu b) { return scalar_u(a.u * b.u); }
static inline vu vu_max31(vu a, vu b) { return a.u > b.u ? a : b; } /* both below 2^31 */
static inline vm vu_eq(vu a, vu b) { return scalar_m(a.u == b.u); }
static inline vm vu_gt31(vu a, vu b) { return scalar_m(a.u > b.u); } /* both below 2^31 */
static inline vm vu_below_2_16(vu a) { return scalar_m(a.u < 65536); }
static inline vm vm_first(size_t n) { return scalar_m(n > 0); } /* the first n lanes */
static inline vu vu_select(vm mask, vu a, vu b) { return mask.b ? a : b; }
static inline vu vu_where(vm mask, vu a) { return scalar_u(mask.b ? a.u : 0); }
static inline vu vu_inc(vm mask, vu a) { return scalar_u(a.u + mask.b); } /* one more where true */
static inline vu vu_gather(const uint32_t *table, vu i) { return scalar_u(table[i.u]); }
static inline vu vu_mulhi(vu a, vu b) { return scalar_u((uint32_t)((uint64_t)a.u * b.u >> 32)); }
static inline uint64_t vu_sum(vu a) { return a.u; }   /* of all lanes, without overflow */
static inline uint32_t vu_top31(vu a) { return a.u; } /* the largest lane, all below 2^31 */
static inline vu vu_load(const uint32_t *p) { return scalar_u(*p); }
static inline void vu_store(uint32_t *p, vu a) { *p = a.u; }
static inline vu vu_load_u8(const uint8_t *p) { return scalar_u(*p); }
static inline void vu_store_u8(uint8_t *p, vu a) { *p = (uint8_t)a.u; } /* a <= 255 */
static inline vu vu_load_u16(const uint16_t *p) { return scalar_u(*p); }
static inline vu vu_load_i16(const int16_t *p) { return scalar_u((uint32_t)(int32_t)*p); }
static inline void vu_store_i16(int16_t *p, vu a) { *p = (int16_t)(int32_t)a.u; } /* fits */
/* Halves of each lane, low then high: 2 W numbers. */
static inline void vu_store_halves(uint16_t *p, vu a) {
    p[0] = (uint16_t)a.u;
    p[1] = (uint16_t)(a.u >> 16);
}

/* vp: W counters of Philox, in a form that multiplies cheaply. */
typedef struct {
    uint32_t u;
} vp;
static inline vp vp_set1(uint32_t a) { return (vp){a}; }
static inline vp vp_count(uint32_t a) { return (vp){a}; } /* a, a + 1, ... */
static inline vp vp_split(vu a) { return (vp){a.u}; }     /* the inverse of vp_join */
static inline void vp_mulhilo(vp a, uint32_t b, vp *hi, vp *lo) {
    uint64_t p = (uint64_t)a.u * b;
    hi->u = (uint32_t)(p >> 32);
    lo->u = (uint32_t)p;
}
static inline vp vp_xor3(vp a, vp b, vu c) { return (vp){a.u ^ b.u ^ c.u}; }
static inline vu vp_join(vp a) { return scalar_u(a.u); }

/* vh: W_HALVES = 2 W numbers of 16 bits. Two vectors of 32-bit lanes become one of halves in *pair
 * order*, whatever is cheapest; vh_pair and vh_natural go there and back. */
#define W_HALVES 2

typedef struct {
    uint16_t a, b;
} vh;
typedef struct {
    bool a, b;
} vhm; /* a truth value per half */
static inline vh vh_make(unsigned a, unsigned b) { return (vh){(uint16_t)a, (uint16_t)b}; }
static inline vh vh_load(const int16_t *p) { return vh_make((uint16_t)p[0], (uint16_t)p[1]); }
static inline vh vh_load_u16(const uint16_t *p) { return vh_make(p[0], p[1]); }
static inline vh vh_load_u8(const uint8_t *p) { return vh_make(p[0], p[1]); }
static inline void vh_store(int16_t *p, vh a) {
    p[0] = (int16_t)a.a;
    p[1] = (int16_t)a.b;
}
/* 2 W_HALVES numbers, each 0..255, to bytes. */
static inline void vh_store_u8(uint8_t *p, vh a, vh b) {
    p[0] = (uint8_t)a.a;
    p[1] = (uint8_t)a.b;
    p[2] = (uint8_t)b.a;
    p[3] = (uint8_t)b.b;
}
static inline vh vh_pair(vh a) { return a; }
static inline vh vh_natural(vh a) { return a; }
static inline vh vh_first(size_t n) { /* all ones in the first n halves */
    return vh_make(0U - (n > 0), 0U - (n > 1));
}
/* Of natural order: the first W halves as lanes, without signs, or the last W. */
static inline vu vh_lanes(vh a, const int last) { return scalar_u(last ? a.b : a.a); }
static inline vh vh_high(vu a, vu b) { return vh_make(a.u >> 16, b.u >> 16); }
static inline vh vh_low(vu a, vu b) { return vh_make(a.u, b.u); }
static inline vh vh_signs(vu a, vu b) { return vh_make(0U - (a.u >> 31), 0U - (b.u >> 31)); }
static inline vh vh_set1(int16_t a) { return vh_make((uint16_t)a, (uint16_t)a); }
static inline vh vh_add(vh a, vh b) { return vh_make((unsigned)a.a + b.a, (unsigned)a.b + b.b); }
static inline vh vh_sub(vh a, vh b) { return vh_make((unsigned)a.a - b.a, (unsigned)a.b - b.b); }
static inline vh vh_sub_or_zero(vh a, vh b) { /* unsigned, not below 0 */
    return vh_make(a.a > b.a ? (unsigned)a.a - b.a : 0, a.b > b.b ? (unsigned)a.b - b.b : 0);
}
static inline vh vh_mullo(vh a, vh b) { return vh_make((unsigned)a.a * b.a, (unsigned)a.b * b.b); }
static inline vh vh_and(vh a, vh b) { return vh_make(a.a & b.a, a.b & b.b); }
static inline vh vh_xor(vh a, vh b) { return vh_make(a.a ^ b.a, a.b ^ b.b); }
static inline vh vh_srl(vh a, int n) { return vh_make((unsigned)a.a >> n, (unsigned)a.b >> n); }
static inline vh vh_sign(vh a) { return vh_make(0U - (a.a >> 15), 0U - (a.b >> 15)); }
static inline vhm vh_above(vh a, vh b) { return (vhm){a.a > b.a, a.b > b.b}; } /* unsigned */
static inline vhm vh_eq(vh a, vh b) { return (vhm){a.a == b.a, a.b == b.b}; }
static inline bool vhm_any(vhm a) { return a.a || a.b; }
static inline vh vh_inc(vhm m, vh a) { return vh_make((unsigned)a.a + m.a, (unsigned)a.b + m.b); }
static inline vh vh_ones(vhm m) { return vh_make(0U - m.a, 0U - m.b); }
static inline vh vh_abs(vh a) {
    return vh_make(a.a >> 15 ? 0U - a.a : a.a, a.b >> 15 ? 0U - a.b : a.b);
}
static inline vu vh_pair_sums(vh a) { /* neighbours, each below 2^15 */
    return scalar_u((uint32_t)a.a + a.b);
}

/* Binary64, for sums of squares and magnitudes. */
static inline vd vd_zero(void) { return (vd){0}; }
static inline vd vd_add(vd a, vd b) { return (vd){a.d + b.d}; }
static inline vd vd_mul(vd a, vd b) { return (vd){a.d * b.d}; }
static inline vd vd_from_vf(vf a) { return (vd){(double)a.f}; }
static inline double vd_fold(vd a) { return a.d; } /* its lanes, halves upon each other */

#include "simd/partial.h"

#endif
