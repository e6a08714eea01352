/* Vocabulary of one lane: the executable specification of every vector operation, and the backend
 * of machines without a vector one. simd/avx2.h says the same in eight lanes.
 *
 * What is here is in every vocabulary. The blocks below are optional, each with all its functions,
 * and explained where they come first; without one, the bodies take another way to the same
 * results.
 *
 *   block          provides                                with       first in      for
 *   W_STREAM       vf_stream: stores past the cache                   avx2          values.h
 *   W_BYTES n      vb: n bytes; look-ups in rows of 16                avx2          histogram.h
 *                  vb_any_above only if n >= 32
 *   W_PACK         vb: fields of 1 to 7 bits, packed       W_BYTES    avx2          fixed.h
 *   W_PACK_HALVES  vh: fields of 8 to 16 bits              W_PACK     avx2          fixed.h
 *   W_NONZERO      vh_nonzero64: where 64 indices are not 0           avx2          nonzeros.h
 *   W_POSITIONS    vu_positions: a mask's bits, as a list  W_NONZERO  avx512        nonzeros.h
 *   W_TABLE n      vt: n words in registers, n = 16 or 64             avx2_codes    values.h,
 * rans.h W_RENORM       vu_push_words, vu_pull_words            W_TABLE    avx2_codes    rans.h
 *   W_SLOTS        vs: tables of 256 to 1024 bytes         W_RENORM,  avx512_codes  rans.h
 *                                                          W_TABLE 64
 *   W_STARTS       bytes of lanes and back; vb_greater     W_RENORM,  avx2_codes    rans.h
 *                                                          W_BYTES
 *   W_CRC          vu_crc64, vu_crc8, vu_clmul                        avx2_codes    crc32c.h
 *   W_FOLD n       vc: n bytes, multiplied without carry;  W_CRC      avx512_codes  crc32c.h
 *                  then vu_clmul is not needed
 *   W_MERGE        vq: 64 bits, shifts; 256-byte tables    W_BYTES    avx2_codes    prefix_write.h
 *   W_EXTRA        bits of tokens, gathered and joined     W_MERGE    avx2_codes    extra_bits.h
 *   W_WIDE_TABLES  256 bytes, 64 words by look-up          W_EXTRA    avx512_codes  tokens.h
 *   W_COMPRESS     halves that are wanted close up         W_EXTRA    avx512_codes  the same */
#ifndef QSGD_SIMD_SCALAR_H
#define QSGD_SIMD_SCALAR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define W 1 /* lanes of 32 bits */

typedef float vf;
typedef uint32_t vu;
typedef double vd; /* W doubles */
typedef bool vm;   /* a truth value per lane */

/* Floats of the caller may have any alignment. */
static inline vf vf_load(const float *p) {
    float a;
    memcpy(&a, p, 4);
    return a;
}
static inline void vf_store(float *p, vf a) { memcpy(p, &a, 4); }
static inline vf vf_set1(float a) { return a; }
static inline vf vf_add(vf a, vf b) { return a + b; }
static inline vf vf_sub(vf a, vf b) { return a - b; }
static inline vf vf_mul(vf a, vf b) { return a * b; }
static inline vf vf_min(vf a, vf b) { return a < b ? a : b; }
static inline vm vf_ge(vf a, vf b) { return a >= b; }
static inline vu vf_bits(vf a) {
    uint32_t u;
    memcpy(&u, &a, 4);
    return u;
}
static inline vf vf_from_bits(vu a) {
    float f;
    memcpy(&f, &a, 4);
    return f;
}
static inline vf vf_partner(vf a, int h) { /* lane l gets that of lane l ^ h; h < W */
    (void)h;
    return a;
}
static inline vf vf_gather(const float *table, vu i) { return table[(int32_t)i]; }
static inline vf vf_from_int(vu a) { return (float)(int32_t)a; } /* two's complement */
static inline vu vf_trunc(vf a) { return (uint32_t)(int32_t)a; } /* 0 <= a <= 2^31 - 128 */

