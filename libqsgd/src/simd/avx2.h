/* Vocabulary of eight lanes, AVX2. Meanings: simd/scalar.h. No fused multiply-add, no estimates. */
#ifndef QSGD_SIMD_AVX2_H
#define QSGD_SIMD_AVX2_H

#include "base/begin.h"

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "simd/partial_bytes.h"

#define W 8

typedef __m256 vf;
typedef __m256i vu;
typedef struct {
    __m256d lo, hi;
} vd;
typedef __m256i vm; /* all ones where true */

static inline vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
#define W_STREAM 1 /* stores of aligned vectors past the cache */
static inline void vf_stream(float *p, vf a) { _mm256_stream_ps(p, a); }
static inline void vf_stream_one(float *p, float a) {
    _mm_stream_si32((int *)(void *)p, _mm_cvtsi128_si32(_mm_castps_si128(_mm_set_ss(a))));
}
static inline void vf_stream_end(void) { _mm_sfence(); } /* before others may read them */
static inline __m256i avx2_first(size_t n) {             /* all ones in the first n lanes */
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n < W ? (int)n : W), lanes);
}
#define W_MASKED_WORDS 1
static inline vf vf_load_some(const float *p, size_t n) {
    return _mm256_maskload_ps(p, avx2_first(n));
}
static inline void vf_store_some(float *p, vf a, size_t n) {
    _mm256_maskstore_ps(p, avx2_first(n), a);
}
static inline vf vf_set1(float a) { return _mm256_set1_ps(a); }
static inline vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); } /* MINPS: a < b ? a : b */
static inline vm vf_ge(vf a, vf b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_GE_OQ)); }
static inline vu vf_bits(vf a) { return _mm256_castps_si256(a); }
static inline vf vf_from_bits(vu a) { return _mm256_castsi256_ps(a); }
static inline vf vf_partner(vf a, int h) {
    if (h == 1) return _mm256_permute_ps(a, 0xB1);
    return h == 2 ? _mm256_permute_ps(a, 0x4E) : _mm256_permute2f128_ps(a, a, 1);
}
static inline vf vf_gather(const float *table, vu i) { return _mm256_i32gather_ps(table, i, 4); }
static inline vf vf_from_int(vu a) { return _mm256_cvtepi32_ps(a); }
static inline vu vf_trunc(vf a) { return _mm256_cvttps_epi32(a); }

