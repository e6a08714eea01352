/* Payloads as a decoder sees them: hand-made bytes of every code, each with one malformation, have
 * the status of it (FORMAT.md sections 7 and 9). Every frame here has one chunk of 4 elements, its
 * checksums are right, and the untouched payload beside each group decodes. */
#include "support.h"

#define N 4
#define SCALE 3         /* bytes of a bfloat16 scale alone */
#define DEEP UINT64_MAX /* found in the symbols: the chunk's first byte is named */

struct payload {
    int32_t code;
    uint32_t s; /* uniform levels; 0: open ones */
    const char *hex;
    qsgd_status status;
    uint64_t offset; /* from the payload's first byte, scales left out, or DEEP; 0 for OK */
};

static const struct payload payloads[] = {
    /* the mode (and nothing at all) */
    {QSGD_CODE_FIXED, 7, "", QSGD_ERR_CHUNK, 0},
    {QSGD_CODE_FIXED, 7, "000000", QSGD_ERR_CHUNK, 0},
    {QSGD_CODE_FIXED, 7, "020000", QSGD_ERR_CHUNK, 0},
    {QSGD_CODE_FIXED, 7, "030000", QSGD_ERR_CHUNK, 0},
    {QSGD_CODE_ELIAS_GAMMA, 7, "0202", QSGD_ERR_CHUNK, 0},
    {QSGD_CODE_RICE_SPARSE, 7, "0202", QSGD_ERR_CHUNK, 0},
    {QSGD_CODE_RANS, 7, "03", QSGD_ERR_CHUNK, 0},
    /* constant */
    {QSGD_CODE_RANS, 7, "020E", QSGD_OK, 0},
    {QSGD_CODE_RANS, 7, "020F", QSGD_ERR_STREAM, 1},
    {QSGD_CODE_RANS, 7, "028E00", QSGD_ERR_STREAM, 1},
    {QSGD_CODE_RANS, 7, "02", QSGD_ERR_STREAM, 1},
    {QSGD_CODE_HUFFMAN, 32767, "02FFFF03", QSGD_ERR_STREAM, 1},
    {QSGD_CODE_HUFFMAN, 32767, "02FEFF03", QSGD_OK, 0},
    {QSGD_CODE_HUFFMAN, 7, "020E00", QSGD_ERR_PADDING, 2},
    /* fixed: ranks of 4 bits; of 3 (s = 2, 12 bits in all); open levels store their width */
    {QSGD_CODE_FIXED, 7, "01E0DE", QSGD_OK, 0},
    {QSGD_CODE_FIXED, 7, "01E0DF", QSGD_ERR_STREAM, DEEP},
    {QSGD_CODE_FIXED, 7, "01E0", QSGD_ERR_STREAM, 2},
    {QSGD_CODE_FIXED, 7, "01E0DE00", QSGD_ERR_PADDING, 3},
    {QSGD_CODE_RANS, 7, "01E0DF", QSGD_ERR_STREAM, DEEP},
    {QSGD_CODE_FIXED, 2, "010808", QSGD_OK, 0},
    {QSGD_CODE_FIXED, 2, "010818", QSGD_ERR_PADDING, DEEP},
    {QSGD_CODE_FIXED, 2, "010D08", QSGD_ERR_STREAM, DEEP},
    {QSGD_CODE_FIXED, 0, "010211", QSGD_ERR_STREAM, DEEP}, /* width 1 would do */
    {QSGD_CODE_FIXED, 0, "010231", QSGD_OK, 0},
    {QSGD_CODE_FIXED, 0, "0100", QSGD_OK, 0},
    {QSGD_CODE_FIXED, 0, "0111000000000000000000", QSGD_ERR_CODE_TABLE, 1},
    {QSGD_CODE_FIXED, 0, "01", QSGD_ERR_STREAM, 1},
    {QSGD_CODE_FIXED, 0, "0110010000000000008000", QSGD_ERR_PADDING, 10},
    {QSGD_CODE_FIXED, 0, "01100000000000000080", QSGD_OK, 0}, /* zigzag 32768: index -16384 */
    {QSGD_CODE_FIXED, 0, "0110000000000000FFFF", QSGD_ERR_STREAM, DEEP},
    /* elias, dense: width of lengths, lengths, MSB-first words; k = 1 is 010 and a sign */
    {QSGD_CODE_ELIAS_GAMMA, 7, "000101F0", QSGD_OK, 0},
    {QSGD_CODE_ELIAS_GAMMA, 7, "000001F0", QSGD_ERR_CODE_TABLE, 1},
    {QSGD_CODE_ELIAS_GAMMA, 7, "000501F0", QSGD_ERR_CODE_TABLE, 1},
    {QSGD_CODE_ELIAS_GAMMA, 7, "00020100F0", QSGD_ERR_CODE_TABLE, 1},
    {QSGD_CODE_ELIAS_GAMMA, 7, "0001", QSGD_ERR_CODE_TABLE, 1},
    {QSGD_CODE_ELIAS_GAMMA, 7, "00", QSGD_ERR_CODE_TABLE, 1},
    {QSGD_CODE_ELIAS_GAMMA, 7, "000102F0", QSGD_ERR_STREAM, 1},
    {QSGD_CODE_ELIAS_GAMMA, 7, "000101F000", QSGD_ERR_PADDING, 4},
    {QSGD_CODE_ELIAS_GAMMA, 7, "000102F000", QSGD_ERR_PADDING, DEEP},
    {QSGD_CODE_ELIAS_GAMMA, 7, "000101F1", QSGD_ERR_PADDING, DEEP},
    {QSGD_CODE_ELIAS_GAMMA, 7, "000100", QSGD_ERR_STREAM, DEEP},
    {QSGD_CODE_ELIAS_GAMMA, 7, "00010145", QSGD_ERR_STREAM, DEEP},
    {QSGD_CODE_ELIAS_GAMMA, 7, "00010210E1", QSGD_ERR_PADDING, DEEP}, /* a one after 3 zeros */
    {QSGD_CODE_ELIAS_GAMMA, 7, "00010210E0", QSGD_OK, 0},             /* k = 7 is 0001000 0 */
    {QSGD_CODE_ELIAS_GAMMA, 7, "00010212E0", QSGD_ERR_STREAM, DEEP},  /* k = 8 */
    {QSGD_CODE_ELIAS_GAMMA, 7, "00010800000000000000FF", QSGD_ERR_STREAM, DEEP},
    {QSGD_CODE_ELIAS_OMEGA, 7, "00010100", QSGD_OK, 0},
    {QSGD_CODE_ELIAS_OMEGA, 7, "000108FFFFFFFFFFFFFFFF", QSGD_ERR_STREAM, DEEP},
    {QSGD_CODE_ELIAS_DELTA, 7, "000101F0", QSGD_OK, 0},
    {QSGD_CODE_ELIAS_DELTA, 7, "0001080000000000FFFFFF", QSGD_ERR_STREAM, DEEP},
    /* elias, sparse: count + 1, then gap, sign, magnitude */
    {QSGD_CODE_ELIAS_GAMMA_SPARSE, 7, "0080", QSGD_OK, 0},
    {QSGD_CODE_ELIAS_GAMMA_SPARSE, 7, "0000", QSGD_ERR_STREAM, DEEP},
    {QSGD_CODE_ELIAS_GAMMA_SPARSE, 7, "00", QSGD_ERR_STREAM, DEEP},
    {QSGD_CODE_ELIAS_GAMMA_SPARSE, 7, "008000", QSGD_ERR_PADDING, DEEP},
    {QSGD_CODE_ELIAS_GAMMA_SPARSE, 7, "0081", QSGD_ERR_PADDING, DEEP},
    {QSGD_CODE_ELIAS_GAMMA_SPARSE, 7, "0044", QSGD_ERR_STREAM, DEEP},   /* runs out in gap 4 */
    {QSGD_CODE_ELIAS_GAMMA_SPARSE, 7, "004400", QSGD_ERR_STREAM, DEEP}, /* gap 4, then runs out */
    {QSGD_CODE_ELIAS_GAMMA_SPARSE, 7, "004440", QSGD_OK, 0},            /* gap 4, +1 */
    {QSGD_CODE_ELIAS_GAMMA_SPARSE, 7, "004540", QSGD_ERR_STREAM, DEEP}, /* gap 5 */
    {QSGD_CODE_ELIAS_GAMMA_SPARSE, 7, "0030", QSGD_ERR_STREAM, DEEP},   /* 5 of 4 elements */
    {QSGD_CODE_ELIAS_GAMMA_SPARSE, 7, "005080", QSGD_ERR_STREAM, DEEP}, /* gap 1, k = 8 */
    {QSGD_CODE_ELIAS_GAMMA_SPARSE, 7, "0051C0", QSGD_OK, 0},            /* gap 1, k = 7 */
    /* rice: rho in 5 bits, delta(count + 1) */
    {QSGD_CODE_RICE_SPARSE, 7, "0004", QSGD_OK, 0},
    {QSGD_CODE_RICE_SPARSE, 7, "00C4", QSGD_OK, 0},             /* rho = 24 */
    {QSGD_CODE_RICE_SPARSE, 7, "00CC", QSGD_ERR_CODE_TABLE, 1}, /* rho = 25 */
    {QSGD_CODE_RICE_SPARSE, 7, "00", QSGD_ERR_STREAM, 1},
    {QSGD_CODE_RICE_SPARSE, 7, "0005", QSGD_ERR_PADDING, DEEP},
    {QSGD_CODE_RICE_SPARSE, 7, "000400", QSGD_ERR_PADDING, DEEP},
    {QSGD_CODE_RICE_SPARSE, 7, "0000", QSGD_ERR_STREAM, DEEP},
    {QSGD_CODE_RICE_SPARSE, 7, "000250", QSGD_OK, 0},            /* one: gap 1, +1 */
    {QSGD_CODE_RICE_SPARSE, 7, "000380", QSGD_ERR_STREAM, DEEP}, /* count 5 */
    {QSGD_CODE_RICE_SPARSE, 7, "000205", QSGD_ERR_STREAM, DEEP}, /* gap 5 */
    {QSGD_CODE_RICE_SPARSE, 7, "000241", QSGD_ERR_STREAM, DEEP}, /* runs out in its magnitude */
    /* huffman: A - 1 and lengths (tokens 0 and 1 of one bit), lengths of segments, words */
    {QSGD_CODE_HUFFMAN, 7, "004104010150", QSGD_OK, 0},
    {QSGD_CODE_HUFFMAN, 7, "007F", QSGD_ERR_CODE_TABLE, 1}, /* 64 tokens */
    {QSGD_CODE_HUFFMAN, 7, "0041", QSGD_ERR_CODE_TABLE, 1}, /* cut short */
    {QSGD_CODE_HUFFMAN, 7, "00", QSGD_ERR_CODE_TABLE, 1},
    {QSGD_CODE_HUFFMAN, 7, "004100010150", QSGD_ERR_CODE_TABLE, 1}, /* last length 0 */
    {QSGD_CODE_HUFFMAN, 7, "008108010150", QSGD_ERR_CODE_TABLE, 1}, /* incomplete: 2, 2 */
    {QSGD_CODE_HUFFMAN, 7, "004108010150", QSGD_ERR_CODE_TABLE, 1}, /* incomplete: 1, 2 */
    {QSGD_CODE_HUFFMAN, 7, "004244010150", QSGD_ERR_CODE_TABLE, 1}, /* too full: 1, 1, 1 */
    {QSGD_CODE_HUFFMAN, 7, "004137010150", QSGD_ERR_CODE_TABLE, 1}, /* length 13 */
    {QSGD_CODE_HUFFMAN, 7, "004144010150", QSGD_ERR_PADDING, 1},    /* bits after the table */
    {QSGD_CODE_HUFFMAN, 7, "004104000150", QSGD_ERR_CODE_TABLE, 3},
    {QSGD_CODE_HUFFMAN, 7, "00410402010050", QSGD_ERR_CODE_TABLE, 3},
    {QSGD_CODE_HUFFMAN, 7, "004104010250", QSGD_ERR_STREAM, 3},
    {QSGD_CODE_HUFFMAN, 7, "00410401015000", QSGD_ERR_PADDING, 6},
    {QSGD_CODE_HUFFMAN, 7, "00410401025000", QSGD_ERR_PADDING, DEEP},
    {QSGD_CODE_HUFFMAN, 7, "004104010151", QSGD_ERR_PADDING, DEEP},
    {QSGD_CODE_HUFFMAN, 7, "0041040100", QSGD_ERR_STREAM, DEEP},
    {QSGD_CODE_HUFFMAN, 7, "00010401010000", QSGD_ERR_PADDING, 6}, /* token 1 alone, and a byte */
    {QSGD_CODE_HUFFMAN, 7, "000104010100", QSGD_OK, 0},
    {QSGD_CODE_HUFFMAN, 7, "000104010180", QSGD_ERR_STREAM, DEEP},   /* the word it has not */
    {QSGD_CODE_HUFFMAN, 1, "00024000010100", QSGD_OK, 0},            /* token 2 alone: -1 */
    {QSGD_CODE_HUFFMAN, 1, "004300040101F0", QSGD_ERR_STREAM, DEEP}, /* token 3 names nothing */
    {QSGD_CODE_HUFFMAN, 1, "00430004010100", QSGD_OK, 0},            /* but need not occur */
    {QSGD_CODE_HUFFMAN, 16, "0041040101505A", QSGD_ERR_PADDING, 6},
    /* rans: one lane, P = 12, tokens 0 and 1 of 2048 each; all four lie in the rest state */
    {QSGD_CODE_RANS, 7, "0030080000000000", QSGD_ERR_CODE_TABLE, 1}, /* f of the last is 0 */
    {QSGD_CODE_RANS, 7, "003008000C000000", QSGD_OK, 0},
    {QSGD_CODE_RANS, 7, "003608000C00000000", QSGD_ERR_STREAM, 5}, /* 2^6 lanes, no states */
    {QSGD_CODE_RANS, 7, "003908000C000000", QSGD_ERR_CODE_TABLE, 1},
    {QSGD_CODE_RANS, 7, "007008000C000000", QSGD_ERR_CODE_TABLE, 1}, /* bits 6 and 7 */
    {QSGD_CODE_RANS, 7, "00B008000C000000", QSGD_ERR_CODE_TABLE, 1},
    {QSGD_CODE_RANS, 7, "00", QSGD_ERR_CODE_TABLE, 1},
    {QSGD_CODE_RANS, 7, "0030", QSGD_ERR_CODE_TABLE, 1},
    {QSGD_CODE_RANS, 7, "00300800", QSGD_ERR_CODE_TABLE, 1},
    {QSGD_CODE_RANS, 7, "0030080400000000", QSGD_ERR_CODE_TABLE, 1},     /* mode token 2 of 2 */
    {QSGD_CODE_RANS, 7, "0030F80100000000", QSGD_ERR_CODE_TABLE, 1},     /* 64 tokens */
    {QSGD_CODE_RANS, 7, "003008000D000000", QSGD_ERR_CODE_TABLE, 1},     /* exponent 13 */
    {QSGD_CODE_RANS, 7, "002008000C000000", QSGD_ERR_CODE_TABLE, 1},     /* P = 10: no rest */
    {QSGD_CODE_RANS, 7, "003008002C000000", QSGD_ERR_PADDING, 1},        /* bits after the table */
    {QSGD_CODE_RANS, 7, "003008000C000010", QSGD_ERR_PADDING, 5},        /* bits after the state */
    {QSGD_CODE_RANS, 7, "003008000C0000", QSGD_ERR_STREAM, 5},           /* the state cut short */
    {QSGD_CODE_RANS, 7, "003008000C0F0000", QSGD_ERR_STREAM, 5},         /* a longer one, too */
    {QSGD_CODE_RANS, 7, "003008000C000100", QSGD_ERR_STREAM, DEEP},      /* five tokens in it */
    {QSGD_CODE_RANS, 7, "003008000C100000", QSGD_OK, 0},                 /* token 1 comes first */
    {QSGD_CODE_RANS, 7, "003008000C0000000000", QSGD_ERR_PADDING, DEEP}, /* a word is left */
    {QSGD_CODE_RANS, 7, "003008000C00000000", QSGD_ERR_PADDING, 5},
    {QSGD_CODE_RANS, 7, "003009000C", QSGD_ERR_CODE_TABLE, 1}, /* two classes, a table */
    {QSGD_CODE_RANS, 16, "003008000C000000", QSGD_OK, 0},      /* no token has extra bits */
    {QSGD_CODE_RANS, 16, "003008000C00000000", QSGD_ERR_PADDING, 5},
    /* tokens 0 and 15: a count of words, and extra bits */
    {QSGD_CODE_RANS, 16, "00307800000000000000000C00000000", QSGD_OK, 0},
    {QSGD_CODE_RANS, 16, "00307800000000000000000C01000000", QSGD_ERR_STREAM, 12},
    {QSGD_CODE_RANS, 16, "00307800000000000000000C8000000000", QSGD_ERR_CODE_TABLE, 12},
    {QSGD_CODE_RANS, 16, "00307800000000000000000C", QSGD_ERR_CODE_TABLE, 12},
    {QSGD_CODE_RANS, 16, "00307800000000000000000C0000000000", QSGD_ERR_PADDING, DEEP},
};