static inline vu vu_set1(uint32_t a) { return a; }
static inline vu vu_flips(uint32_t bits) { return bits << 31; } /* sign bit of lane l: bit l */
static inline vu vu_add(vu a, vu b) { return a + b; }
static inline vu vu_sub(vu a, vu b) { return a - b; }
static inline vu vu_and(vu a, vu b) { return a & b; }
static inline vu vu_or(vu a, vu b) { return a | b; }
static inline vu vu_xor(vu a, vu b) { return a ^ b; }
static inline vu vu_srl(vu a, int n) { return a >> n; }
static inline vu vu_sll(vu a, int n) { return a << n; }
static inline vu vu_srlv(vu a, vu n) { return a >> n; }   /* n <= 31 */
static inline vu vu_sign(vu a) { return 0U - (a >> 31); } /* all ones if the top bit is set */
static inline vu vu_mullo(vu a, vu b) { return a * b; }
static inline vu vu_max31(vu a, vu b) { return a > b ? a : b; } /* both below 2^31 */
static inline vm vu_eq(vu a, vu b) { return a == b; }
static inline vm vu_gt31(vu a, vu b) { return a > b; } /* both below 2^31 */
static inline vm vu_below_2_16(vu a) { return a < 65536; }
static inline unsigned vm_bits(vm mask) { return mask; } /* bit l is lane l */
static inline vu vu_select(vm mask, vu a, vu b) { return mask ? a : b; }
static inline vu vu_where(vm mask, vu a) { return mask ? a : 0; }
static inline vu vu_inc(vm mask, vu a) { return a + mask; } /* one more where true */
static inline vu vu_gather(const uint32_t *table, vu i) { return table[i]; }
static inline vu vu_mulhi(vu a, vu b) { return (uint32_t)((uint64_t)a * b >> 32); }
static inline void vu_store(uint32_t *p, vu a) { *p = a; }
static inline uint64_t vu_sum(vu a) { return a; }   /* of all lanes, without overflow */
static inline uint32_t vu_top31(vu a) { return a; } /* the largest lane, all below 2^31 */
static inline vu vu_load(const uint32_t *p) { return *p; }
static inline vu vu_load_u8(const uint8_t *p) { return *p; }
static inline void vu_store_u8(uint8_t *p, vu a) { *p = (uint8_t)a; } /* a <= 255 */
static inline vu vu_load_u16(const uint16_t *p) { return *p; }
static inline vu vu_load_i16(const int16_t *p) { return (uint32_t)(int32_t)*p; }
static inline void vu_store_i16(int16_t *p, vu a) { *p = (int16_t)(int32_t)a; } /* fits in int16 */
/* Halves of each lane, low then high: 2 W numbers. */
static inline void vu_store_halves(uint16_t *p, vu a) {
    p[0] = (uint16_t)a;
    p[1] = (uint16_t)(a >> 16);
}

/* vp: W counters of Philox, in a form that multiplies cheaply. */
typedef uint32_t vp;
static inline vp vp_set1(uint32_t a) { return a; }
static inline vp vp_count(uint32_t a) { return a; } /* a, a + 1, ... */
static inline void vp_mulhilo(vp a, uint32_t b, vp *hi, vp *lo) {
    uint64_t p = (uint64_t)a * b;
    *hi = (uint32_t)(p >> 32);
    *lo = (uint32_t)p;
}
static inline vp vp_xor3(vp a, vp b, vp c) { return a ^ b ^ c; }
static inline vu vp_join(vp a) { return a; }

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
static inline vh vh_high(vu a, vu b) { return vh_make(a >> 16, b >> 16); }
static inline vh vh_low(vu a, vu b) { return vh_make(a, b); }
static inline vh vh_signs(vu a, vu b) { return vh_make(0U - (a >> 31), 0U - (b >> 31)); }
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
static inline vu vh_pair_sums(vh a) { return (vu)a.a + a.b; } /* neighbours, each below 2^15 */

/* Binary64, for sums of squares and magnitudes. */
static inline vd vd_zero(void) { return 0; }
static inline vd vd_add(vd a, vd b) { return a + b; }
static inline vd vd_mul(vd a, vd b) { return a * b; }
static inline vd vd_from_vf(vf a) { return (double)a; }
static inline double vd_fold(vd a) { return a; } /* its lanes, halves upon each other */

#endif
