/* Vocabulary of sixteen lanes: AVX-512 F, BW, DQ, VL, VBMI, VBMI2 and VPCLMULQDQ, all there since
 * Ice Lake and Zen 4. Meanings: simd/scalar.h, simd/avx2.h. No fused multiply-add, no estimates. */
#ifndef QSGD_SIMD_AVX512_H
#define QSGD_SIMD_AVX512_H

#include "base/begin.h"

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define W 16

typedef __m512 vf;
typedef __m512i vu;
typedef struct {
    __m512d lo, hi;
} vd;
typedef __mmask16 vm;

static inline vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
#define W_STREAM 1
static inline void vf_stream(float *p, vf a) { _mm512_stream_ps(p, a); }
static inline void vf_stream_one(float *p, float a) {
    _mm_stream_si32((int *)(void *)p, _mm_cvtsi128_si32(_mm_castps_si128(_mm_set_ss(a))));
}
static inline void vf_stream_end(void) { _mm_sfence(); }
static inline __mmask16 avx512_first16(size_t n) {
    return (__mmask16)_bzhi_u32(0xFFFF, n < 16 ? (uint32_t)n : 16);
}
static inline __mmask32 avx512_first32(size_t n) {
    return _bzhi_u32(UINT32_MAX, n < 32 ? (uint32_t)n : 32);
}
static inline __mmask64 avx512_first64(size_t n) {
    return _bzhi_u64(UINT64_MAX, n < 64 ? (uint32_t)n : 64);
}
#define W_MASKED 1
static inline vf vf_load_some(const float *p, size_t n) {
    return _mm512_maskz_loadu_ps(avx512_first16(n), p);
}
static inline void vf_store_some(float *p, vf a, size_t n) {
    _mm512_mask_storeu_ps(p, avx512_first16(n), a);
}
static inline vf vf_set1(float a) { return _mm512_set1_ps(a); }
static inline vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); } /* MINPS: a < b ? a : b */
static inline vm vf_ge(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
static inline vu vf_bits(vf a) { return _mm512_castps_si512(a); }
static inline vf vf_from_bits(vu a) { return _mm512_castsi512_ps(a); }
static inline vf vf_partner(vf a, int h) {
    if (h == 1) return _mm512_permute_ps(a, 0xB1);
    if (h == 2) return _mm512_permute_ps(a, 0x4E);
    return h == 4 ? _mm512_shuffle_f32x4(a, a, 0xB1) : _mm512_shuffle_f32x4(a, a, 0x4E);
}
static inline vf vf_gather(const float *table, vu i) { return _mm512_i32gather_ps(i, table, 4); }
static inline vf vf_from_int(vu a) { return _mm512_cvtepi32_ps(a); }
static inline vu vf_trunc(vf a) { return _mm512_cvttps_epi32(a); }

static inline vu vu_set1(uint32_t a) { return _mm512_set1_epi32((int)a); }
static inline vu vu_iota(void) {
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
static inline vu vu_flips(const uint16_t *bits, size_t first, size_t n) {
    (void)n;
    const uint32_t two = bits[first / 16] | (uint32_t)bits[first / 16 + 1] << 16;
    return _mm512_maskz_set1_epi32((__mmask16)(two >> first % 16), INT32_MIN);
}
static inline vu vu_add(vu a, vu b) { return _mm512_add_epi32(a, b); }
static inline vu vu_sub(vu a, vu b) { return _mm512_sub_epi32(a, b); }
static inline vu vu_and(vu a, vu b) { return _mm512_and_si512(a, b); }
static inline vu vu_or(vu a, vu b) { return _mm512_or_si512(a, b); }
static inline vu vu_xor(vu a, vu b) { return _mm512_xor_si512(a, b); }
static inline vu vu_srl(vu a, int n) { return _mm512_srli_epi32(a, (unsigned)n); }
static inline vu vu_sll(vu a, int n) { return _mm512_slli_epi32(a, (unsigned)n); }
static inline vu vu_srlv(vu a, vu n) { return _mm512_srlv_epi32(a, n); }
static inline vu vu_sign(vu a) { return _mm512_srai_epi32(a, 31); }
static inline vu vu_mullo(vu a, vu b) { return _mm512_mullo_epi32(a, b); }
static inline vu vu_max31(vu a, vu b) { return _mm512_max_epi32(a, b); }
static inline vm vu_eq(vu a, vu b) { return _mm512_cmpeq_epi32_mask(a, b); }
static inline vm vu_gt31(vu a, vu b) { return _mm512_cmpgt_epi32_mask(a, b); }
static inline vm vu_below_2_16(vu a) {
    return _mm512_testn_epi32_mask(a, _mm512_set1_epi32((int)0xFFFF0000));
}
static inline vm vm_first(size_t n) { return avx512_first16(n); }
static inline vu vu_select(vm mask, vu a, vu b) { return _mm512_mask_blend_epi32(mask, b, a); }
static inline vu vu_where(vm mask, vu a) { return _mm512_maskz_mov_epi32(mask, a); }
static inline vu vu_inc(vm mask, vu a) {
    return _mm512_mask_add_epi32(a, mask, a, _mm512_set1_epi32(1));
}
static inline vu vu_gather(const uint32_t *table, vu i) {
    return _mm512_i32gather_epi32(i, (const int *)table, 4);
}
static inline vu vu_mulhi(vu a, vu b) {
    __m512i even = _mm512_mul_epu32(a, b);
    __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));
    return _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
}
static inline uint32_t vu_top31(vu a) { return (uint32_t)_mm512_reduce_max_epi32(a); }
static inline uint64_t vu_sum(vu a) {
    const __m512i low = _mm512_and_si512(a, _mm512_set1_epi64(0xFFFFFFFF));
    return (uint64_t)_mm512_reduce_add_epi64(_mm512_add_epi64(low, _mm512_srli_epi64(a, 32)));
}
static inline void vu_store(uint32_t *p, vu a) { _mm512_storeu_si512(p, a); }
static inline vu vu_load(const uint32_t *p) { return _mm512_loadu_si512(p); }
static inline vu vu_load_some(const uint32_t *p, size_t n) {
    return _mm512_maskz_loadu_epi32(avx512_first16(n), p);
}
static inline void vu_store_some(uint32_t *p, vu a, size_t n) {
    _mm512_mask_storeu_epi32(p, avx512_first16(n), a);
}
static inline vu vu_load_u8(const uint8_t *p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
static inline void vu_store_u8(uint8_t *p, vu a) {
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(a));
}
static inline vu vu_load_u16(const uint16_t *p) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static inline vu vu_load_i16(const int16_t *p) {
    return _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static inline void vu_store_i16(int16_t *p, vu a) {
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(a));
}
static inline vu vu_load_u8_some(const uint8_t *p, size_t n) {
    return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(avx512_first16(n), p));
}
static inline void vu_store_u8_some(uint8_t *p, vu a, size_t n) {
    _mm512_mask_cvtepi32_storeu_epi8(p, avx512_first16(n), a);
}
static inline vu vu_load_u16_some(const uint16_t *p, size_t n) {
    return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(avx512_first16(n), p));
}
static inline vu vu_load_i16_some(const int16_t *p, size_t n) {
    return _mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(avx512_first16(n), p));
}
static inline void vu_store_i16_some(int16_t *p, vu a, size_t n) {
    _mm512_mask_cvtepi32_storeu_epi16(p, avx512_first16(n), a);
}
static inline void vu_store_halves(uint16_t *p, vu a) { _mm512_storeu_si512(p, a); }

