/* Tests of qsgd_elias_encode and qsgd_elias_decode: textbook codewords, round trips, contracts. */
#include "calls.h"
#include "splitmix.h"

#define NOWHERE ((qsgd_memory){NULL, 0})

/* Bits as a string of '0' and '1'. */
static void show_bits(const uint8_t *p, size_t bits, char *text) {
    for (size_t i = 0; i < bits; i++) text[i] = (char)('0' + (p[i / 8] >> (7 - i % 8) & 1));
    text[bits] = 0;
}

/* ---- Elias codes of integers ----------------------------------------------------------------- */

#define Z31 "0000000000000000000000000000000"
#define Z63 Z31 "0" Z31
#define O31 "1111111111111111111111111111111"
#define O63 O31 "1" O31

static const struct {
    uint64_t value;
    const char *words[3];
} textbook[] = {
    {1, {"1", "1", "0"}},
    {2, {"010", "0100", "100"}},
    {3, {"011", "0101", "110"}},
    {4, {"00100", "01100", "101000"}},
    {15, {"0001111", "00100111", "1111110"}},
    {16, {"000010000", "001010000", "10100100000"}},
    {17, {"000010001", "001010001", "10100100010"}},
    {31, {"000011111", "001011111", "10100111110"}},
    {32, {"00000100000", "0011000000", "101011000000"}},
    {100, {"0000001100100", "00111100100", "1011011001000"}},
    {(uint64_t)1 << 31, {Z31 "1" Z31, "00000100000" Z31, "10100111111" Z31 "0"}},
    {(uint64_t)1 << 63, {Z63 "1" Z63, "0000001000000" Z63, "101011111111" Z63 "0"}},
    {UINT64_MAX, {Z63 "1" O63, "0000001000000" O63, "101011111111" O63 "0"}},
};
#define TEXTBOOK (sizeof textbook / sizeof *textbook)

static void test_elias_codewords_are_the_textbook_ones(void) {
    for (int32_t elias = 0; elias < 3; elias++) {
        for (size_t i = 0; i < TEXTBOOK; i++) {
            uint8_t dst[16];
            const qsgd_memory room = {dst, sizeof dst};
            char text[129];
            uint64_t bits = 0, used = 0, value = 0;
            const char *word = textbook[i].words[elias];
            CHECK(qsgd_elias_encode(elias, &textbook[i].value, 1, NOWHERE, &bits, NULL) == 0);
            CHECK(bits == strlen(word));
            CHECK(qsgd_elias_encode(elias, &textbook[i].value, 1, room, &bits, NULL) == 0);
            show_bits(dst, (size_t)bits, text);
            CHECK(strcmp(text, word) == 0);
            CHECK(qsgd_elias_decode(elias, dst, bits, 1, &value, &used, NULL) == 0);
            CHECK(value == textbook[i].value && used == bits);
            CHECK(qsgd_elias_decode(elias, dst, bits - 1, 1, &value, &used, NULL) ==
                  QSGD_ERR_STREAM);
        }
    }
}

