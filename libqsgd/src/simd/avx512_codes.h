/* More of the vocabulary of sixteen lanes, for the coders: tables in registers, checksums, words of
 * rANS, bits of prefix codes and of tokens. Meanings: simd/scalar.h, simd/avx2_codes.h. */
#ifndef QSGD_SIMD_AVX512_CODES_H
#define QSGD_SIMD_AVX512_CODES_H

#include "simd/avx512_bytes.h"

#define W_TABLE 64

typedef struct {
    __m512i part[4];
} vt;
static inline vt vt_load(const uint32_t *p, const int size) {
    vt t;
    for (int i = 0; i < 4; i++) t.part[i] = vu_load(p + (16 * i < size ? 16 * i : 0));
    return t;
}
static inline vu vt_at(const vt *t, vu i, const int size) {
    if (size == 16) return _mm512_permutexvar_epi32(i, t->part[0]);
    vu low = _mm512_permutex2var_epi32(t->part[0], i, t->part[1]);
    if (size == 32) return low;
    vu high = _mm512_permutex2var_epi32(t->part[2], i, t->part[3]);
    return _mm512_mask_blend_epi32(_mm512_test_epi32_mask(i, _mm512_set1_epi32(32)), low, high);
}

#define W_SLOTS 1 /* vs: look-ups in tables of 2^8 to 2^10 bytes */

static inline __m512i vs_pair(const uint8_t *t, int pair, __m512i i) {
    return _mm512_permutex2var_epi8(vb_load(t + 128 * pair), i, vb_load(t + 128 * pair + 64));
}
/* Of 256 slots, by the low seven bits of every byte of i, and bit 7 as a mask. */
static inline __m512i vs_256(const uint8_t *t, int pair, __m512i i, __mmask64 bit7) {
    return _mm512_mask_blend_epi8(bit7, vs_pair(t, pair, i), vs_pair(t, pair + 1, i));
}
static inline __m512i vs_512(const uint8_t *t, int pair, __m512i i, __mmask64 bit7,
                             __mmask64 bit8) {
    return _mm512_mask_blend_epi8(bit8, vs_256(t, pair, i, bit7), vs_256(t, pair + 2, i, bit7));
}
/* The byte that each lane's low `bits` bits, 8 to 10, name; what is above it in the lane is open.
 */
static inline vu vs_at(const uint8_t *t, vu x, const int bits) {
    const __mmask64 bit7 = _mm512_movepi8_mask(x);
    if (bits == 8) return vs_256(t, 0, x, bit7);
    const __mmask64 bit8 = _mm512_movepi8_mask(_mm512_srli_epi32(x, 1));
    const __m512i low = vs_512(t, 0, x, bit7, bit8);
    if (bits == 9) return low;
    const __mmask64 bit9 = _mm512_movepi8_mask(_mm512_srli_epi32(x, 2));
    return _mm512_mask_blend_epi8(bit9, low, vs_512(t, 4, x, bit7, bit8));
}
/* As vs_at of four vectors at once: the j-th byte of a lane is that of x[j]. A quarter of the
 * permutations, but later. */
static inline vu vs_at4(const uint8_t *t, const vu x[4], const int bits) {
    const __m512i low16 = _mm512_set1_epi32(0xFFFF), low8 = _mm512_set1_epi32(0x00FF00FF);
    const __m512i a = vb_merge(low16, x[0], _mm512_slli_epi32(x[2], 16));
    const __m512i b = vb_merge(low16, x[1], _mm512_slli_epi32(x[3], 16));
    const __m512i i = vb_merge(low8, a, _mm512_slli_epi32(b, 8));
    const __mmask64 bit7 = _mm512_movepi8_mask(i);
    if (bits == 8) return vs_256(t, 0, i, bit7);
    const __m512i i8 = vb_merge(low8, _mm512_srli_epi32(a, 1), _mm512_slli_epi32(b, 7));
    const __mmask64 bit8 = _mm512_movepi8_mask(i8);
    const __m512i low = vs_512(t, 0, i, bit7, bit8);
    if (bits == 9) return low;
    const __m512i i9 = vb_merge(low8, _mm512_srli_epi32(a, 2), _mm512_slli_epi32(b, 6));
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(i9), low, vs_512(t, 4, i, bit7, bit8));
}
/* 64 bytes: the first bytes of all lanes, then the second ones, and so on. */
static inline void vu_store_bytes4(uint8_t *p, vu a) {
    const __m128i row = _mm_setr_epi8(0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60);
    const __m512i byte =
        _mm512_set_epi64(0x0303030303030303, 0x0303030303030303, 0x0202020202020202,
                         0x0202020202020202, 0x0101010101010101, 0x0101010101010101, 0, 0);
    const __m512i order = _mm512_add_epi8(_mm512_broadcast_i32x4(row), byte);
    _mm512_storeu_si512(p, _mm512_permutexvar_epi8(order, a));
}

