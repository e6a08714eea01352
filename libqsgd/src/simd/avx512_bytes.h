/* More of the vocabulary of sixteen lanes: bytes, and fields of bits packed into them. Meanings:
 * simd/scalar.h names the blocks. */
#ifndef QSGD_SIMD_AVX512_BYTES_H
#define QSGD_SIMD_AVX512_BYTES_H

#include "simd/avx512.h"

#define W_BYTES 64

typedef __m512i vb;
static inline vb vb_load(const uint8_t *p) { return _mm512_loadu_si512(p); }
static inline vb vb_set1(uint8_t a) { return _mm512_set1_epi8((char)a); }
static inline vb vb_load_some(const uint8_t *p, size_t n) {
    return _mm512_maskz_loadu_epi8(avx512_first64(n), p);
}
static inline vb vb_first(size_t n) { return _mm512_movm_epi8(avx512_first64(n)); }
static inline vb vb_row(const uint8_t *p) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)p));
}
static inline vb vb_look_up(vb row, vb i) { return _mm512_shuffle_epi8(row, i); }
static inline vb vb_add(vb a, vb b) { return _mm512_add_epi8(a, b); }
static inline vb vb_sub(vb a, vb b) { return _mm512_sub_epi8(a, b); }
static inline vb vb_add_saturated(vb a, vb b) { return _mm512_adds_epu8(a, b); }
static inline vb vb_and(vb a, vb b) { return _mm512_and_si512(a, b); }
static inline vb vb_or(vb a, vb b) { return _mm512_or_si512(a, b); }
static inline vb vb_high_nibbles(vb a) {
    return _mm512_and_si512(_mm512_srli_epi16(a, 4), vb_set1(15));
}
static inline vb vb_half_up(vb a) { return _mm512_avg_epu8(a, _mm512_setzero_si512()); }
static inline bool vb_any_above(vb a, uint8_t mask) {
    return _mm512_test_epi8_mask(a, vb_set1((uint8_t)~mask)) != 0;
}
static inline uint8_t vb_or_lanes(vb a) {
    uint64_t y = (uint64_t)_mm512_reduce_or_epi64(a);
    y |= y >> 32;
    y |= y >> 16;
    return (uint8_t)(y | y >> 8);
}
static inline uint64_t vb_sum(vb a) {
    return (uint64_t)_mm512_reduce_add_epi64(_mm512_sad_epu8(a, _mm512_setzero_si512()));
}

#define W_PACK 1
#define W_REACH 64

static inline void vb_store(uint8_t *p, vb a) { _mm512_storeu_si512(p, a); }
static inline vb vb_set32(uint32_t a) { return _mm512_set1_epi32((int)a); }
static inline vb vb_set64(uint64_t a) { return _mm512_set1_epi64((long long)a); }
static inline vb vb_xor(vb a, vb b) { return _mm512_xor_si512(a, b); }
static inline vb vb_max(vb a, vb b) { return _mm512_max_epu8(a, b); }
static inline vb vb_abs(vb a) { return _mm512_abs_epi8(a); }
static inline vb vb_positive(vb a) {
    return _mm512_movm_epi8(_mm512_cmpgt_epi8_mask(a, _mm512_setzero_si512()));
}
static inline vb vb_srl64(vb a, unsigned n) {
    return _mm512_srl_epi64(a, _mm_cvtsi32_si128((int)n));
}
static inline vb vb_merge(vb mask, vb a, vb b) {
    return _mm512_ternarylogic_epi64(mask, a, b, 0xCA);
}
static inline vb vb_pairs(vb a, unsigned w) {
    return _mm512_maddubs_epi16(_mm512_set1_epi16((short)(1 | 256 << w)), a);
}
static inline vb vb_fours(vb a, unsigned w) {
    return _mm512_madd_epi16(a, _mm512_set1_epi32(1 | 65536 << (2 * w)));
}
static inline vb vb_narrow(const int16_t *k) {
    __m256i low = _mm512_cvtepi16_epi8(_mm512_loadu_si512(k));
    __m256i high = _mm512_cvtepi16_epi8(_mm512_loadu_si512(k + 32));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}