static uint64_t parse_hex(const char *hex, uint8_t *out) {
    uint64_t n = 0;
    for (; hex[0] != 0 && hex[1] != 0; hex += 2) {
        unsigned value = 0;
        if (sscanf(hex, "%2x", &value) == 1) out[n++] = (uint8_t)value;
    }
    return n;
}

static struct bytes frame_with(const struct payload *payload) {
    static const float x[N] = {1.0F, -0.5F, 0.25F, 0.0F};
    struct scheme scheme = {payload->code, QSGD_LEVELS_UNIFORM, payload->s, 1, 0, QSGD_NORM_MAX};
    if (payload->s == 0) {
        scheme.levels = QSGD_LEVELS_OPEN;
        scheme.norm = QSGD_NORM_RMS;
    }
    qsgd_params p = scheme_params(&scheme);
    uint8_t bytes[64 + SCALE];
    uint64_t count = parse_hex(payload->hex, bytes);
    struct bytes b = encode_frame(&p, NULL, x, N);
    if (count > 0) { /* behind the mode, the scale of the one bucket stays */
        memmove(bytes + 1 + SCALE, bytes + 1, (size_t)count - 1);
        struct parts parts;
        CHECK(frame_parts(b.p, b.n, &parts));
        memcpy(bytes + 1, b.p + parts.payload + 1, SCALE);
        count += SCALE;
    }
    replace_payload(&b, bytes, count);
    return b;
}

