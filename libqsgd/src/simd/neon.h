/* Vocabulary of four lanes: NEON of 64-bit little-endian Arm. Meanings: simd/scalar.h. No fused
 * multiply-add, no estimates; minimum by comparison, as FMIN differs on NaN. */
#ifndef QSGD_SIMD_NEON_H
#define QSGD_SIMD_NEON_H

#include "base/begin.h"

#include <arm_neon.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define W 4

typedef float32x4_t vf;
typedef uint32x4_t vu;
typedef struct {
    float64x2_t lo, hi;
} vd;
typedef uint32x4_t vm; /* all ones where true */

static inline vf vf_load(const float *p) { return vld1q_f32(p); }
static inline void vf_store(float *p, vf a) { vst1q_f32(p, a); }
static inline vf vf_set1(float a) { return vdupq_n_f32(a); }
static inline vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
static inline vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
static inline vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
static inline vf vf_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
static inline vm vf_ge(vf a, vf b) { return vcgeq_f32(a, b); }
static inline vu vf_bits(vf a) { return vreinterpretq_u32_f32(a); }
static inline vf vf_from_bits(vu a) { return vreinterpretq_f32_u32(a); }
static inline vf vf_partner(vf a, int h) { return h == 1 ? vrev64q_f32(a) : vextq_f32(a, a, 2); }
static inline vf vf_from_int(vu a) { return vcvtq_f32_s32(vreinterpretq_s32_u32(a)); }
static inline vu vf_trunc(vf a) { return vreinterpretq_u32_s32(vcvtq_s32_f32(a)); }

static inline vu vu_set1(uint32_t a) { return vdupq_n_u32(a); }
static inline vu vu_iota(void) {
    static const uint32_t lanes[4] = {0, 1, 2, 3};
    return vld1q_u32(lanes);
}
static inline vu vu_flips(const uint16_t *bits, size_t first, size_t n) {
    (void)n;
    static const int32_t up[4] = {31, 30, 29, 28};
    const uint32_t two = bits[first / 16] | (uint32_t)bits[first / 16 + 1] << 16;
    const uint32x4_t each = vshlq_u32(vdupq_n_u32(two >> first % 16), vld1q_s32(up));
    return vandq_u32(each, vdupq_n_u32(0x80000000U));
}
static inline vu vu_add(vu a, vu b) { return vaddq_u32(a, b); }
static inline vu vu_sub(vu a, vu b) { return vsubq_u32(a, b); }
static inline vu vu_and(vu a, vu b) { return vandq_u32(a, b); }
static inline vu vu_or(vu a, vu b) { return vorrq_u32(a, b); }
static inline vu vu_xor(vu a, vu b) { return veorq_u32(a, b); }
static inline vu vu_srl(vu a, int n) { return vshlq_u32(a, vdupq_n_s32(-n)); }
static inline vu vu_sll(vu a, int n) { return vshlq_u32(a, vdupq_n_s32(n)); }
static inline vu vu_srlv(vu a, vu n) { return vshlq_u32(a, vnegq_s32(vreinterpretq_s32_u32(n))); }
static inline vu vu_sign(vu a) {
    return vreinterpretq_u32_s32(vshrq_n_s32(vreinterpretq_s32_u32(a), 31));
}
static inline vu vu_mullo(vu a, vu b) { return vmulq_u32(a, b); }
static inline vu vu_max31(vu a, vu b) { return vmaxq_u32(a, b); }
static inline vm vu_eq(vu a, vu b) { return vceqq_u32(a, b); }
static inline vm vu_gt31(vu a, vu b) { return vcgtq_u32(a, b); }
static inline vm vu_below_2_16(vu a) { return vcltq_u32(a, vdupq_n_u32(65536)); }
static inline vm vm_first(size_t n) {
    return vcltq_u32(vu_iota(), vdupq_n_u32(n < W ? (uint32_t)n : W));
}
static inline unsigned neon_bits(vm mask) { /* bit l is lane l */
    static const uint32_t bits[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(mask, vld1q_u32(bits)));
}
static inline vu vu_select(vm mask, vu a, vu b) { return vbslq_u32(mask, a, b); }
static inline vu vu_where(vm mask, vu a) { return vandq_u32(mask, a); }
static inline vu vu_inc(vm mask, vu a) { return vsubq_u32(a, mask); }
static inline uint32_t vu_top31(vu a) { return vmaxvq_u32(a); }
static inline uint64_t vu_sum(vu a) { return vaddlvq_u32(a); }
static inline void vu_store(uint32_t *p, vu a) { vst1q_u32(p, a); }
static inline vu vu_load(const uint32_t *p) { return vld1q_u32(p); }
static inline vu vu_gather(const uint32_t *table, vu i) {
    uint32_t at[4], out[4];
    vst1q_u32(at, i);
    for (int l = 0; l < 4; l++) out[l] = table[at[l]];
    return vld1q_u32(out);
}
static inline vf vf_gather(const float *table, vu i) {
    uint32_t at[4];
    float out[4];
    vst1q_u32(at, i);
    for (int l = 0; l < 4; l++) out[l] = table[(int32_t)at[l]];
    return vld1q_f32(out);
}
static inline vu vu_mulhi(vu a, vu b) {
    uint32x4_t low = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a), vget_low_u32(b)));
    uint32x4_t high = vreinterpretq_u32_u64(vmull_high_u32(a, b));
    return vuzp2q_u32(low, high);
}
static inline vu vu_load_u8(const uint8_t *p) {
    uint32_t four;
    memcpy(&four, p, 4);
    return vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(four))));
}
static inline void vu_store_u8(uint8_t *p, vu a) {
    uint16x4_t halves = vmovn_u32(a);
    uint8x8_t bytes = vmovn_u16(vcombine_u16(halves, halves));
    uint32_t four = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
    memcpy(p, &four, 4);
}
static inline vu vu_load_u16(const uint16_t *p) { return vmovl_u16(vld1_u16(p)); }
static inline vu vu_load_i16(const int16_t *p) {
    return vreinterpretq_u32_s32(vmovl_s16(vld1_s16(p)));
}
static inline void vu_store_i16(int16_t *p, vu a) {
    vst1_s16(p, vreinterpret_s16_u16(vmovn_u32(a)));
}
static inline void vu_store_halves(uint16_t *p, vu a) { vst1q_u16(p, vreinterpretq_u16_u32(a)); }

