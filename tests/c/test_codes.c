/* Tests of the integer codes of chunks except rANS: fixed, Elias, Rice and Huffman.
 * They reach below the public interface: link the static library. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "codes_support.h"
#include "level_sets.h"
#include "splitmix.h"

#define LONGEST 5000 /* elements of the largest chunk here */

/* ---- what the tests share ------------------------------------------------------------------- */

static const int32_t all_codes[] = {
    QSGD_CODE_FIXED,
    QSGD_CODE_ELIAS_GAMMA,
    QSGD_CODE_ELIAS_DELTA,
    QSGD_CODE_ELIAS_OMEGA,
    QSGD_CODE_ELIAS_GAMMA_SPARSE,
    QSGD_CODE_ELIAS_DELTA_SPARSE,
    QSGD_CODE_ELIAS_OMEGA_SPARSE,
    QSGD_CODE_RICE_SPARSE,
    QSGD_CODE_HUFFMAN,
};
#define CODES (sizeof all_codes / sizeof *all_codes)

static bool legal(int32_t code, const struct levels *levels) {
    return !code_find(code)->sparse || (levels->zero && levels->kind != QSGD_LEVELS_SIGNED);
}

/* One of the sets above that the code may have. */
static void random_levels(int32_t code, struct levels *levels) {
    do {
        size_t set = (size_t)random_below(LEVEL_SETS);
        build_levels(levels, level_sets[set].kind, level_sets[set].count, level_sets[set].zero);
    } while (!legal(code, levels));
}

/* Level indices of one of five characters: all levels alike, small, sparse, extreme, constant. */
static void random_indices(const struct levels *levels, int character, int16_t *k, size_t len) {
    int32_t span = levels->kmax - levels->kmin + 1;
    for (size_t i = 0; i < len; i++) {
        int32_t value = levels->kmin + (int32_t)random_below((uint64_t)span);
        if (character == 1) value = (int32_t)random_below(5) - 2;
        if (character == 2 && random_below(20) != 0) value = 0;
        if (character == 3) value = random_below(2) != 0 ? levels->kmin : levels->kmax;
        if (character == 4) value = levels->kmax;
        k[i] = (int16_t)(levels_has(levels, value) ? value : levels->idle);
    }
}

/* ---- payloads by hand ------------------------------------------------------------------------ */

static void check_payload(int32_t code, const struct levels *levels, const int16_t *k, size_t len,
                          size_t segment, const uint8_t *expected, size_t bytes) {
    struct code_chunk chunk = make_chunk(levels, code, len, segment);
    struct code_plan plan;
    uint8_t dst[64] = {0};
    code_find(code)->plan(&chunk, k, &plan);
    CHECK(code_find(code)->write(&chunk, k, &plan, dst, sizeof dst) == bytes);
    CHECK(memcmp(dst, expected, bytes) == 0);
}

#define CHECK_PAYLOAD(code, levels, k, segment, ...)                                               \
    do {                                                                                           \
        const uint8_t expected[] = {__VA_ARGS__};                                                  \
        check_payload(code, levels, k, sizeof k / sizeof *k, segment, expected, sizeof expected);  \
    } while (0)