#define W_CRC 1

static inline uint64_t vu_crc64(uint64_t crc, uint64_t word) { return _mm_crc32_u64(crc, word); }
static inline uint32_t vu_crc8(uint32_t crc, uint8_t byte) { return _mm_crc32_u8(crc, byte); }

#define W_FOLD 64 /* vc: that many bytes, multiplied without carry */

typedef __m512i vc;
/* vc_low: a, then zeros. vc_pair: two halves of 64 bits, in every 128. */
static inline vc vc_load(const uint8_t *p) { return _mm512_loadu_si512(p); }
static inline void vc_store(uint8_t *p, vc a) { _mm512_storeu_si512(p, a); }
static inline vc vc_low(uint32_t a) { return _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)a)); }
static inline vc vc_pair(uint64_t first, uint64_t second) {
    return _mm512_broadcast_i64x2(_mm_set_epi64x((long long)second, (long long)first));
}
static inline vc vc_xor(vc a, vc b) { return _mm512_xor_si512(a, b); }
/* b plus the first half of every 16 bytes times that of `by`, plus the second times the second. */
static inline vc vc_fold(vc a, vc by, vc b) {
    return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(a, by, 0x00),
                                     _mm512_clmulepi64_epi128(a, by, 0x11), b, 0x96);
}

#define W_RENORM 1

/* From entry c on: sixteen words rotated up by 16 - c: the first c words, packed, go to the top. */
extern const uint16_t avx512_rotate[32];

/* The words of set lanes go to the top of sixteen, which are stored whole: a masked store would
 * cost more than overwriting what is free anyway. */
static inline void vu_push_words(uint16_t **words, vu a, vm mask) {
    const unsigned count = (unsigned)_mm_popcnt_u32(mask);
    const __m256i rotate = _mm256_loadu_si256((const __m256i *)(avx512_rotate + count));
    __m256i packed = _mm256_maskz_compress_epi16(mask, _mm512_cvtepi32_epi16(a));
    packed = _mm256_permutexvar_epi16(rotate, packed);
    _mm256_storeu_si256((__m256i *)(void *)(*words - 16), packed);
    *words -= count;
}
static inline vu vu_pull_words(const uint8_t **words, const uint8_t *const *ends, vu a, vm mask) {
    (void)ends;
    __m256i next = _mm256_loadu_si256((const __m256i *)(const void *)*words);
    __m512i placed = _mm512_maskz_expand_epi32(mask, _mm512_cvtepu16_epi32(next));
    *words += 2 * (size_t)_mm_popcnt_u32(mask);
    return _mm512_mask_or_epi32(a, mask, _mm512_slli_epi32(a, 16), placed);
}

#define W_MERGE 1

typedef __m512i vq;
/* Bytes of a and b by turns, from the low (high) half of every 128 bits. */
static inline vu vb_zip_low(vb a, vb b) { return _mm512_unpacklo_epi8(a, b); }
static inline vu vb_zip_high(vb a, vb b) { return _mm512_unpackhi_epi8(a, b); }
static inline vu vu_sllv(vu a, vu n) { return _mm512_sllv_epi32(a, n); }
static inline vq vq_of(vu a) { return a; }
static inline vq vq_low(vq a) { return _mm512_and_si512(a, _mm512_set1_epi64(0xFFFFFFFF)); }
static inline vq vq_high(vq a) { return _mm512_srli_epi64(a, 32); }
static inline vq vq_or(vq a, vq b) { return _mm512_or_si512(a, b); }
static inline vq vq_add(vq a, vq b) { return _mm512_add_epi64(a, b); }
static inline vq vq_sllv(vq a, vq n) { return _mm512_sllv_epi64(a, n); }
static inline vq vq_zip_low(vq a, vq b) { return _mm512_unpacklo_epi64(a, b); }
static inline vq vq_zip_high(vq a, vq b) { return _mm512_unpackhi_epi64(a, b); }
static inline bool vq_any_above(vq a, int limit) {
    return _mm512_cmpgt_epi64_mask(a, _mm512_set1_epi64(limit)) != 0;
}
static inline void vq_store(uint64_t *p, vq a) { _mm512_storeu_si512(p, a); }
static inline vq vq_sum8(vb a) { return _mm512_sad_epu8(a, _mm512_setzero_si512()); }
static inline uint64_t vq_total(vq a) { return (uint64_t)_mm512_reduce_add_epi64(a); }