typedef uint32x4_t vp;
static inline vp vp_set1(uint32_t a) { return vdupq_n_u32(a); }
static inline vp vp_count(uint32_t a) { return vu_add(vu_set1(a), vu_iota()); }
static inline vp vp_split(vu a) { return a; }
static inline void vp_mulhilo(vp a, uint32_t b, vp *hi, vp *lo) {
    uint32x4_t low = vreinterpretq_u32_u64(vmull_n_u32(vget_low_u32(a), b));
    uint32x4_t high = vreinterpretq_u32_u64(vmull_high_n_u32(a, b));
    *hi = vuzp2q_u32(low, high);
    *lo = vuzp1q_u32(low, high);
}
static inline vp vp_xor3(vp a, vp b, vu c) { return veorq_u32(veorq_u32(a, b), c); }
static inline vu vp_join(vp a) { return a; }

static inline vd vd_zero(void) { return (vd){vdupq_n_f64(0), vdupq_n_f64(0)}; }
static inline vd vd_add(vd a, vd b) { return (vd){vaddq_f64(a.lo, b.lo), vaddq_f64(a.hi, b.hi)}; }
static inline vd vd_mul(vd a, vd b) { return (vd){vmulq_f64(a.lo, b.lo), vmulq_f64(a.hi, b.hi)}; }
static inline vd vd_from_vf(vf a) {
    return (vd){vcvt_f64_f32(vget_low_f32(a)), vcvt_high_f64_f32(a)};
}
/* Lanes' sum: the upper half upon the lower one, and so on. */
static inline double vd_fold(vd a) {
    const float64x2_t q = vaddq_f64(a.lo, a.hi);
    return vgetq_lane_f64(q, 0) + vgetq_lane_f64(q, 1);
}

