/* More of the vocabulary of eight lanes, for the coders: tables in registers, checksums, words of
 * rANS, bits of prefix codes and of tokens. Meanings: simd/scalar.h names the blocks. */
#ifndef QSGD_SIMD_AVX2_CODES_H
#define QSGD_SIMD_AVX2_CODES_H

#include "simd/avx2_bytes.h"

#define W_TABLE 16 /* vt: a table of that many numbers, held in registers */

typedef struct {
    __m256i low, high;
} vt;
/* size: 16, 32 or 64, but not above W_TABLE. Bits of i above log2(size) are ignored. */
static inline vt vt_load(const uint32_t *p, int size) {
    (void)size;
    return (vt){vu_load(p), vu_load(p + 8)};
}
static inline vu vt_at(const vt *t, vu i, int size) {
    (void)size;
    __m256i low = _mm256_permutevar8x32_epi32(t->low, i);
    __m256i high = _mm256_permutevar8x32_epi32(t->high, i);
    __m256i upper = _mm256_slli_epi32(i, 28); /* bit 3 to the sign, which blendv looks at */
    return _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high),
                                                _mm256_castsi256_ps(upper)));
}

#define W_CRC 1 /* CRC-32C: SSE 4.2, part of every CPU with AVX2 */

/* The remainder after eight bytes more, or one. */
static inline uint64_t vu_crc64(uint64_t crc, uint64_t word) { return _mm_crc32_u64(crc, word); }
static inline uint32_t vu_crc8(uint32_t crc, uint8_t byte) { return _mm_crc32_u8(crc, byte); }
static inline uint64_t vu_clmul(uint32_t a, uint32_t b) { /* product without carry */
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)a), _mm_cvtsi32_si128((int)b), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

/* ---- rANS renormalisation: lanes that need a word exchange one with memory ------------------ */

#define W_RENORM 1

/* Byte shuffles of eight 16-bit words, by the set of lanes that exchange one.
 * pull: lane l reads the (number of set lanes below l)-th word. */
extern const uint8_t avx2_pull[256][16];
/* push: the words of the set lanes, in order, at the top. */
extern const uint8_t avx2_push[256][16];

static inline __m128i avx2_row(const uint8_t *row) {
    return _mm_load_si128((const __m128i *)(const void *)row);
}
/* Lanes share streams of words by sixteens: words[g] is that of lanes 16 g .. 16 g + 15, which
 * grows down when pushed to. Writes the low halves of the lanes in `mask` below it, in lane order.
 * As many entries as there are lanes may be overwritten below. */
static inline void vu_push_words(uint16_t **words, vu a, vm mask) {
    const __m256i low_words =
        _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 4, 5, 8, 9,
                         12, 13, -1, -1, -1, -1, -1, -1, -1, -1);
    unsigned m = avx2_bits(mask);
    __m256i halves = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(a, low_words), 0xD8);
    __m128i top = _mm_shuffle_epi8(_mm256_castsi256_si128(halves), avx2_row(avx2_push[m]));
    _mm_storeu_si128((__m128i *)(void *)(*words - 8), top);
    *words -= (size_t)_mm_popcnt_u64(m);
}
/* Lanes in `mask` become a << 16 | next word of words[g], which move on. 2 W bytes are read from
 * there, whatever ends[g] is, but not by a warp: beyond it the words are 0. */
static inline vu vu_pull_words(const uint8_t **words, const uint8_t *const *ends, vu a, vm mask) {
    (void)ends;
    unsigned m = avx2_bits(mask);
    __m128i next = _mm_loadu_si128((const __m128i *)(const void *)*words);
    __m256i placed = _mm256_cvtepu16_epi32(_mm_shuffle_epi8(next, avx2_row(avx2_pull[m])));
    *words += 2 * (size_t)_mm_popcnt_u64(m);
    const __m256i grown = _mm256_or_si256(_mm256_slli_epi32(a, 16), placed);
    return _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(grown),
                                                _mm256_castsi256_ps(mask)));
}

#define W_STARTS 1 /* slots of eight bits to tokens by comparing them with where tokens start */