static void each_payload_has_its_status(void) {
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
        const struct payload *c = &payloads[i];
        struct bytes b = frame_with(c);
        struct parts parts;
        float dst[N] = {9, 9, 9, 9};
        qsgd_error error = error_new();
        CHECK(frame_parts(b.p, b.n, &parts));
        qsgd_status status = decode_frame(b.p, b.n, QSGD_DECODE_ATOMIC, dst, N, &error);
        const uint64_t behind = c->offset == 0 ? 0 : c->offset + SCALE;
        uint64_t offset = parts.payload + (c->offset == DEEP ? 0 : behind);
        if (status != c->status || (status != QSGD_OK && error.offset != offset)) {
            fprintf(stderr, "payload %s of code %d: %s at %lld, expected %s\n", c->hex,
                    (int)c->code, qsgd_status_name(status),
                    (long long)(error.offset - parts.payload), qsgd_status_name(c->status));
            check_failures++;
        }
        CHECK(status == QSGD_OK || (dst[0] == 9 && dst[1] == 9 && dst[2] == 9 && dst[3] == 9));
        CHECK(decode_frame(b.p, b.n, 0, dst, N, NULL) == c->status);
        free(b.p);
    }
}

/* A class without a group, and a class number past the last: two tables, one group. */
static void rans_classes_are_checked(void) {
    uint8_t bytes[32];
    struct lsb_writer w;
    for (int fault = 0; fault < 4; fault++) {
        bytes[0] = 0;
        bytes[1] = 3U << 4;
        lsb_write_init(&w, bytes + 2, bytes + sizeof bytes);
        lsb_write(&w, 1, 3);
        for (int table = 0; table < 2; table++) lsb_write(&w, 1 | 12U << 13, 18);
        if (fault == 0) lsb_write(&w, 1, 1);           /* class 0: class 1 has no group */
        if (fault == 1) lsb_write(&w, 2, 3);           /* class 1: class 0 has no group */
        if (fault == 2) lsb_write(&w, 6, 3);           /* class -1 */
        if (fault == 3) lsb_write(&w, 4 | 0U << 3, 5); /* class 2 */
        uint8_t *end = lsb_write_end(&w);
        memset(end, 0, 3);
        char hex[65] = "";
        for (const uint8_t *p = bytes; p < end + 3; p++) {
            snprintf(hex + 2 * (p - bytes), 3, "%02X", *p);
        }
        struct payload payload = {QSGD_CODE_RANS, 7, hex, QSGD_ERR_CODE_TABLE, 1};
        struct bytes b = frame_with(&payload);
        float dst[N];
        CHECK(decode_frame(b.p, b.n, 0, dst, N, NULL) == QSGD_ERR_CODE_TABLE);
        free(b.p);
    }
}