static void test_small_payloads_are_those_worked_out_by_hand(void) {
    struct levels levels;
    build_levels(&levels, QSGD_LEVELS_UNIFORM, 3, 1);
    const int16_t k[] = {0, 1, -2, 0, 0, 3};
    /* ranks 0 1 4 0 0 5 of 3 bits, lowest first */
    CHECK_PAYLOAD(QSGD_CODE_FIXED, &levels, k, 6, 0x08, 0x81, 0x02);
    /* 1 010.0 011.1 1 | 1 1 00100.0; segments of 4 and 2 elements */
    CHECK_PAYLOAD(QSGD_CODE_ELIAS_GAMMA, &levels, k, 4, 1, 2, 1, 0xA3, 0xC0, 0x90);
    /* per segment: count, then gap.sign.magnitude; 011 010.0.1 1.1.010 | 010 010.0.011 */
    CHECK_PAYLOAD(QSGD_CODE_ELIAS_GAMMA_SPARSE, &levels, k, 4, 0x69, 0xD2, 0x46);
    /* u = 0, so rho is 0 or 1; the gaps take 6 bits with 0, 7 with 1: 00000, delta(4) 01100, then
     * 01.0.1 1.1.010 001.0.011 */
    CHECK_PAYLOAD(QSGD_CODE_RICE_SPARSE, &levels, k, 6, 0x03, 0x17, 0x44, 0xC0);
    /* tokens 0 1 4 0 0 5: 1 and 4 join, then 5 and that sum, then 0: lengths 1 3 0 0 3 2;
     * codewords 0, 5: 10, 1: 110, 4: 111; table 5, then nibbles; stream 0 110 111 0 0 10 */
    CHECK_PAYLOAD(QSGD_CODE_HUFFMAN, &levels, k, 6, 0x45, 0x0C, 0xC0, 0x08, 1, 2, 0x6E, 0x40);
    struct levels open;
    build_levels(&open, QSGD_LEVELS_OPEN, 0, 1);
    CHECK_PAYLOAD(QSGD_CODE_FIXED, &open, k, 6, 3, 0x08, 0x81, 0x02);
    const int16_t zeros[] = {0, 0, 0};
    CHECK_PAYLOAD(QSGD_CODE_FIXED, &open, zeros, 3, 0);
    build_levels(&levels, QSGD_LEVELS_UNIFORM, 1, 1);
    const int16_t tie[] = {0, 1}; /* both rho 0 and 1 take 2 bits: 00000, delta(2), 01.0 */
    CHECK_PAYLOAD(QSGD_CODE_RICE_SPARSE, &levels, tie, 2, 0x02, 0x20);
    build_levels(&levels, QSGD_LEVELS_UNIFORM, 1, 0);
    const int16_t signs[] = {1, -1, -1};
    CHECK_PAYLOAD(QSGD_CODE_FIXED, &levels, signs, 3, 0x06);
    CHECK_PAYLOAD(QSGD_CODE_ELIAS_OMEGA, &levels, signs, 3, 1, 1, 0x14);
}

/* ---- round trips ----------------------------------------------------------------------------- */

static void check_round_trip(const struct code_chunk *chunk, const int16_t *k) {
    static uint8_t dst[8 * LONGEST + 256];
    int16_t back[LONGEST];
    const struct code *code = code_find(chunk->code);
    struct code_plan plan;
    memset(&plan, 0xA5, sizeof plan);
    code->plan(chunk, k, &plan);
    size_t bytes = code->write(chunk, k, &plan, dst, sizeof dst);
    CHECK(bytes <= sizeof dst);
    if (bytes > sizeof dst) return;
    CHECK(decode(chunk, dst, bytes, back) == QSGD_OK);
    CHECK(memcmp(k, back, chunk->len * sizeof *k) == 0);

    uint8_t *tight = malloc(bytes + (bytes == 0));
    CHECK(code->write(chunk, k, &plan, tight, bytes) == bytes);
    CHECK(memcmp(tight, dst, bytes) == 0);
    free(tight);
    if (bytes == 0) return;
    tight = malloc(bytes - 1 + (bytes == 1));
    CHECK(code->write(chunk, k, &plan, tight, bytes - 1) == SIZE_MAX);
    free(tight);

    size_t step = bytes < 64 ? 1 : bytes / 16;
    for (size_t cut = bytes % step; cut < bytes; cut += step) {
        CHECK(decode(chunk, dst, cut, back) != QSGD_OK);
    }
    CHECK(decode(chunk, dst, bytes - 1, back) != QSGD_OK);
    dst[bytes] = 0;
    CHECK(decode(chunk, dst, bytes + 1, back) != QSGD_OK);
}

static void test_every_code_round_trips_every_level_set_and_segment_size(void) {
    static const size_t segments[] = {256, 300, 1024};
    int16_t k[LONGEST];
    for (size_t set = 0; set < LEVEL_SETS; set++) {
        struct levels levels;
        build_levels(&levels, level_sets[set].kind, level_sets[set].count, level_sets[set].zero);
        for (size_t i = 0; i < CODES; i++) {
            if (!legal(all_codes[i], &levels)) continue;
            for (size_t len = 1; len <= 600; len += len < 70 ? 1 : 53) {
                struct code_chunk chunk = make_chunk(&levels, all_codes[i], len, segments[len % 3]);
                random_indices(&levels, (int)(len % 5), k, len);
                check_round_trip(&chunk, k);
            }
        }
    }
}