typedef struct {
    __m512i even, odd;
} vp;
static inline vp vp_set1(uint32_t a) { return (vp){vu_set1(a), vu_set1(a)}; }
static inline vp vp_count(uint32_t a) {
    const __m512i even = _mm512_setr_epi32(0, 0, 2, 0, 4, 0, 6, 0, 8, 0, 10, 0, 12, 0, 14, 0);
    return (vp){vu_add(vu_set1(a), even), vu_add(vu_set1(a + 1), even)};
}
static inline vp vp_split(vu a) { return (vp){a, _mm512_srli_epi64(a, 32)}; }
static inline void vp_mulhilo(vp a, uint32_t b, vp *hi, vp *lo) {
    *lo = (vp){_mm512_mul_epu32(a.even, vu_set1(b)), _mm512_mul_epu32(a.odd, vu_set1(b))};
    *hi = (vp){_mm512_srli_epi64(lo->even, 32), _mm512_srli_epi64(lo->odd, 32)};
}
static inline vp vp_xor3(vp a, vp b, vu c) { /* 0x96: the parity of three */
    return (vp){_mm512_ternarylogic_epi32(a.even, b.even, c, 0x96),
                _mm512_ternarylogic_epi32(a.odd, b.odd, c, 0x96)};
}
static inline vu vp_join(vp a) {
    return _mm512_mask_blend_epi32(0xAAAA, a.even, _mm512_slli_epi64(a.odd, 32));
}