static void raw_payloads_are_checked(void) {
    static const uint8_t flags[N] = {0, 1, 1, 0}, bad[N] = {0, 1, 2, 0};
    qsgd_params p;
    qsgd_encode_options o;
    struct parts parts;
    qsgd_error error = error_new();
    uint8_t dst[N + 1];
    p = params_qsgd();
    qsgd_encode_options_init(&o);
    p.code = QSGD_CODE_RAW;
    o.dtype = QSGD_BOOL;
    struct bytes b = encode_frame(&p, &o, flags, N);
    CHECK(frame_parts(b.p, b.n, &parts));
    CHECK(decode_frame(b.p, b.n, 0, dst, N, NULL) == QSGD_OK && memcmp(dst, flags, N) == 0);
    replace_payload(&b, bad, N);
    CHECK(decode_frame(b.p, b.n, 0, dst, N, &error) == QSGD_ERR_STREAM);
    CHECK(error.offset == parts.payload + 2);
    replace_payload(&b, flags, N - 1);
    CHECK(decode_frame(b.p, b.n, 0, dst, N, &error) == QSGD_ERR_CHUNK);
    CHECK(error.offset == parts.payload);
    free(b.p);
}

int main(void) {
    each_payload_has_its_status();
    rans_classes_are_checked();
    raw_payloads_are_checked();
    return check_result();
}