#define W_BYTES 16

typedef uint8x16_t vb;
static inline vb vb_load(const uint8_t *p) { return vld1q_u8(p); }
static inline vb vb_set1(uint8_t a) { return vdupq_n_u8(a); }
static inline vb vb_first(size_t n) {
    static const uint8_t bytes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return vcltq_u8(vld1q_u8(bytes), vdupq_n_u8(n < W_BYTES ? (uint8_t)n : W_BYTES));
}
static inline vb vb_row(const uint8_t *p) { return vld1q_u8(p); }
static inline vb vb_look_up(vb row, vb i) { return vqtbl1q_u8(row, vandq_u8(i, vdupq_n_u8(0x8F))); }
static inline vb vb_add(vb a, vb b) { return vaddq_u8(a, b); }
static inline vb vb_sub(vb a, vb b) { return vsubq_u8(a, b); }
static inline vb vb_add_saturated(vb a, vb b) { return vqaddq_u8(a, b); }
static inline vb vb_and(vb a, vb b) { return vandq_u8(a, b); }
static inline vb vb_or(vb a, vb b) { return vorrq_u8(a, b); }
static inline vb vb_high_nibbles(vb a) { return vshrq_n_u8(a, 4); }
static inline vb vb_half_up(vb a) { return vrhaddq_u8(a, vdupq_n_u8(0)); }
static inline uint8_t vb_or_lanes(vb a) {
    uint64x2_t halves = vreinterpretq_u64_u8(a);
    uint64_t y = vgetq_lane_u64(halves, 0) | vgetq_lane_u64(halves, 1);
    y |= y >> 32;
    y |= y >> 16;
    return (uint8_t)(y | y >> 8);
}
static inline uint64_t vb_sum(vb a) { return vaddlvq_u8(a); }

#define W_PACK 1
#define W_REACH 16

static inline uint64x2_t neon_u64(uint8x16_t a) { return vreinterpretq_u64_u8(a); }
static inline uint8x16_t neon_u8(uint64x2_t a) { return vreinterpretq_u8_u64(a); }

static inline void vb_store(uint8_t *p, vb a) { vst1q_u8(p, a); }
static inline vb vb_set32(uint32_t a) { return vreinterpretq_u8_u32(vdupq_n_u32(a)); }
static inline vb vb_set64(uint64_t a) { return neon_u8(vdupq_n_u64(a)); }
static inline vb vb_xor(vb a, vb b) { return veorq_u8(a, b); }
static inline vb vb_max(vb a, vb b) { return vmaxq_u8(a, b); }
static inline vb vb_abs(vb a) { return vreinterpretq_u8_s8(vabsq_s8(vreinterpretq_s8_u8(a))); }
static inline vb vb_positive(vb a) { return vcgtzq_s8(vreinterpretq_s8_u8(a)); }
static inline vb vb_srl64(vb a, unsigned n) {
    return neon_u8(vshlq_u64(neon_u64(a), vdupq_n_s64(-(int64_t)n)));
}
static inline vb vb_merge(vb mask, vb a, vb b) { return vbslq_u8(mask, a, b); }
static inline vb vb_pairs(vb a, unsigned w) { /* the high byte's bits move down by 8 - w */
    return vb_merge(vreinterpretq_u8_u16(vdupq_n_u16((uint16_t)((1U << w) - 1))), a,
                    vreinterpretq_u8_u16(
                        vshlq_u16(vreinterpretq_u16_u8(a), vdupq_n_s16((int16_t)((int)w - 8)))));
}
static inline vb vb_fours(vb a, unsigned w) {
    return vb_merge(
        vb_set32((1U << (2 * w)) - 1), a,
        vreinterpretq_u8_u32(vshlq_u32(vreinterpretq_u32_u8(a), vdupq_n_s32(2 * (int)w - 16))));
}
static inline vb vb_narrow(const int16_t *k) {
    int8x8_t low = vmovn_s16(vld1q_s16(k)), high = vmovn_s16(vld1q_s16(k + 8));
    return vreinterpretq_u8_s8(vcombine_s8(low, high));
}
static inline void vb_store_wide(int16_t *k, vb a) {
    int8x16_t s = vreinterpretq_s8_u8(a);
    vst1q_s16(k, vmovl_s8(vget_low_s8(s)));
    vst1q_s16(k + 8, vmovl_s8(vget_high_s8(s)));
}
static inline void vb_store_close(uint8_t *p, vb a, unsigned w) {
    vst1_u8(p, vget_low_u8(a));
    vst1_u8(p + w, vget_high_u8(a));
}
static inline vb vb_load_spread(const uint8_t *p, unsigned w) {
    return vcombine_u8(vld1_u8(p), vld1_u8(p + w));
}
/* Two fields, to `of` bits apart; those of one and of the other in every 2 * of bits. */
static inline vb neon_part(vb a, unsigned bits, unsigned of) {
    const uint64_t every = of == 32 ? 1 : of == 16 ? 0x100000001 : 0x1000100010001;
    const uint64_t low = (((uint64_t)1 << bits) - 1) * every;
    uint64x2_t moved = vshlq_u64(neon_u64(a), vdupq_n_s64((int64_t)(of - bits)));
    return vorrq_u8(vandq_u8(a, vb_set64(low)), vandq_u8(neon_u8(moved), vb_set64(low << of)));
}
static inline vb vb_fields(vb a, unsigned w) {
    return neon_part(neon_part(neon_part(a, 4 * w, 32), 2 * w, 16), w, 8);
}