static inline vd vd_zero(void) { return (vd){_mm512_setzero_pd(), _mm512_setzero_pd()}; }
static inline vd vd_add(vd a, vd b) {
    return (vd){_mm512_add_pd(a.lo, b.lo), _mm512_add_pd(a.hi, b.hi)};
}
static inline vd vd_mul(vd a, vd b) {
    return (vd){_mm512_mul_pd(a.lo, b.lo), _mm512_mul_pd(a.hi, b.hi)};
}
static inline vd vd_from_vf(vf a) {
    return (vd){_mm512_cvtps_pd(_mm512_castps512_ps256(a)),
                _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1))};
}
/* Lanes' sum: the upper half upon the lower one, and so on. */
static inline double vd_fold(vd a) {
    const __m512d s = _mm512_add_pd(a.lo, a.hi);
    const __m256d h = _mm256_add_pd(_mm512_castpd512_pd256(s), _mm512_extractf64x4_pd(s, 1));
    const __m128d q = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
}

#define W_HALVES 32

typedef __m512i vh;
static inline vh vh_load(const int16_t *p) { return _mm512_loadu_si512(p); }
static inline void vh_store(int16_t *p, vh a) { _mm512_storeu_si512(p, a); }
static inline vh vh_load_u8(const uint8_t *p) {
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static inline void vh_store_u8(uint8_t *p, vh a, vh b) {
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi16_epi8(a));
    _mm256_storeu_si256((__m256i *)(void *)(p + 32), _mm512_cvtepi16_epi8(b));
}
static inline vh vh_load_u16(const uint16_t *p) { return _mm512_loadu_si512(p); }
static inline vh vh_load_some(const int16_t *p, size_t n) {
    return _mm512_maskz_loadu_epi16(avx512_first32(n), p);
}
static inline vh vh_load_u16_some(const uint16_t *p, size_t n) {
    return _mm512_maskz_loadu_epi16(avx512_first32(n), p);
}
static inline vh vh_load_u8_some(const uint8_t *p, size_t n) {
    return _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(avx512_first32(n), p));
}
static inline void vh_store_some(int16_t *p, vh a, size_t n) {
    _mm512_mask_storeu_epi16(p, avx512_first32(n), a);
}
static inline void vh_store_u8_some(uint8_t *p, vh a, vh b, size_t n) {
    const __m512i bytes = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(a)),
                                             _mm512_cvtepi16_epi8(b), 1);
    _mm512_mask_storeu_epi8(p, avx512_first64(n), bytes);
}
static inline vh vh_first(size_t n) { return _mm512_movm_epi16(avx512_first32(n)); }
static inline vu vh_lanes(vh a, const int last) {
    return _mm512_cvtepu16_epi32(last ? _mm512_extracti64x4_epi64(a, 1)
                                      : _mm512_castsi512_si256(a));
}
static inline vh vh_pair(vh a) { return a; }
static inline vh vh_natural(vh a) { return a; }
static inline vh vh_low(vu a, vu b) {
    const __m512i even =
        _mm512_set_epi16(62, 60, 58, 56, 54, 52, 50, 48, 46, 44, 42, 40, 38, 36, 34, 32, 30, 28, 26,
                         24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    return _mm512_permutex2var_epi16(a, even, b);
}
static inline vh vh_high(vu a, vu b) {
    const __m512i odd =
        _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31, 29, 27,
                         25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    return _mm512_permutex2var_epi16(a, odd, b);
}
static inline vh vh_signs(vu a, vu b) { return _mm512_srai_epi16(vh_high(a, b), 15); }
static inline vh vh_set1(int16_t a) { return _mm512_set1_epi16(a); }
static inline vh vh_add(vh a, vh b) { return _mm512_add_epi16(a, b); }
static inline vh vh_sub(vh a, vh b) { return _mm512_sub_epi16(a, b); }
static inline vh vh_sub_or_zero(vh a, vh b) { return _mm512_subs_epu16(a, b); }
static inline vh vh_mullo(vh a, vh b) { return _mm512_mullo_epi16(a, b); }
static inline vh vh_and(vh a, vh b) { return _mm512_and_si512(a, b); }
static inline vh vh_xor(vh a, vh b) { return _mm512_xor_si512(a, b); }
/* vpsrlw takes its count unsigned in some compilers and signed in others. */
#define vh_srl(a, n) _mm512_srli_epi16(a, n)
static inline vh vh_sign(vh a) { return _mm512_srai_epi16(a, 15); }

typedef __mmask32 vhm;
static inline vhm vh_above(vh a, vh b) { return _mm512_cmpgt_epu16_mask(a, b); }
static inline vhm vh_eq(vh a, vh b) { return _mm512_cmpeq_epi16_mask(a, b); }
static inline bool vhm_any(vhm a) { return a != 0; }
static inline vh vh_inc(vhm m, vh a) {
    return _mm512_mask_add_epi16(a, m, a, _mm512_set1_epi16(1));
}
static inline vh vh_ones(vhm m) { return _mm512_movm_epi16(m); }
static inline vh vh_abs(vh a) { return _mm512_abs_epi16(a); }
static inline vu vh_pair_sums(vh a) { return _mm512_madd_epi16(a, _mm512_set1_epi16(1)); }

#define W_FOURS 1

static inline vu vu_next_of_four(vu a) { return _mm512_shuffle_epi32(a, 0x39); }
static inline vu vu_opposite_of_four(vu a) { return _mm512_shuffle_epi32(a, 0x4E); }

#define W_NONZERO 1

static inline uint64_t vh_nonzero64(const int16_t *k) {
    vh low = vh_load(k), high = vh_load(k + 32);
    return (uint64_t)_mm512_test_epi16_mask(low, low) | (uint64_t)_mm512_test_epi16_mask(high, high)
                                                            << 32;
}

#define W_POSITIONS 1

/* first + i of each set bit i of mask, ascending, to at[]; returns how many. Sixteen entries are
 * written at a time. */
static inline size_t vu_positions(uint64_t mask, uint32_t first, uint32_t *at) {
    static const uint8_t iota[64] = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
        44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    const size_t count = (size_t)_mm_popcnt_u64(mask);
    __m512i set = _mm512_maskz_compress_epi8(mask, _mm512_loadu_si512(iota));
    size_t i = 0;
    do {
        __m512i sixteen = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(set));
        _mm512_storeu_si512(at + i, _mm512_add_epi32(sixteen, _mm512_set1_epi32((int)first)));
        set = _mm512_alignr_epi64(set, set, 2);
        i += 16;
    } while (i < count);
    return count;
}

#endif