/* From 4096 elements on dense Elias decodes runs of codewords by table. */
static void test_long_chunks_round_trip(void) {
    static const size_t lengths[] = {4096, 4999};
    static int16_t k[LONGEST];
    for (size_t set = 0; set < LEVEL_SETS; set++) {
        struct levels levels;
        build_levels(&levels, level_sets[set].kind, level_sets[set].count, level_sets[set].zero);
        for (size_t i = 0; i < CODES; i++) {
            if (!legal(all_codes[i], &levels)) continue;
            for (size_t l = 0; l < 2; l++) {
                struct code_chunk chunk = make_chunk(&levels, all_codes[i], lengths[l], 512);
                random_indices(&levels, (int)(1 + (set + l) % 2), k, lengths[l]);
                check_round_trip(&chunk, k);
            }
        }
    }
}

static void test_rice_and_elias_carry_gaps_as_long_as_the_largest_chunk(void) {
    size_t len = (size_t)1 << 18, cap = 1 << 16;
    int16_t *k = calloc(len, sizeof *k), *back = malloc(len * sizeof *back);
    uint8_t *dst = malloc(cap);
    struct levels levels;
    build_levels(&levels, QSGD_LEVELS_UNIFORM, 1, 1);
    k[len - 1] = -1;
    for (size_t i = 0; i < CODES; i++) {
        if (!code_find(all_codes[i])->sparse) continue;
        struct code_chunk chunk = make_chunk(&levels, all_codes[i], len, len);
        struct code_plan plan;
        code_find(all_codes[i])->plan(&chunk, k, &plan);
        size_t bytes = code_find(all_codes[i])->write(&chunk, k, &plan, dst, cap);
        CHECK(bytes < 16 && decode(&chunk, dst, bytes, back) == QSGD_OK);
        CHECK(memcmp(k, back, len * sizeof *k) == 0);
    }
    free(k);
    free(back);
    free(dst);
}

/* ---- hostile bytes --------------------------------------------------------------------------- */

static void check_decodes(int32_t code, const struct levels *levels, size_t len, size_t segment,
                          qsgd_status status, const uint8_t *payload, size_t bytes) {
    struct code_chunk chunk = make_chunk(levels, code, len, segment);
    int16_t k[LONGEST];
    CHECK(decode(&chunk, payload, bytes, k) == status);
}

#define CHECK_DECODES(code, levels, len, segment, status, ...)                                     \
    do {                                                                                           \
        const uint8_t payload[] = {__VA_ARGS__};                                                   \
        check_decodes(code, levels, len, segment, status, payload, sizeof payload);                \
    } while (0)

