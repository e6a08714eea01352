/* Vocabulary of sixteen lanes: AVX-512 F, BW, DQ and VL. Meanings: simd/scalar.h. No fused
 * multiply-add, no estimates. */
#ifndef QSGD_SIMD_AVX512_H
#define QSGD_SIMD_AVX512_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#define W 16

typedef __m512 vf;
typedef __m512i vu;
typedef struct {
    __m512d lo, hi;
} vd;
typedef __mmask16 vm;

static inline vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
static inline vf vf_set1(float a) { return _mm512_set1_ps(a); }
static inline vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); } /* MINPS: a < b ? a : b */
static inline vm vf_ge(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
static inline vu vf_bits(vf a) { return _mm512_castps_si512(a); }
static inline vf vf_from_bits(vu a) { return _mm512_castsi512_ps(a); }
static inline vf vf_gather(const float *table, vu i) { return _mm512_i32gather_ps(i, table, 4); }
static inline vf vf_from_int(vu a) { return _mm512_cvtepi32_ps(a); }
static inline vu vf_trunc(vf a) { return _mm512_cvttps_epi32(a); }

static inline vu vu_set1(uint32_t a) { return _mm512_set1_epi32((int)a); }
static inline vu vu_iota(void) {
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
static inline vu vu_add(vu a, vu b) { return _mm512_add_epi32(a, b); }
static inline vu vu_sub(vu a, vu b) { return _mm512_sub_epi32(a, b); }
static inline vu vu_and(vu a, vu b) { return _mm512_and_si512(a, b); }
static inline vu vu_andnot(vu a, vu b) { return _mm512_andnot_si512(a, b); }
static inline vu vu_or(vu a, vu b) { return _mm512_or_si512(a, b); }
static inline vu vu_xor(vu a, vu b) { return _mm512_xor_si512(a, b); }
static inline vu vu_srl(vu a, int n) { return _mm512_srli_epi32(a, (unsigned)n); }
static inline vu vu_sll(vu a, int n) { return _mm512_slli_epi32(a, (unsigned)n); }
static inline vu vu_sign(vu a) { return _mm512_srai_epi32(a, 31); }
static inline vu vu_mullo(vu a, vu b) { return _mm512_mullo_epi32(a, b); }
static inline vu vu_max31(vu a, vu b) { return _mm512_max_epi32(a, b); }
static inline vm vu_eq(vu a, vu b) { return _mm512_cmpeq_epi32_mask(a, b); }
static inline vm vu_gt31(vu a, vu b) { return _mm512_cmpgt_epi32_mask(a, b); }
static inline vm vm_and(vm a, vm b) { return a & b; }
static inline vm vm_not(vm a) { return (vm)~a; }
static inline bool vm_any(vm mask) { return mask != 0; }
static inline unsigned vm_bits(vm mask) { return mask; }
static inline vu vu_select(vm mask, vu a, vu b) { return _mm512_mask_blend_epi32(mask, b, a); }
static inline vu vu_where(vm mask, vu a) { return _mm512_maskz_mov_epi32(mask, a); }
static inline vu vu_ones(vm mask) { return _mm512_movm_epi32(mask); }
static inline vu vu_inc(vm mask, vu a) {
    return _mm512_mask_add_epi32(a, mask, a, _mm512_set1_epi32(1));
}
static inline vu vu_gather(const uint32_t *table, vu i) {
    return _mm512_i32gather_epi32(i, (const int *)table, 4);
}
static inline void vu_mulhilo(vu a, uint32_t b, vu *hi, vu *lo) {
    const __m512i m = _mm512_set1_epi32((int)b);
    __m512i even = _mm512_mul_epu32(a, m);
    __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), m);
    *hi = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
    *lo = _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
}
static inline vu vu_mulhi(vu a, vu b) {
    __m512i even = _mm512_mul_epu32(a, b);
    __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));
    return _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
}
static inline void vu_store(uint32_t *p, vu a) { _mm512_storeu_si512(p, a); }
static inline vu vu_load(const uint32_t *p) { return _mm512_loadu_si512(p); }
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
static inline void vu_store_halves(uint16_t *p, vu a) { _mm512_storeu_si512(p, a); }

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
static inline void vd_store(double *p, vd a) {
    _mm512_storeu_pd(p, a.lo);
    _mm512_storeu_pd(p + 8, a.hi);
}

#define W_BYTES 64

typedef __m512i vb;
static inline vb vb_load(const uint8_t *p) { return _mm512_loadu_si512(p); }
static inline vb vb_set1(uint8_t a) { return _mm512_set1_epi8((char)a); }
static inline vb vb_count_eq(vb count, vb a, vb b) {
    __mmask64 equal = _mm512_cmpeq_epi8_mask(a, b);
    return _mm512_mask_sub_epi8(count, equal, count, _mm512_set1_epi8(-1));
}
static inline uint64_t vb_sum(vb a) {
    return (uint64_t)_mm512_reduce_add_epi64(_mm512_sad_epu8(a, _mm512_setzero_si512()));
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
static inline vh vh_set1(int16_t a) { return _mm512_set1_epi16(a); }
static inline vh vh_add(vh a, vh b) { return _mm512_add_epi16(a, b); }
static inline vh vh_sub(vh a, vh b) { return _mm512_sub_epi16(a, b); }
static inline vh vh_and(vh a, vh b) { return _mm512_and_si512(a, b); }
static inline vh vh_xor(vh a, vh b) { return _mm512_xor_si512(a, b); }
/* vpsrlw takes its count unsigned in some compilers and signed in others. */
#define vh_srl(a, n) _mm512_srli_epi16(a, n)
static inline vh vh_sign(vh a) { return _mm512_srai_epi16(a, 15); }

#define W_TABLE 32

typedef struct {
    __m512i low, high;
} vt;
static inline vt vt_load(const uint32_t *p) { return (vt){vu_load(p), vu_load(p + 16)}; }
static inline vu vt_at(vt t, vu i) { return _mm512_permutex2var_epi32(t.low, i, t.high); }

#define W_CRC 1

static inline uint64_t vu_crc64(uint64_t crc, const uint8_t *p) {
    uint64_t word;
    __builtin_memcpy(&word, p, 8);
    return _mm_crc32_u64(crc, word);
}

#define W_RENORM 1

/* The words of set lanes go to the top of sixteen, which are stored whole: a masked store would
 * cost more than overwriting what is free anyway. */
static inline uint16_t *vu_push_words(uint16_t *p, vu a, vm mask) {
    unsigned count = (unsigned)_mm_popcnt_u32(mask);
    __m512i packed = _mm512_maskz_compress_epi32(mask, a);
    __m512i shift = _mm512_sub_epi32(vu_iota(), _mm512_set1_epi32((int)(16 - count)));
    __m512i top = _mm512_permutexvar_epi32(shift, packed);
    _mm256_storeu_si256((__m256i *)(void *)(p - 16), _mm512_cvtepi32_epi16(top));
    return p - count;
}
/* 32 bytes at *p are read. */
static inline vu vu_pull_words(const uint8_t **p, vu a, vm mask) {
    __m512i words = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)*p));
    __m512i placed = _mm512_maskz_expand_epi32(mask, words);
    *p += 2 * _mm_popcnt_u32(mask);
    return _mm512_mask_or_epi32(a, mask, _mm512_slli_epi32(a, 16), placed);
}

#endif