#define W_HALVES 8

typedef int16x8_t vh;
static inline vh vh_load(const int16_t *p) { return vld1q_s16(p); }
static inline void vh_store(int16_t *p, vh a) { vst1q_s16(p, a); }
static inline vh vh_load_u8(const uint8_t *p) {
    return vreinterpretq_s16_u16(vmovl_u8(vld1_u8(p)));
}
static inline void vh_store_u8(uint8_t *p, vh a, vh b) {
    uint8x8_t low = vmovn_u16(vreinterpretq_u16_s16(a)), high = vmovn_u16(vreinterpretq_u16_s16(b));
    vst1q_u8(p, vcombine_u8(low, high));
}
static inline vh vh_load_u16(const uint16_t *p) { return vreinterpretq_s16_u16(vld1q_u16(p)); }
static inline vh vh_pair(vh a) { return a; }
static inline vh vh_natural(vh a) { return a; }
static inline vh vh_first(size_t n) {
    static const int16_t halves[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const int16x8_t limit = vdupq_n_s16(n < W_HALVES ? (int16_t)n : W_HALVES);
    return vreinterpretq_s16_u16(vcltq_s16(vld1q_s16(halves), limit));
}
static inline vu vh_lanes(vh a, const int last) {
    const uint16x8_t u = vreinterpretq_u16_s16(a);
    return vmovl_u16(last ? vget_high_u16(u) : vget_low_u16(u));
}
static inline vh vh_low(vu a, vu b) {
    return vuzp1q_s16(vreinterpretq_s16_u32(a), vreinterpretq_s16_u32(b));
}
static inline vh vh_high(vu a, vu b) {
    return vuzp2q_s16(vreinterpretq_s16_u32(a), vreinterpretq_s16_u32(b));
}
static inline vh vh_signs(vu a, vu b) { return vshrq_n_s16(vh_high(a, b), 15); }
static inline vh vh_set1(int16_t a) { return vdupq_n_s16(a); }
static inline vh vh_add(vh a, vh b) { return vaddq_s16(a, b); }
static inline vh vh_sub(vh a, vh b) { return vsubq_s16(a, b); }
static inline vh vh_sub_or_zero(vh a, vh b) {
    return vreinterpretq_s16_u16(vqsubq_u16(vreinterpretq_u16_s16(a), vreinterpretq_u16_s16(b)));
}
static inline vh vh_mullo(vh a, vh b) { return vmulq_s16(a, b); }
static inline vh vh_and(vh a, vh b) { return vandq_s16(a, b); }
static inline vh vh_xor(vh a, vh b) { return veorq_s16(a, b); }
static inline vh vh_srl(vh a, int n) {
    return vreinterpretq_s16_u16(vshlq_u16(vreinterpretq_u16_s16(a), vdupq_n_s16((int16_t)-n)));
}
static inline vh vh_sign(vh a) { return vshrq_n_s16(a, 15); }

typedef uint16x8_t vhm; /* all ones where true */
static inline vhm vh_above(vh a, vh b) {
    return vcgtq_u16(vreinterpretq_u16_s16(a), vreinterpretq_u16_s16(b));
}
static inline vhm vh_eq(vh a, vh b) { return vceqq_s16(a, b); }
static inline bool vhm_any(vhm a) { return vmaxvq_u16(a) != 0; }
static inline vh vh_inc(vhm m, vh a) { return vsubq_s16(a, vreinterpretq_s16_u16(m)); }
static inline vh vh_ones(vhm m) { return vreinterpretq_s16_u16(m); }
static inline vh vh_abs(vh a) { return vabsq_s16(a); }
static inline vu vh_pair_sums(vh a) { return vreinterpretq_u32_s32(vpaddlq_s16(a)); }

#define W_PACK_HALVES 1

static inline vb vh_bytes(vh a) { return vreinterpretq_u8_s16(a); }
static inline vh vh_of_bytes(vb a) { return vreinterpretq_s16_u8(a); }
static inline vh vh_max(vh a, vh b) {
    return vreinterpretq_s16_u16(vmaxq_u16(vreinterpretq_u16_s16(a), vreinterpretq_u16_s16(b)));
}
static inline int64x2_t neon_counts(int64_t low, int64_t high) {
    return vcombine_s64(vcreate_s64((uint64_t)low), vcreate_s64((uint64_t)high));
}
static inline void vh_store_close(uint8_t *p, vb a, unsigned w) {
    const int64_t bits = 4 * (int64_t)w;
    uint64x2_t down = vshlq_u64(neon_u64(a), neon_counts(0, bits - 64));
    uint64x2_t up = vshlq_u64(neon_u64(vextq_u8(a, a, 8)), neon_counts(bits, 64));
    vst1q_u8(p, neon_u8(vorrq_u64(down, up)));
}
static inline vb vh_load_spread(const uint8_t *p, unsigned w) {
    return vcombine_u8(vld1_u8(p), vld1_u8(p + w / 2));
}
static inline vh vh_fields(vb a, unsigned w) {
    uint64x2_t aligned = vshlq_u64(neon_u64(a), neon_counts(0, -4 * (int64_t)(w & 1)));
    return vh_of_bytes(neon_part(neon_part(neon_u8(aligned), 2 * w, 32), w, 16));
}

#define W_FOURS 1

static inline vu vu_next_of_four(vu a) { return vextq_u32(a, a, 1); }
static inline vu vu_opposite_of_four(vu a) { return vextq_u32(a, a, 2); }

#define W_NONZERO 1

/* One weight for each byte of eight that is not 0. */
static inline uint8x16_t neon_nonzero16(const int16_t *k) {
    const uint8x16_t weights = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
    int16x8_t low = vld1q_s16(k), high = vld1q_s16(k + 8);
    uint8x8_t first = vmovn_u16(vtstq_s16(low, low)), second = vmovn_u16(vtstq_s16(high, high));
    return vandq_u8(vcombine_u8(first, second), weights);
}
static inline uint64_t vh_nonzero64(const int16_t *k) {
    uint8x16_t low = vpaddq_u8(neon_nonzero16(k), neon_nonzero16(k + 16));
    uint8x16_t high = vpaddq_u8(neon_nonzero16(k + 32), neon_nonzero16(k + 48));
    uint8x16_t sums = vpaddq_u8(low, high);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)), 0);
}