static void test_payloads_that_section_10_forbids_are_refused_with_their_status(void) {
    const qsgd_status table = QSGD_ERR_CODE_TABLE, stream = QSGD_ERR_STREAM;
    const qsgd_status padding = QSGD_ERR_PADDING;
    struct levels open, s3, s1;
    build_levels(&open, QSGD_LEVELS_OPEN, 0, 1);
    build_levels(&s3, QSGD_LEVELS_UNIFORM, 3, 1);
    build_levels(&s1, QSGD_LEVELS_UNIFORM, 1, 1);
    /* fixed: width 17; width 3 where 1 does; rank 7 of 7; padding not zero */
    CHECK_DECODES(QSGD_CODE_FIXED, &open, 1, 1, table, 17, 0, 0, 0);
    CHECK_DECODES(QSGD_CODE_FIXED, &open, 2, 2, stream, 3, 0x01);
    CHECK_DECODES(QSGD_CODE_FIXED, &open, 1, 1, stream, 16, 0xFF, 0xFF);
    CHECK_DECODES(QSGD_CODE_FIXED, &s3, 1, 1, stream, 0x07);
    CHECK_DECODES(QSGD_CODE_FIXED, &s3, 1, 1, padding, 0x09);
    /* dense: width 0, 5, not minimal; segment past the end; bytes after it; |k| = 4; padding */
    CHECK_DECODES(QSGD_CODE_ELIAS_GAMMA, &s3, 1, 1, table, 0, 0x80);
    CHECK_DECODES(QSGD_CODE_ELIAS_GAMMA, &s3, 1, 1, table, 5, 1, 0, 0, 0, 0, 0x80);
    CHECK_DECODES(QSGD_CODE_ELIAS_GAMMA, &s3, 1, 1, table, 2, 1, 0, 0x80);
    CHECK_DECODES(QSGD_CODE_ELIAS_GAMMA, &s3, 1, 1, stream, 1, 2, 0x80);
    CHECK_DECODES(QSGD_CODE_ELIAS_GAMMA, &s3, 1, 1, padding, 1, 1, 0x80, 0);
    CHECK_DECODES(QSGD_CODE_ELIAS_GAMMA, &s3, 1, 1, padding, 1, 2, 0x80, 0);
    CHECK_DECODES(QSGD_CODE_ELIAS_GAMMA, &s3, 1, 1, padding, 1, 1, 0x81);
    CHECK_DECODES(QSGD_CODE_ELIAS_GAMMA, &s3, 1, 1, stream, 1, 1, 0x28);
    CHECK_DECODES(QSGD_CODE_ELIAS_GAMMA, &s3, 4, 4, stream, 1, 1, 0x00);
    /* sparse: count 2 of 1 element; gap 2 in 1 element; |k| = 2 of 1; a payload of no bytes */
    CHECK_DECODES(QSGD_CODE_ELIAS_GAMMA_SPARSE, &s1, 1, 1, stream, 0x6D, 0x80);
    CHECK_DECODES(QSGD_CODE_ELIAS_GAMMA_SPARSE, &s1, 1, 1, stream, 0x49, 0x00);
    CHECK_DECODES(QSGD_CODE_ELIAS_GAMMA_SPARSE, &s1, 1, 1, stream, 0x52, 0x00);
    check_decodes(QSGD_CODE_ELIAS_OMEGA_SPARSE, &s1, 1, 1, stream, (const uint8_t *)"", 0);
    /* rice: rho 25; a run past the chunk; bytes left over */
    CHECK_DECODES(QSGD_CODE_RICE_SPARSE, &s1, 9, 9, table, 0xCC);
    CHECK_DECODES(QSGD_CODE_RICE_SPARSE, &s1, 9, 9, stream, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 1);
    CHECK_DECODES(QSGD_CODE_RICE_SPARSE, &s1, 9, 9, padding, 0x04, 0x00);
    /* huffman, 2 elements: lengths 1 and 2 (incomplete), 1 1 1 (over-full), 1 1 0 (last is 0), one
     * token alone with 2 bits, 13; one alone followed by a 1; then lengths 1 1 with padding that is
     * not zero, bytes left over, and a stream that runs out */
    CHECK_DECODES(QSGD_CODE_HUFFMAN, &s3, 2, 2, table, 0x41, 0x08, 1, 1, 0x40);
    CHECK_DECODES(QSGD_CODE_HUFFMAN, &s3, 2, 2, table, 0x42, 0x44, 0x00, 1, 1, 0x40);
    CHECK_DECODES(QSGD_CODE_HUFFMAN, &s3, 2, 2, table, 0x42, 0x04, 0x00, 1, 1, 0x40);
    CHECK_DECODES(QSGD_CODE_HUFFMAN, &s3, 2, 2, table, 0x80, 0x00, 1, 1, 0x00);
    CHECK_DECODES(QSGD_CODE_HUFFMAN, &s3, 2, 2, stream, 0x40, 0x00, 1, 1, 0x40);
    CHECK_DECODES(QSGD_CODE_HUFFMAN, &s3, 2, 2, table, 0x41, 0x37, 1, 1, 0x40);
    CHECK_DECODES(QSGD_CODE_HUFFMAN, &s3, 2, 2, QSGD_OK, 0x41, 0x04, 1, 1, 0x40);
    CHECK_DECODES(QSGD_CODE_HUFFMAN, &s3, 2, 2, padding, 0x41, 0x44, 1, 1, 0x40);
    CHECK_DECODES(QSGD_CODE_HUFFMAN, &s3, 2, 2, padding, 0x41, 0x04, 1, 1, 0x60);
    CHECK_DECODES(QSGD_CODE_HUFFMAN, &s3, 2, 2, padding, 0x41, 0x04, 1, 1, 0x40, 0);
    CHECK_DECODES(QSGD_CODE_HUFFMAN, &s3, 9, 9, stream, 0x41, 0x04, 1, 1, 0x40);
    /* token 15 alone, twice: 2 extra bits each, there and missing */
    CHECK_DECODES(QSGD_CODE_HUFFMAN, &open, 2, 2, QSGD_OK, 15, 0, 0, 0, 0, 0, 0, 0, 4, 1, 1, 0, 0);
    CHECK_DECODES(QSGD_CODE_HUFFMAN, &open, 2, 2, stream, 15, 0, 0, 0, 0, 0, 0, 0, 4, 1, 1, 0);
}