static inline vu vu_set1(uint32_t a) { return _mm256_set1_epi32((int)a); }
static inline vu vu_iota(void) { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
static inline vu vu_flips(const uint16_t *bits, size_t first, size_t n) {
    (void)n;
    const uint32_t two = bits[first / 16] | (uint32_t)bits[first / 16 + 1] << 16;
    const __m256i up = _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24);
    return _mm256_and_si256(_mm256_sllv_epi32(vu_set1(two >> first % 16), up),
                            vu_set1(0x80000000U));
}
static inline vu vu_add(vu a, vu b) { return _mm256_add_epi32(a, b); }
static inline vu vu_sub(vu a, vu b) { return _mm256_sub_epi32(a, b); }
static inline vu vu_and(vu a, vu b) { return _mm256_and_si256(a, b); }
static inline vu vu_or(vu a, vu b) { return _mm256_or_si256(a, b); }
static inline vu vu_xor(vu a, vu b) { return _mm256_xor_si256(a, b); }
static inline vu vu_srl(vu a, int n) { return _mm256_srli_epi32(a, n); }
static inline vu vu_sll(vu a, int n) { return _mm256_slli_epi32(a, n); }
static inline vu vu_srlv(vu a, vu n) { return _mm256_srlv_epi32(a, n); }
static inline vu vu_sign(vu a) { return _mm256_srai_epi32(a, 31); }
static inline vu vu_mullo(vu a, vu b) { return _mm256_mullo_epi32(a, b); }
static inline vu vu_max31(vu a, vu b) { return _mm256_max_epi32(a, b); }
static inline vm vu_eq(vu a, vu b) { return _mm256_cmpeq_epi32(a, b); }
static inline vm vu_gt31(vu a, vu b) { return _mm256_cmpgt_epi32(a, b); }
/* Its sign bits alone are a mask: for avx2_bits and vu_pull_words. */
static inline vm vu_below_2_16(vu a) { return _mm256_cmpeq_epi16(a, _mm256_setzero_si256()); }
static inline vm vm_first(size_t n) { return avx2_first(n); }
static inline unsigned avx2_bits(vm mask) { /* bit l is lane l */
    return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(mask));
}
static inline vu vu_select(vm mask, vu a, vu b) { return _mm256_blendv_epi8(b, a, mask); }
static inline vu vu_where(vm mask, vu a) { return _mm256_and_si256(mask, a); }
static inline vu vu_inc(vm mask, vu a) { return _mm256_sub_epi32(a, mask); }
static inline vu vu_gather(const uint32_t *table, vu i) {
    return _mm256_i32gather_epi32((const int *)table, i, 4);
}
static inline vu vu_mulhi(vu a, vu b) {
    __m256i even = _mm256_mul_epu32(a, b);
    __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32));
    return _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
}
static inline uint32_t vu_top31(vu a) {
    __m128i x = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    x = _mm_max_epi32(x, _mm_shuffle_epi32(x, 0x4E));
    return (uint32_t)_mm_cvtsi128_si32(_mm_max_epi32(x, _mm_shuffle_epi32(x, 0xB1)));
}
static inline uint64_t vu_sum(vu a) {
    const __m256i low = _mm256_and_si256(a, _mm256_set1_epi64x(0xFFFFFFFF));
    const __m256i sums = _mm256_add_epi64(low, _mm256_srli_epi64(a, 32));
    __m128i x = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    x = _mm_add_epi64(x, _mm_unpackhi_epi64(x, x));
    return (uint64_t)_mm_cvtsi128_si64(x);
}
static inline void vu_store(uint32_t *p, vu a) { _mm256_storeu_si256((__m256i *)(void *)p, a); }
static inline vu vu_load(const uint32_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
static inline vu vu_load_some(const uint32_t *p, size_t n) {
    return _mm256_maskload_epi32((const int *)(const void *)p, avx2_first(n));
}
static inline void vu_store_some(uint32_t *p, vu a, size_t n) {
    _mm256_maskstore_epi32((int *)(void *)p, avx2_first(n), a);
}
static inline vu vu_load_u8(const uint8_t *p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}
static inline __m128i avx2_pack16(vu a) { /* lanes to 16 bits, signed saturation */
    return _mm256_castsi256_si128(
        _mm256_permute4x64_epi64(_mm256_packs_epi32(a, a), _MM_SHUFFLE(3, 1, 2, 0)));
}
static inline void vu_store_u8(uint8_t *p, vu a) {
    __m128i words = avx2_pack16(a);
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packus_epi16(words, words));
}
static inline vu vu_load_u16(const uint16_t *p) {
    return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
static inline vu vu_load_i16(const int16_t *p) {
    return _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
static inline void vu_store_i16(int16_t *p, vu a) {
    _mm_storeu_si128((__m128i *)(void *)p, avx2_pack16(a));
}
/* Few lanes, from bytes and halves and back. */
#define W_PARTIAL_BYTES 1
static inline __m128i avx2_few(const void *p, size_t bytes) {
    const uint64_t low = partial_bytes_load(p, bytes);
    const uint64_t high = bytes > 8 ? partial_bytes_load((const uint8_t *)p + 8, bytes - 8) : 0;
    return _mm_set_epi64x((long long)high, (long long)low);
}
static inline vu vu_load_u8_some(const uint8_t *p, size_t n) {
    return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)partial_bytes_load(p, n)));
}
static inline void vu_store_u8_some(uint8_t *p, vu a, size_t n) {
    const __m128i words = avx2_pack16(a);
    partial_bytes_store(p, (uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(words, words)), n);
}
static inline vu vu_load_u16_some(const uint16_t *p, size_t n) {
    return _mm256_cvtepu16_epi32(avx2_few(p, 2 * n));
}
static inline vu vu_load_i16_some(const int16_t *p, size_t n) {
    return _mm256_cvtepi16_epi32(avx2_few(p, 2 * n));
}
static inline void vu_store_i16_some(int16_t *p, vu a, size_t n) {
    const __m128i words = avx2_pack16(a);
    partial_bytes_store(p, (uint64_t)_mm_cvtsi128_si64(words), 2 * n);
    if (n > 4) partial_bytes_store(p + 4, (uint64_t)_mm_extract_epi64(words, 1), 2 * (n - 4));
}
static inline void vu_store_halves(uint16_t *p, vu a) {
    _mm256_storeu_si256((__m256i *)(void *)p, a);
}