#define W_TABLE 16

typedef uint8x16x4_t vt;
static inline vt vt_load(const uint32_t *p, int size) {
    (void)size;
    return vld1q_u8_x4((const uint8_t *)(const void *)p);
}
static inline vu vt_at(const vt *t, vu i, int size) { /* the four bytes of entry i */
    (void)size;
    uint32x4_t bytes = vmlaq_n_u32(vdupq_n_u32(0x03020100), i, 0x04040404);
    return vreinterpretq_u32_u8(vqtbl4q_u8(*t, vreinterpretq_u8_u32(bytes)));
}

#define W_RENORM 1

/* Byte shuffles of four words by the set of lanes that exchange one, as simd/avx2.h. */
extern const uint8_t neon_pull[16][8], neon_push[16][8];

static inline void vu_push_words(uint16_t **words, vu a, vm mask) {
    unsigned m = neon_bits(mask);
    uint8x8_t low = vreinterpret_u8_u16(vmovn_u32(a));
    uint8x8_t top = vtbl1_u8(low, vld1_u8(neon_push[m]));
    vst1_u16(*words - 4, vreinterpret_u16_u8(top));
    *words -= __builtin_popcount(m);
}
static inline vu vu_pull_words(const uint8_t **words, const uint8_t *const *ends, vu a, vm mask) {
    (void)ends;
    unsigned m = neon_bits(mask);
    uint8x8_t next = vtbl1_u8(vld1_u8(*words), vld1_u8(neon_pull[m]));
    uint32x4_t placed = vmovl_u16(vreinterpret_u16_u8(next));
    *words += 2 * __builtin_popcount(m);
    return vbslq_u32(mask, vorrq_u32(vshlq_n_u32(a, 16), placed), a);
}