static inline vb vb_lookup(const uint8_t table[256], unsigned rows, vb i) {
    if (rows <= 4) return _mm512_permutexvar_epi8(i, vb_load(table));
    vb low = _mm512_permutex2var_epi8(vb_load(table), i, vb_load(table + 64));
    if (rows <= 8) return low;
    vb high = _mm512_permutex2var_epi8(vb_load(table + 128), i, vb_load(table + 192));
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(i), low, high);
}
static inline void vb_lookup3(const uint8_t table[3][256], unsigned rows, vb i, vb found[3]) {
    for (int t = 0; t < 3; t++) found[t] = vb_lookup(table[t], rows, i);
}

#define W_EXTRA 1

static inline vb vb_extra_widths(vb token) {
    const __mmask64 has = _mm512_cmpgt_epu8_mask(token, vb_set1(14));
    __m512i quarters = _mm512_srli_epi16(_mm512_sub_epi8(token, vb_set1(7)), 2);
    return _mm512_and_si512(_mm512_maskz_mov_epi8(has, quarters), vb_set1(63));
}
static inline bool vb_any_reaches(vb a, uint8_t least) {
    return _mm512_cmpge_epu8_mask(a, vb_set1(least)) != 0;
}
static inline vb vb_running16(vb a) {
    a = _mm512_add_epi8(a, _mm512_bslli_epi128(a, 1));
    a = _mm512_add_epi8(a, _mm512_bslli_epi128(a, 2));
    a = _mm512_add_epi8(a, _mm512_bslli_epi128(a, 4));
    return _mm512_add_epi8(a, _mm512_bslli_epi128(a, 8));
}
static inline void vb_row_ends(vb a, unsigned ends[4]) {
    ends[0] = (unsigned)_mm_extract_epi8(_mm512_castsi512_si128(a), 15);
    ends[1] = (unsigned)_mm_extract_epi8(_mm512_extracti32x4_epi32(a, 1), 15);
    ends[2] = (unsigned)_mm_extract_epi8(_mm512_extracti32x4_epi32(a, 2), 15);
    ends[3] = (unsigned)_mm_extract_epi8(_mm512_extracti32x4_epi32(a, 3), 15);
}
static inline vh vh_starts(vb starts, const unsigned ends[4], int half) {
    __m256i bytes =
        half == 0 ? _mm512_castsi512_si256(starts) : _mm512_extracti64x4_epi64(starts, 1);
    __m512i at = _mm512_cvtepu8_epi16(bytes);
    return _mm512_mask_add_epi16(at, 0xFFFF0000, at, _mm512_set1_epi16((short)ends[2 * half]));
}
/* 64 bytes at p are read. */
static inline vh vh_bits_at(const uint8_t *p, vh at) {
    const __m512i bytes = _mm512_loadu_si512(p), twice = _mm512_set1_epi16(0x0101);
    __m512i low = _mm512_mullo_epi16(_mm512_srli_epi16(at, 3), twice);
    low = _mm512_add_epi8(low, _mm512_set1_epi16(0x0100));
    __m512i high = _mm512_add_epi8(low, _mm512_set1_epi16(0x0202));
    return _mm512_shrdv_epi16(_mm512_permutexvar_epi8(low, bytes),
                              _mm512_permutexvar_epi8(high, bytes),
                              _mm512_and_si512(at, _mm512_set1_epi16(7)));
}
static inline vh vh_power(vh a) { return _mm512_sllv_epi16(_mm512_set1_epi16(1), a); }
static inline vu vu_of_halves(vh a) { return a; }

#define W_WIDE_TABLES 1 /* 256 bytes by vb_lookup, 64 words */

static inline vh vh_word_of(const uint16_t table[64], vh i) {
    return _mm512_permutex2var_epi16(_mm512_loadu_si512(table), i, _mm512_loadu_si512(table + 32));
}
static inline vh vh_merge(vh mask, vh a, vh b) {
    return _mm512_ternarylogic_epi32(mask, a, b, 0xCA);
}

#define W_COMPRESS 1

/* Halves of a where `has` is all ones, one behind the other; W_HALVES are written. */
static inline size_t vh_store_compressed(int16_t *p, vh a, vh has) {
    const __mmask32 mask = _mm512_movepi16_mask(has);
    _mm512_storeu_si512(p, _mm512_maskz_compress_epi16(mask, a));
    return (size_t)_mm_popcnt_u32(mask);
}

#endif