/* Even and odd counters apart, each in the low half of 64 bits; high halves are junk. */
typedef struct {
    __m256i even, odd;
} vp;
static inline vp vp_set1(uint32_t a) { return (vp){vu_set1(a), vu_set1(a)}; }
static inline vp vp_count(uint32_t a) {
    return (vp){vu_add(vu_set1(a), _mm256_setr_epi32(0, 0, 2, 0, 4, 0, 6, 0)),
                vu_add(vu_set1(a), _mm256_setr_epi32(1, 0, 3, 0, 5, 0, 7, 0))};
}
static inline vp vp_split(vu a) { return (vp){a, _mm256_srli_epi64(a, 32)}; }
static inline void vp_mulhilo(vp a, uint32_t b, vp *hi, vp *lo) {
    *lo = (vp){_mm256_mul_epu32(a.even, vu_set1(b)), _mm256_mul_epu32(a.odd, vu_set1(b))};
    *hi = (vp){_mm256_srli_epi64(lo->even, 32), _mm256_srli_epi64(lo->odd, 32)};
}
static inline vp vp_xor3(vp a, vp b, vu c) {
    return (vp){vu_xor(vu_xor(a.even, b.even), c), vu_xor(vu_xor(a.odd, b.odd), c)};
}
static inline vu vp_join(vp a) {
    return _mm256_blend_epi32(a.even, _mm256_slli_epi64(a.odd, 32), 0xAA);
}

static inline vd vd_zero(void) { return (vd){_mm256_setzero_pd(), _mm256_setzero_pd()}; }
static inline vd vd_add(vd a, vd b) {
    return (vd){_mm256_add_pd(a.lo, b.lo), _mm256_add_pd(a.hi, b.hi)};
}
static inline vd vd_mul(vd a, vd b) {
    return (vd){_mm256_mul_pd(a.lo, b.lo), _mm256_mul_pd(a.hi, b.hi)};
}
static inline vd vd_from_vf(vf a) {
    return (vd){_mm256_cvtps_pd(_mm256_castps256_ps128(a)),
                _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1))};
}
/* Lanes' sum: the upper half upon the lower one, and so on. */
static inline double vd_fold(vd a) {
    const __m256d h = _mm256_add_pd(a.lo, a.hi);
    const __m128d q = _mm_add_pd(_mm256_castpd256_pd128(h), _mm256_extractf128_pd(h, 1));
    return _mm_cvtsd_f64(_mm_add_sd(q, _mm_unpackhi_pd(q, q)));
}

#define W_HALVES 16 /* vh: that many 16-bit lanes */