#define W_MERGE 1

typedef uint64x2_t vq;
static inline vu vb_zip_low(vb a, vb b) { return vreinterpretq_u32_u8(vzip1q_u8(a, b)); }
static inline vu vb_zip_high(vb a, vb b) { return vreinterpretq_u32_u8(vzip2q_u8(a, b)); }
static inline vu vu_sllv(vu a, vu n) { return vshlq_u32(a, vreinterpretq_s32_u32(n)); }
static inline vq vq_of(vu a) { return vreinterpretq_u64_u32(a); }
static inline vq vq_low(vq a) { return vandq_u64(a, vdupq_n_u64(0xFFFFFFFF)); }
static inline vq vq_high(vq a) { return vshrq_n_u64(a, 32); }
static inline vq vq_or(vq a, vq b) { return vorrq_u64(a, b); }
static inline vq vq_add(vq a, vq b) { return vaddq_u64(a, b); }
static inline vq vq_sllv(vq a, vq n) { return vshlq_u64(a, vreinterpretq_s64_u64(n)); }
static inline vq vq_zip_low(vq a, vq b) { return vzip1q_u64(a, b); }
static inline vq vq_zip_high(vq a, vq b) { return vzip2q_u64(a, b); }
static inline bool vq_any_above(vq a, int limit) {
    return vmaxvq_u32(vreinterpretq_u32_u64(a)) > (uint32_t)limit;
}
static inline void vq_store(uint64_t *p, vq a) { vst1q_u64(p, a); }
static inline vq vq_sum8(vb a) { return vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(a))); }
static inline uint64_t vq_total(vq a) { return vaddvq_u64(a); }

/* Rows of 16 bytes, four at a time; TBL yields 0 past them. */
static inline vb vb_lookup(const uint8_t table[256], unsigned rows, vb i) {
    vb found = vqtbl4q_u8(vld1q_u8_x4(table), i);
    for (unsigned row = 4; row < rows; row += 4) {
        i = vsubq_u8(i, vdupq_n_u8(64));
        found = vorrq_u8(found, vqtbl4q_u8(vld1q_u8_x4(table + 16 * row), i));
    }
    return found;
}
static inline void vb_lookup3(const uint8_t table[3][256], unsigned rows, vb i, vb found[3]) {
    for (int t = 0; t < 3; t++) found[t] = vb_lookup(table[t], rows, i);
}

#include "simd/partial.h"

#endif
