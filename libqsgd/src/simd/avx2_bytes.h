/* More of the vocabulary of eight lanes: bytes, and fields of bits packed into them. Meanings:
 * simd/scalar.h names the blocks. */
#ifndef QSGD_SIMD_AVX2_BYTES_H
#define QSGD_SIMD_AVX2_BYTES_H

#include "simd/avx2.h"

#define W_BYTES 32 /* vb: that many bytes */

typedef __m256i vb;
static inline vb vb_load(const uint8_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
static inline vb vb_set1(uint8_t a) { return _mm256_set1_epi8((char)a); }
static inline vb vb_first(size_t n) { /* all ones in the first n bytes */
    const __m256i bytes =
        _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
                         21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
    return _mm256_cmpgt_epi8(_mm256_set1_epi8(n < W_BYTES ? (char)n : W_BYTES), bytes);
}
static inline vb vb_row(const uint8_t *p) { /* sixteen bytes, in every 128 bits */
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)p));
}
/* Of a row, by the low four bits; 0 where i is above 127. */
static inline vb vb_look_up(vb row, vb i) { return _mm256_shuffle_epi8(row, i); }
static inline vb vb_add(vb a, vb b) { return _mm256_add_epi8(a, b); }
static inline vb vb_sub(vb a, vb b) { return _mm256_sub_epi8(a, b); }
static inline vb vb_add_saturated(vb a, vb b) { return _mm256_adds_epu8(a, b); }
static inline vb vb_and(vb a, vb b) { return _mm256_and_si256(a, b); }
static inline vb vb_or(vb a, vb b) { return _mm256_or_si256(a, b); }
static inline vb vb_high_nibbles(vb a) {
    return _mm256_and_si256(_mm256_srli_epi16(a, 4), vb_set1(15));
}
static inline vb vb_half_up(vb a) { /* (a + 1) / 2 */
    return _mm256_avg_epu8(a, _mm256_setzero_si256());
}
/* mask: 2^n - 1 */
static inline bool vb_any_above(vb a, uint8_t mask) {
    return !_mm256_testc_si256(vb_set1(mask), a);
}
static inline uint8_t vb_or_lanes(vb a) {
    __m128i x = _mm_or_si128(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    uint64_t y = (uint64_t)_mm_cvtsi128_si64(x) | (uint64_t)_mm_extract_epi64(x, 1);
    y |= y >> 32;
    y |= y >> 16;
    return (uint8_t)(y | y >> 8);
}
static inline uint64_t vb_sum(vb a) {
    __m256i s = _mm256_sad_epu8(a, _mm256_setzero_si256());
    __m128i t = _mm_add_epi64(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
    return (uint64_t)_mm_cvtsi128_si64(t) + (uint64_t)_mm_extract_epi64(t, 1);
}

/* Byte shuffles: the first w of every eight bytes; row w - 1. */
extern const uint8_t avx2_close[7][16];

/* What packing narrow ranks takes (fixed.h); w is 1 to 7. Packed vectors are loaded from and stored
 * to at most W_REACH bytes, whatever they use of them. */
#define W_PACK 1
#define W_REACH 32

static inline void vb_store(uint8_t *p, vb a) { _mm256_storeu_si256((__m256i *)(void *)p, a); }
static inline vb vb_set32(uint32_t a) { return _mm256_set1_epi32((int)a); }
static inline vb vb_set64(uint64_t a) { return _mm256_set1_epi64x((long long)a); }
static inline vb vb_xor(vb a, vb b) { return _mm256_xor_si256(a, b); }
static inline vb vb_max(vb a, vb b) { return _mm256_max_epu8(a, b); }
static inline vb vb_abs(vb a) { return _mm256_abs_epi8(a); }
static inline vb vb_positive(vb a) { /* as signed bytes: all ones if above 0 */
    return _mm256_cmpgt_epi8(a, _mm256_setzero_si256());
}
static inline vb vb_srl64(vb a, unsigned n) {
    return _mm256_srl_epi64(a, _mm_cvtsi32_si128((int)n));
}
static inline vb vb_merge(vb mask, vb a, vb b) { /* bits of a where mask has them, else of b */
    return _mm256_or_si256(_mm256_and_si256(mask, a), _mm256_andnot_si256(mask, b));
}
/* Neighbours close up: bytes below 2^w to 2 w bits of every 16, and those to 4 w bits of every 32.
 */
static inline vb vb_pairs(vb a, unsigned w) {
    return _mm256_maddubs_epi16(_mm256_set1_epi16((short)(1 | 256 << w)), a);
}
static inline vb vb_fours(vb a, unsigned w) {
    return _mm256_madd_epi16(a, _mm256_set1_epi32(1 | 65536 << (2 * w)));
}
/* W_BYTES indices as signed bytes, and back. */
static inline vb vb_narrow(const int16_t *k) {
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)k);
    __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(k + 16));
    return _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xD8);
}
static inline void vb_store_wide(int16_t *k, vb a) {
    __m256i low = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(a));
    __m256i high = _mm256_cvtepi8_epi16(_mm256_extracti128_si256(a, 1));
    _mm256_storeu_si256((__m256i *)(void *)k, low);
    _mm256_storeu_si256((__m256i *)(void *)(k + 16), high);
}
/* The first w bytes of every eight, one behind the other, and back. */
static inline void vb_store_close(uint8_t *p, vb a, unsigned w) {
    const __m128i order = _mm_loadu_si128((const __m128i *)(const void *)avx2_close[w - 1]);
    __m256i x = _mm256_shuffle_epi8(a, _mm256_broadcastsi128_si256(order));
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(x));
    _mm_storeu_si128((__m128i *)(void *)(p + 2 * w), _mm256_extracti128_si256(x, 1));
}
static inline vb vb_load_spread(const uint8_t *p, unsigned w) {
    const __m128i order =
        _mm_set_epi64x(0x0706050403020100 + (long long)w * 0x0101010101010101, 0x0706050403020100);
    __m128i low = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(p + 2 * w));
    return _mm256_shuffle_epi8(_mm256_set_m128i(high, low), _mm256_broadcastsi128_si256(order));
}
/* The low 8 w bits of every 64, in fields of w bits, to a byte each. */
static inline vb avx2_part(vb a, unsigned bits, unsigned of) { /* two fields, `of` bits apart */
    const uint64_t low = ((1ULL << bits) - 1) * (of == 32   ? 1
                                                 : of == 16 ? 0x100000001
                                                            : 0x1000100010001);
    __m256i moved = _mm256_sll_epi64(a, _mm_cvtsi32_si128((int)(of - bits)));
    return _mm256_or_si256(_mm256_and_si256(a, _mm256_set1_epi64x((long long)low)),
                           _mm256_and_si256(moved, _mm256_set1_epi64x((long long)(low << of))));
}
static inline vb vb_fields(vb a, unsigned w) {
    return avx2_part(avx2_part(avx2_part(a, 4 * w, 32), 2 * w, 16), w, 8);
}