static void test_random_bytes_never_decode_to_anything_but_levels(void) {
    int16_t k[LONGEST];
    uint8_t payload[96];
    for (size_t i = 0; i < CODES; i++) {
        for (int round = 0; round < 100000; round++) {
            struct levels levels;
            random_levels(all_codes[i], &levels);
            size_t len = 1 + (size_t)random_below(round % 16 == 0 ? 600 : 40);
            size_t bytes = (size_t)random_below(sizeof payload + 1);
            for (size_t b = 0; b < bytes; b++) payload[b] = (uint8_t)random_next();
            /* a plausible width, often, so that dense streams are reached */
            if (bytes > 2 && round % 2 == 0) payload[0] = 1;
            if (bytes > 2 && round % 4 == 0) payload[1] = (uint8_t)(bytes - 2);
            struct code_chunk chunk = make_chunk(&levels, all_codes[i], len, 256);
            decode(&chunk, payload, bytes, k);
        }
    }
}

static void test_payloads_with_flipped_bits_decode_to_levels_or_are_refused(void) {
    static uint8_t dst[8 * LONGEST];
    int16_t k[LONGEST];
    for (size_t i = 0; i < CODES; i++) {
        for (int round = 0; round < 4000; round++) {
            struct levels levels;
            random_levels(all_codes[i], &levels);
            size_t len = 1 + (size_t)random_below(round % 8 == 0 ? 600 : 40);
            struct code_chunk chunk = make_chunk(&levels, all_codes[i], len, 256);
            struct code_plan plan;
            random_indices(&levels, round % 3, k, len);
            code_find(all_codes[i])->plan(&chunk, k, &plan);
            size_t bytes = code_find(all_codes[i])->write(&chunk, k, &plan, dst, sizeof dst);
            if (bytes == SIZE_MAX || bytes == 0) continue;
            for (int flip = 0; flip < 8; flip++) {
                uint64_t bit = random_below(8 * (flip < 4 && bytes > 4 ? 4 : bytes));
                dst[bit / 8] ^= (uint8_t)(1U << (bit % 8));
                decode(&chunk, dst, bytes, k);
                if (flip % 2 == 0) dst[bit / 8] ^= (uint8_t)(1U << (bit % 8));
            }
        }
    }
}

int main(void) {
    void *memory = new_scratch(&scratch, LONGEST);
    CHECK(code_find(QSGD_CODE_RAW) == NULL && code_find(QSGD_CODE_AUTO) == NULL);
    test_small_payloads_are_those_worked_out_by_hand();
    test_every_code_round_trips_every_level_set_and_segment_size();
    test_long_chunks_round_trip();
    test_rice_and_elias_carry_gaps_as_long_as_the_largest_chunk();
    test_payloads_that_section_10_forbids_are_refused_with_their_status();
    test_random_bytes_never_decode_to_anything_but_levels();
    test_payloads_with_flipped_bits_decode_to_levels_or_are_refused();
    free(memory);
    return check_result();
}