/* The lowest byte of each lane of four vectors, in an order of their own. */
static inline vb vb_low_bytes(const vu x[4]) {
    const __m256i low = _mm256_set1_epi32(0xFF);
    const __m256i a = _mm256_packus_epi32(_mm256_and_si256(x[0], low), _mm256_and_si256(x[1], low));
    const __m256i b = _mm256_packus_epi32(_mm256_and_si256(x[2], low), _mm256_and_si256(x[3], low));
    return _mm256_packus_epi16(a, b);
}
/* Back to lanes. */
static inline void vb_to_lanes(vb a, vu x[4]) {
    const __m256i zero = _mm256_setzero_si256();
    const __m256i low = _mm256_unpacklo_epi8(a, zero), high = _mm256_unpackhi_epi8(a, zero);
    x[0] = _mm256_unpacklo_epi16(low, zero);
    x[1] = _mm256_unpackhi_epi16(low, zero);
    x[2] = _mm256_unpacklo_epi16(high, zero);
    x[3] = _mm256_unpackhi_epi16(high, zero);
}
/* To memory in the lanes' order. */
static inline void vb_store_lanes(uint8_t *p, vb a) {
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    vb_store(p, _mm256_permutevar8x32_epi32(a, order));
}
/* All ones where a > b, of signed bytes. */
static inline vb vb_greater(vb a, vb b) { return _mm256_cmpgt_epi8(a, b); }

/* ---- prefix codes: bytes by table, neighbours joined by shifts ------------------------------ */

#define W_MERGE 1 /* vq: W / 2 lanes of 64 bits */

typedef __m256i vq;
/* Bytes of a and b by turns, from the low (high) half of every 128 bits. */
static inline vu vb_zip_low(vb a, vb b) { return _mm256_unpacklo_epi8(a, b); }
static inline vu vb_zip_high(vb a, vb b) { return _mm256_unpackhi_epi8(a, b); }
/* n <= 31, lane by lane */
static inline vu vu_sllv(vu a, vu n) { return _mm256_sllv_epi32(a, n); }
static inline vq vq_of(vu a) { return a; }
/* Halves of each lane. */
static inline vq vq_low(vq a) { return _mm256_and_si256(a, _mm256_set1_epi64x(0xFFFFFFFF)); }
static inline vq vq_high(vq a) { return _mm256_srli_epi64(a, 32); }
static inline vq vq_or(vq a, vq b) { return _mm256_or_si256(a, b); }
static inline vq vq_add(vq a, vq b) { return _mm256_add_epi64(a, b); }
/* n <= 64 */
static inline vq vq_sllv(vq a, vq n) { return _mm256_sllv_epi64(a, n); }
/* Lanes of a and b by turns, from the low (high) half of every 128 bits. */
static inline vq vq_zip_low(vq a, vq b) { return _mm256_unpacklo_epi64(a, b); }
static inline vq vq_zip_high(vq a, vq b) { return _mm256_unpackhi_epi64(a, b); }
static inline bool vq_any_above(vq a, int limit) { /* below 2^31 */
    __m256i above = _mm256_cmpgt_epi32(a, _mm256_set1_epi64x(limit));
    return !_mm256_testz_si256(above, above);
}
static inline void vq_store(uint64_t *p, vq a) { _mm256_storeu_si256((__m256i *)(void *)p, a); }
/* Sums of eight bytes each. */
static inline vq vq_sum8(vb a) { return _mm256_sad_epu8(a, _mm256_setzero_si256()); }
static inline uint64_t vq_total(vq a) {
    __m128i t = _mm_add_epi64(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    return (uint64_t)_mm_cvtsi128_si64(t) + (uint64_t)_mm_extract_epi64(t, 1);
}

/* Rows of 16 bytes. A byte of i in another row gets its top bit set, for which pshufb yields 0. */
static inline __m256i avx2_in_row(vb i, unsigned row) {
    __m256i rest = _mm256_xor_si256(i, _mm256_set1_epi8((char)(16 * row)));
    return _mm256_adds_epu8(rest, _mm256_set1_epi8(0x70));
}
static inline __m256i avx2_byte_row(const uint8_t *table, unsigned row) {
    const void *p = table + 16 * row;
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)p));
}
/* table[i], where all i are below 16 * rows. */
static inline vb vb_lookup(const uint8_t table[256], unsigned rows, vb i) {
    __m256i found = _mm256_shuffle_epi8(avx2_byte_row(table, 0), avx2_in_row(i, 0));
    for (unsigned row = 1; row < rows; row++) {
        __m256i at = avx2_in_row(i, row);
        found = _mm256_or_si256(found, _mm256_shuffle_epi8(avx2_byte_row(table, row), at));
    }
    return found;
}
/* The same in three tables. */
static inline void vb_lookup3(const uint8_t table[3][256], unsigned rows, vb i, vb found[3]) {
    __m256i at = avx2_in_row(i, 0);
    for (int t = 0; t < 3; t++) found[t] = _mm256_shuffle_epi8(avx2_byte_row(table[t], 0), at);
    for (unsigned row = 1; row < rows; row++) {
        at = avx2_in_row(i, row);
        for (int t = 0; t < 3; t++) {
            __m256i more = _mm256_shuffle_epi8(avx2_byte_row(table[t], row), at);
            found[t] = _mm256_or_si256(found[t], more);
        }
    }
}