#define W_PACK_HALVES 1 /* the same for ranks of 8 to 16 bits: 4 w bits lie in every 64 */

/* The same register as bytes, and back. */
static inline vb vh_bytes(vh a) { return a; }
static inline vh vh_of_bytes(vb a) { return a; }
static inline vh vh_max(vh a, vh b) { return _mm256_max_epu16(a, b); }
static inline void vh_store_close(uint8_t *p, vb a, unsigned w) { /* 8 w bits of every 128 */
    const __m128i down = _mm_set_epi64x(64 - 4 * (long long)w, 0);
    const __m128i up = _mm_set_epi64x(64, 4 * (long long)w);
    __m256i x = _mm256_or_si256(
        _mm256_srlv_epi64(a, _mm256_broadcastsi128_si256(down)),
        _mm256_sllv_epi64(_mm256_shuffle_epi32(a, 0x4E), _mm256_broadcastsi128_si256(up)));
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(x));
    _mm_storeu_si128((__m128i *)(void *)(p + w), _mm256_extracti128_si256(x, 1));
}
static inline vb vh_load_spread(const uint8_t *p, unsigned w) {
    const __m128i order = _mm_set_epi64x(
        0x0706050403020100 + (long long)(w / 2) * 0x0101010101010101, 0x0706050403020100);
    __m128i low = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(p + w));
    return _mm256_shuffle_epi8(_mm256_set_m128i(high, low), _mm256_broadcastsi128_si256(order));
}
/* The second four of eight ranks start in the middle of a byte where w is odd. */
static inline vh vh_fields(vb a, unsigned w) {
    const __m128i start = _mm_set_epi64x(4 * (long long)(w & 1), 0);
    a = _mm256_srlv_epi64(a, _mm256_broadcastsi128_si256(start));
    return avx2_part(avx2_part(a, 2 * w, 32), w, 16);
}

#include "simd/partial.h"

#endif