typedef __m256i vh;
static inline vh vh_load(const int16_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
static inline void vh_store(int16_t *p, vh a) { _mm256_storeu_si256((__m256i *)(void *)p, a); }
static inline vh vh_load_u8(const uint8_t *p) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p));
}
/* 2 W_HALVES lanes, each 0..255, to bytes. */
static inline void vh_store_u8(uint8_t *p, vh a, vh b) {
    __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(a, b), 0xD8);
    _mm256_storeu_si256((__m256i *)(void *)p, bytes);
}
static inline vh vh_load_u16(const uint16_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
/* Pair order is what packing leaves: a's and b's quarters in turn. */
static inline vh vh_pair(vh a) { return _mm256_permute4x64_epi64(a, 0xD8); }
static inline vh vh_natural(vh a) { return _mm256_permute4x64_epi64(a, 0xD8); }
static inline vh vh_high(vu a, vu b) {
    return _mm256_packus_epi32(_mm256_srli_epi32(a, 16), _mm256_srli_epi32(b, 16));
}
static inline vh vh_first(size_t n) {
    const __m256i halves = _mm256_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm256_cmpgt_epi16(_mm256_set1_epi16(n < 16 ? (short)n : 16), halves);
}
static inline vu vh_lanes(vh a, const int last) {
    return _mm256_cvtepu16_epi32(last ? _mm256_extracti128_si256(a, 1) : _mm256_castsi256_si128(a));
}
static inline vh vh_low(vu a, vu b) {
    const __m256i zero = _mm256_setzero_si256();
    return _mm256_packus_epi32(_mm256_blend_epi16(a, zero, 0xAA),
                               _mm256_blend_epi16(b, zero, 0xAA));
}
static inline vh vh_signs(vu a, vu b) { /* saturation keeps the sign */
    return _mm256_srai_epi16(_mm256_packs_epi32(a, b), 15);
}
static inline vh vh_set1(int16_t a) { return _mm256_set1_epi16(a); }
static inline vh vh_add(vh a, vh b) { return _mm256_add_epi16(a, b); }
static inline vh vh_sub(vh a, vh b) { return _mm256_sub_epi16(a, b); }
static inline vh vh_sub_or_zero(vh a, vh b) { return _mm256_subs_epu16(a, b); }
static inline vh vh_mullo(vh a, vh b) { return _mm256_mullo_epi16(a, b); }
static inline vh vh_and(vh a, vh b) { return _mm256_and_si256(a, b); }
static inline vh vh_xor(vh a, vh b) { return _mm256_xor_si256(a, b); }
static inline vh vh_srl(vh a, int n) { return _mm256_srli_epi16(a, n); }
static inline vh vh_sign(vh a) { return _mm256_srai_epi16(a, 15); }

typedef __m256i vhm;                     /* all ones where true */
static inline vhm vh_above(vh a, vh b) { /* unsigned */
    const __m256i top = _mm256_set1_epi16(INT16_MIN);
    return _mm256_cmpgt_epi16(_mm256_xor_si256(a, top), _mm256_xor_si256(b, top));
}
static inline vhm vh_eq(vh a, vh b) { return _mm256_cmpeq_epi16(a, b); }
static inline bool vhm_any(vhm a) { return !_mm256_testz_si256(a, a); }
static inline vh vh_inc(vhm m, vh a) { return _mm256_sub_epi16(a, m); }
static inline vh vh_ones(vhm m) { return m; }
static inline vh vh_abs(vh a) { return _mm256_abs_epi16(a); }
static inline vu vh_pair_sums(vh a) { return _mm256_madd_epi16(a, _mm256_set1_epi16(1)); }

#define W_FOURS 1

/* In every four lanes: the next one's, around; and the one's that is two away. */
static inline vu vu_next_of_four(vu a) { return _mm256_shuffle_epi32(a, 0x39); }
static inline vu vu_opposite_of_four(vu a) { return _mm256_shuffle_epi32(a, 0x4E); }

#define W_NONZERO 1

/* Bit i: k[i] is not 0, of 64. */
static inline uint32_t avx2_nonzero32(const int16_t *k) {
    const __m256i zero = _mm256_setzero_si256();
    __m256i low = _mm256_cmpeq_epi16(vh_load(k), zero);
    __m256i high = _mm256_cmpeq_epi16(vh_load(k + 16), zero);
    __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xD8);
    return ~(uint32_t)_mm256_movemask_epi8(bytes);
}
static inline uint64_t vh_nonzero64(const int16_t *k) {
    return avx2_nonzero32(k) | (uint64_t)avx2_nonzero32(k + 32) << 32;
}

#endif