/* ---- extra bits of tokens (extra_bits.h) ---------------------------------------------------- */

#define W_EXTRA 1

/* Extra bits of each token below 64. */
static inline vb vb_extra_widths(vb token) {
    __m256i has = _mm256_cmpgt_epi8(token, vb_set1(14));
    __m256i quarters = _mm256_srli_epi16(_mm256_sub_epi8(token, vb_set1(7)), 2);
    return _mm256_and_si256(_mm256_and_si256(quarters, has), vb_set1(63));
}
static inline bool vb_any_reaches(vb a, uint8_t least) { /* both below 128 */
    return _mm256_movemask_epi8(_mm256_cmpgt_epi8(a, vb_set1((uint8_t)(least - 1)))) != 0;
}
/* Running sums within every 16 bytes. */
static inline vb vb_running16(vb a) {
    a = _mm256_add_epi8(a, _mm256_bslli_epi128(a, 1));
    a = _mm256_add_epi8(a, _mm256_bslli_epi128(a, 2));
    a = _mm256_add_epi8(a, _mm256_bslli_epi128(a, 4));
    return _mm256_add_epi8(a, _mm256_bslli_epi128(a, 8));
}
/* The last byte of every 16. */
static inline void vb_row_ends(vb a, unsigned ends[2]) {
    ends[0] = (unsigned)_mm256_extract_epi8(a, 15);
    ends[1] = (unsigned)_mm256_extract_epi8(a, 31);
}
/* Where the extra bits start of one half's elements, from where the half's do: starts are those
 * within every 16 bytes, which end at `ends`. */
static inline vh vh_starts(vb starts, const unsigned ends[2], int half) {
    (void)ends;
    return _mm256_cvtepu8_epi16(half == 0 ? _mm256_castsi256_si128(starts)
                                          : _mm256_extracti128_si256(starts, 1));
}
/* Of eight elements, whose bits lie in 16 bytes from the first one's on. */
static inline __m256i avx2_bits_at(const uint8_t *p, __m128i at) {
    const __m256i four = _mm256_set1_epi32(0x03020100);
    const __m256i lowest = _mm256_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12, 0,
                                            0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
    const __m128i whole = _mm_and_si128(_mm_broadcastw_epi16(at), _mm_set1_epi16(-8));
    const uint8_t *first = p + ((unsigned)_mm_cvtsi128_si32(whole) >> 3 & 0x1FFF);
    __m256i bytes =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)first));
    __m256i bit = _mm256_cvtepu16_epi32(_mm_sub_epi16(at, whole));
    __m256i order = _mm256_add_epi8(_mm256_shuffle_epi8(_mm256_srli_epi32(bit, 3), lowest), four);
    __m256i words = _mm256_shuffle_epi8(bytes, order);
    words = _mm256_srlv_epi32(words, _mm256_and_si256(bit, _mm256_set1_epi32(7)));
    return _mm256_and_si256(words, _mm256_set1_epi32(0xFFFF));
}
/* Sixteen bits each from bit `at` of p on, ascending, less than 14 apart: 16 bytes from at[8] / 8
 * on are read. */
static inline vh vh_bits_at(const uint8_t *p, vh at) {
    __m256i low = avx2_bits_at(p, _mm256_castsi256_si128(at));
    __m256i high = avx2_bits_at(p, _mm256_extracti128_si256(at, 1));
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xD8);
}
/* 2^a, for a < 16: its bytes by table. */
static inline vh vh_power(vh a) {
    const __m256i low = _mm256_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2,
                                         4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m256i high = _mm256_permute4x64_epi64(low, 0xB1);
    const __m256i none = _mm256_set1_epi16((short)0x8000);
    __m256i first = _mm256_shuffle_epi8(low, _mm256_or_si256(a, none));
    __m256i second = _mm256_shuffle_epi8(
        high, _mm256_or_si256(_mm256_slli_epi16(a, 8), _mm256_srli_epi16(none, 8)));
    return _mm256_or_si256(first, second);
}
static inline vu vu_of_halves(vh a) { return a; }

#endif