static void test_elias_sequences_round_trip_in_exactly_their_bits(void) {
    enum { COUNT = 3000 };
    static uint64_t values[COUNT], back[COUNT];
    static const uint64_t zeros[2] = {0, 0};
    for (int32_t elias = 0; elias < 3; elias++) {
        for (size_t i = 0; i < COUNT; i++) values[i] = (random_next() | 1) >> random_below(64);
        for (size_t i = 0; i < COUNT; i++) values[i] += values[i] == 0;
        uint64_t bits = 0, used = 0;
        CHECK(qsgd_elias_encode(elias, values, COUNT, NOWHERE, &bits, NULL) == 0);
        size_t bytes = (size_t)(bits + 7) / 8;
        uint8_t *dst = malloc(bytes);
        CHECK(qsgd_elias_encode(elias, values, COUNT, (qsgd_memory){dst, bytes - 1}, &bits, NULL) ==
              QSGD_ERR_DST_TOO_SMALL);
        CHECK(qsgd_elias_encode(elias, values, COUNT, (qsgd_memory){dst, bytes}, &bits, NULL) == 0);
        CHECK(qsgd_elias_decode(elias, dst, bits, COUNT, back, &used, NULL) == 0);
        CHECK(used == bits && memcmp(values, back, sizeof values) == 0);
        qsgd_error error = error_new();
        CHECK(qsgd_elias_decode(elias, dst, bits - 1, COUNT, back, &used, &error) ==
              QSGD_ERR_STREAM);
        CHECK(qsgd_elias_encode(elias, values, COUNT - 1, NOWHERE, &bits, NULL) == 0);
        CHECK(error.offset == bits / 8 && error.status == QSGD_ERR_STREAM);
        free(dst);
    }
    uint64_t value = 0, used = 0;
    CHECK(qsgd_elias_decode(QSGD_ELIAS_GAMMA, zeros, 128, 1, &value, &used, NULL) ==
          QSGD_ERR_STREAM);
}

static void test_elias_functions_refuse_what_their_contract_refuses(void) {
    const uint64_t values[3] = {5, 0, 7};
    uint8_t dst[16] = {0};
    const qsgd_memory room = {dst, sizeof dst};
    uint64_t bits = 77, used = 77, back = 0;
    qsgd_error error = error_new();
    CHECK(qsgd_elias_encode(1, values, 3, room, &bits, &error) == QSGD_ERR_INDEX);
    CHECK(error.element == 1 && error.reason != NULL && bits == 77);
    CHECK(qsgd_elias_encode(3, values, 1, room, &bits, &error) == QSGD_ERR_PARAM);
    CHECK(strcmp(error.parameter, "elias") == 0);
    CHECK(qsgd_elias_encode(1, NULL, 1, room, &bits, &error) == QSGD_ERR_NULL);
    CHECK(qsgd_elias_encode(1, values, 1, room, NULL, &error) == QSGD_ERR_NULL);
    CHECK(qsgd_elias_encode(1, NULL, 0, NOWHERE, &bits, &error) == QSGD_OK && bits == 0);
    CHECK(qsgd_elias_decode(-1, dst, 8, 1, &back, &used, &error) == QSGD_ERR_PARAM);
    CHECK(qsgd_elias_decode(0, NULL, 8, 1, &back, &used, &error) == QSGD_ERR_NULL);
    CHECK(qsgd_elias_decode(0, dst, 8, 1, NULL, &used, &error) == QSGD_ERR_NULL);
    CHECK(qsgd_elias_decode(0, NULL, 0, 0, NULL, &used, &error) == QSGD_OK && used == 0);
    CHECK(qsgd_elias_decode(0, NULL, 0, 1, &back, &used, &error) == QSGD_ERR_STREAM);
    CHECK(qsgd_elias_decode(0, &back, 8, 1, &back, &used, &error) == QSGD_ERR_OVERLAP);
    /* omega groups 11, 1000, then 256, whose codeword would need a group of 257 bits */
    const uint8_t endless[40] = {0xE2, 0x01, 0xFF, 0xFF, 0xFF};
    CHECK(qsgd_elias_decode(2, endless, 320, 1, &back, &used, &error) == QSGD_ERR_STREAM);
    error = (qsgd_error){.struct_size = 8}; /* not this version's: left alone */
    const uint64_t zero = 0;
    CHECK(qsgd_elias_encode(1, &zero, 1, room, &bits, &error) == QSGD_ERR_INDEX);
    CHECK(error.status == QSGD_OK && error.reason == NULL);
}

int main(void) {
    test_elias_codewords_are_the_textbook_ones();
    test_elias_sequences_round_trip_in_exactly_their_bits();
    test_elias_functions_refuse_what_their_contract_refuses();
    return check_result();
}