static inline void vb_store_wide(int16_t *k, vb a) {
    _mm512_storeu_si512(k, _mm512_cvtepi8_epi16(_mm512_castsi512_si256(a)));
    _mm512_storeu_si512(k + 32, _mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64(a, 1)));
}
static inline __mmask64 avx512_first_of_8(unsigned w) {
    return ((1ULL << w) - 1) * 0x0101010101010101;
}
static inline void vb_store_close(uint8_t *p, vb a, unsigned w) {
    _mm512_storeu_si512(p, _mm512_maskz_compress_epi8(avx512_first_of_8(w), a));
}
/* i w in all bytes of the i-th 64 bits. Permutations, as expanding from memory is slow. */
static inline vb avx512_steps(unsigned w) {
    const __m512i lanes = _mm512_setr_epi64(
        0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303, 0x0404040404040404,
        0x0505050505050505, 0x0606060606060606, 0x0707070707070707);
    return _mm512_mullo_epi16(lanes, _mm512_set1_epi16((short)w));
}
static inline vb vb_load_spread(const uint8_t *p, unsigned w) {
    const __m512i order = _mm512_add_epi8(avx512_steps(w), _mm512_set1_epi64(0x0706050403020100));
    return _mm512_permutexvar_epi8(order, _mm512_loadu_si512(p));
}
static inline vb vb_fields(vb a, unsigned w) {
    const __m512i starts = _mm512_set1_epi64((long long)(w * 0x0706050403020100));
    return _mm512_and_si512(_mm512_multishift_epi64_epi8(starts, a),
                            _mm512_set1_epi8((char)((1U << w) - 1)));
}

#define W_PACK_HALVES 1

static inline vb vh_bytes(vh a) { return a; }
static inline vh vh_of_bytes(vb a) { return a; }
static inline vh vh_max(vh a, vh b) { return _mm512_max_epu16(a, b); }
static inline __mmask64 avx512_first_of_16(unsigned w) {
    return ((1ULL << w) - 1) * 0x0001000100010001;
}
static inline void vh_store_close(uint8_t *p, vb a, unsigned w) {
    const __m512i down = _mm512_broadcast_i64x2(_mm_set_epi64x(64 - 4 * (long long)w, 0));
    const __m512i up = _mm512_broadcast_i64x2(_mm_set_epi64x(64, 4 * (long long)w));
    __m512i swapped = _mm512_permutex_epi64(a, 0xB1);
    __m512i x = _mm512_or_si512(_mm512_srlv_epi64(a, down), _mm512_sllv_epi64(swapped, up));
    _mm512_storeu_si512(p, _mm512_maskz_compress_epi8(avx512_first_of_16(w), x));
}
static inline vb vh_load_spread(const uint8_t *p, unsigned w) {
    __m512i halved = _mm512_and_si512(_mm512_srli_epi16(avx512_steps(w), 1), _mm512_set1_epi8(63));
    const __m512i order = _mm512_add_epi8(halved, _mm512_set1_epi64(0x0706050403020100));
    return _mm512_permutexvar_epi8(order, _mm512_loadu_si512(p));
}
static inline vh vh_fields(vb a, unsigned w) {
    const long long first = 0x0800080008000800 + (long long)w * 0x0303020201010000;
    const long long second = first + (long long)(w & 1) * 0x0404040404040404;
    const __m512i starts = _mm512_broadcast_i64x2(_mm_set_epi64x(second, first));
    return _mm512_and_si512(_mm512_multishift_epi64_epi8(starts, a),
                            _mm512_set1_epi16((short)((1U << w) - 1)));
}

#include "simd/partial.h"

#endif
