/* Shared tables (FORMAT.md section 7.7): what qsgd_shared_tables_build makes, what every use
 * refuses, and frames that name them. Damage of such frames is fuzz_decode.c's. */
#include "backends.h"
#include "support.h"

#define N 3000
#define TABLES 4000

static float tensor[N];
static struct table_sets sets;

struct hex_blob {
    uint8_t p[160];
    uint64_t n;
};

static struct hex_blob from_hex(const char *hex) {
    struct hex_blob b = {.n = strlen(hex) / 2};
    for (uint64_t i = 0; i < b.n; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
        b.p[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return b;
}

/* ---- blobs ----------------------------------------------------------------------------------- */

/* Tables into the first `room` bytes of blob. */
static qsgd_status build(const qsgd_params *p, const double *weights, uint64_t count, uint8_t *blob,
                         uint64_t room, uint64_t *bytes) {
    return qsgd_shared_tables_build(p, weights, count, (qsgd_memory){blob, room}, bytes, NULL);
}

static void known_weights_give_known_bytes_and_digest(void) {
    static const double halves[15] = {1, 2, 4, 8, 16, 32, 64, 128, 64, 32, 16, 8, 4, 2, 1};
    static const struct {
        int32_t code;
        const char *blob, *digest;
    } cases[] = {
        {QSGD_CODE_RANS,
         "8f515442000a01080e56002b002b00150015000b000b0005000500030003000100010001000100",
         "e97a0e434a6f7d15"},
        {QSGD_CODE_HUFFMAN, "8f515442000901000e020302030305050606070708080808", "c7f750c5a70ba7dd"},
    };
    for (size_t i = 0; i < 2; i++) {
        const struct hex_blob want = from_hex(cases[i].blob), name = from_hex(cases[i].digest);
        qsgd_params p;
        uint8_t blob[160], digest[8];
        uint64_t bytes = 0;
        p = params_qsgd();
        p.code = cases[i].code;
        CHECK(build(&p, halves, 15, blob, qsgd_shared_tables_bound(), &bytes) == QSGD_OK);
        CHECK(bytes == want.n && memcmp(blob, want.p, (size_t)bytes) == 0);
        CHECK(qsgd_shared_tables_digest(blob, bytes, digest, NULL) == QSGD_OK);
        CHECK(memcmp(digest, name.p, 8) == 0);
    }
}

static void malformed_tables_are_refused_with_their_byte(void) {
    static const struct {
        const char *blob;
        uint64_t offset; /* UINT64_MAX: the tables are right */
    } cases[] = {
        {"8f515442000a010802000080008000", UINT64_MAX}, /* P = 8: 0, 128, 128 */
        {"8f515442000a0108000001", UINT64_MAX},         /* a token alone: 256 */
        {"8f5154420009000002010202", UINT64_MAX},       /* huffman: 1, 2, 2 */
        {"8f51544200090000010001", UINT64_MAX},         /* a token alone: length 1 */
        {"", 0},
        {"8f515442000a0108", 8},
        {"8f515447000a0108000001", 0},
        {"8f515442010a0108000001", 4},
        {"8f51544200080108000001", 5},
        {"8f515442000a0308000001", 6},
        {"8f515442000a010b000008", 7},
        {"8f515442000a0107008000", 7},
        {"8f51544200090008000001", 7},
        {"8f515442000a01081f", 8},                /* 32 direct tokens */
        {"8f515442000a00083f", 8},                /* 64 tokens */
        {"8f515442000a0108020000800080", 14},     /* cut short */
        {"8f515442000a01080200008000800000", 15}, /* a byte too many */
        {"8f515442000a010802000080008100", 13},   /* 257 of 256 */
        {"8f515442000a010802000080007f00", 13},   /* 255 of 256 */
        {"8f515442000a0108020000ffff0100", 11},   /* past the sum */
        {"8f515442000a01080180000000", 11},       /* the last is 0 */
        {"8f5154420009000001010d", 10},           /* length 13 */
        {"8f5154420009000002010100", 11},         /* the last is 0 */
        {"8f515442000900000201020200", 12},       /* a byte too many */
        {"8f5154420009000002010101", 11},         /* too full */
        {"8f5154420009000002010203", 11},         /* incomplete */
        {"8f51544200090000010002", 10},           /* alone, but of length 2 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct hex_blob b = from_hex(cases[i].blob);
        qsgd_error e = error_new();
        struct bytes exact = bytes_copy(b.p, b.n);
        qsgd_status status = qsgd_shared_tables_check(exact.p, exact.n, &e);
        const bool right = cases[i].offset == UINT64_MAX;
        CHECK(status == (right ? QSGD_OK : QSGD_ERR_CODE_TABLE));
        if (!right && (e.offset != cases[i].offset || strcmp(e.parameter, "shared_tables") != 0)) {
            fprintf(stderr, "%s: at %llu (%s)\n", cases[i].blob, (unsigned long long)e.offset,
                    e.reason);
            check_failures++;
        }
        free(exact.p);
    }
    CHECK(qsgd_shared_tables_check(NULL, 0, NULL) == QSGD_ERR_NULL);
}

static void impossible_weights_are_refused(void) {
    double weights[15] = {0};
    uint8_t blob[160];
    uint64_t bytes = 77;
    qsgd_params p;
    const uint64_t room = qsgd_shared_tables_bound();
    p = params_qsgd();
    static const double bad[] = {0.0, -1.0, 1e308 * 10, -(1e308 * 10)};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        weights[3] = bad[i];
        CHECK(build(&p, weights, 15, blob, room, &bytes) == QSGD_ERR_PARAM);
    }
    weights[3] = bad[2] - bad[2]; /* NaN */
    CHECK(build(&p, weights, 15, blob, room, &bytes) == QSGD_ERR_PARAM);
    weights[3] = weights[4] = 1.7e308; /* the sum overflows */
    CHECK(build(&p, weights, 15, blob, room, &bytes) == QSGD_ERR_PARAM);
    weights[4] = 0;
    CHECK(build(&p, weights, 14, blob, room, &bytes) == QSGD_ERR_PARAM);
    CHECK(build(&p, weights, 15, blob, 38, &bytes) == QSGD_ERR_DST_TOO_SMALL);
    CHECK(build(&p, NULL, 15, blob, room, &bytes) == QSGD_ERR_NULL);
    p.code = QSGD_CODE_ELIAS_GAMMA;
    CHECK(build(&p, weights, 15, blob, room, &bytes) == QSGD_ERR_COMBINATION);
    CHECK(bytes == 77);
    p.code = QSGD_CODE_RANS;
    CHECK(build(&p, weights, 15, blob, 39, &bytes) == QSGD_OK && bytes == 39);
}

/* All weight on one level: the others keep a slot, or a codeword. */
static void every_level_can_be_coded(void) {
    for (size_t i = 0; i < SCHEMES; i++) {
        if (sets.bytes[i] == 0) continue;
        qsgd_params p = scheme_params(&schemes[i]);
        const uint64_t count = scheme_levels(&p);
        double *weights = calloc((size_t)count, sizeof *weights);
        uint8_t blob[160];
        uint64_t bytes = 0;
        weights[count - 1] = 1;
        CHECK(build(&p, weights, count, blob, sizeof blob, &bytes) == QSGD_OK);
        const bool rans = p.code == QSGD_CODE_RANS;
        unsigned zeros = 0;
        for (uint64_t t = 0; 9 + (rans ? 2 : 1) * t < bytes; t++) {
            zeros += rans ? load_le16(blob + 9 + 2 * t) == 0 : blob[9 + t] == 0;
        }
        /* token 0 names no level without zero; of an even signed table the largest k is none */
        CHECK(zeros == (p.zero && p.levels != QSGD_LEVELS_SIGNED ? 0 : 1));
        free(weights);
    }
}

/* ---- digests --------------------------------------------------------------------------------- */

static int compare_digests(const void *a, const void *b) { return memcmp(a, b, 8); }

/* Thousands of tables that differ by few slots moved from one token to another. */
static void digests_of_near_tables_differ_in_half_of_their_bits(void) {
    static uint8_t digests[TABLES][8];
    uint8_t blob[9 + 2 * 31];
    uint64_t flips = 0;
    memcpy(blob, "\x8f\x51\x54\x42\0\x0a\1\x0c\x1e", 9);
    for (int t = 0; t < 31; t++) store_le16(blob + 9 + 2 * t, t == 30 ? 1126 : 99);
    for (int i = 0; i < TABLES; i++) {
        const int moved[3] = {i & 15, i >> 4 & 15, i >> 8};
        for (int t = 0; t < 3; t++) store_le16(blob + 9 + 20 * t, (uint16_t)(99 + moved[t]));
        store_le16(blob + 69, (uint16_t)(1126 - moved[0] - moved[1] - moved[2]));
        CHECK(qsgd_shared_tables_digest(blob, sizeof blob, digests[i], NULL) == QSGD_OK);
        for (int b = 0; i > 0 && b < 64; b++) {
            flips += (unsigned)(digests[i][b / 8] ^ digests[i - 1][b / 8]) >> b % 8 & 1;
        }
    }
    const double mean = (double)flips / (TABLES - 1); /* 32 +- 4 standard errors of 4 / sqrt(n) */
    CHECK(mean > 31.7 && mean < 32.3);
    qsort(digests, TABLES, 8, compare_digests);
    for (int i = 1; i < TABLES; i++) CHECK(memcmp(digests[i], digests[i - 1], 8) != 0);
}

/* ---- frames ---------------------------------------------------------------------------------- */

static qsgd_params shared_params(size_t scheme) {
    qsgd_params p = scheme_params(&schemes[scheme]);
    p.shared_tables = sets.blob[scheme];
    p.shared_tables_bytes = sets.bytes[scheme];
    return p;
}

static bool has_shared_chunk(const struct bytes *b) {
    struct parts parts;
    CHECK(frame_parts(b->p, b->n, &parts));
    uint64_t at = parts.payload;
    for (uint64_t j = 0; j < parts.info.chunks; j++) {
        if ((b->p[at] & 3) == 3) return true;
        at += load_le32(b->p + parts.index + j * parts.entry);
    }
    return false;
}

static void frames_decode_as_those_with_their_own_tables(void) {
    static float plain[N], shared[N];
    bool seen = false;
    for (size_t i = 0; i < SCHEMES; i++) {
        if (sets.bytes[i] == 0) continue;
        qsgd_params own = scheme_params(&schemes[i]), p = shared_params(i);
        struct bytes a = encode_frame(&own, NULL, tensor, N), first = {NULL, 0};
        CHECK(decode_frame(a.p, a.n, 0, plain, N, NULL) == QSGD_OK);
        for (int b = 0; b < backend_count; b++) {
            CHECK(qsgd_set_backend(backends[b]->name, NULL) == QSGD_OK);
            struct bytes frame = encode_frame(&p, NULL, tensor, N);
            qsgd_decode_options options;
            qsgd_decode_options_init(&options);
            offer_tables(&sets, &options);
            CHECK(decode_frame_with(&options, frame.p, frame.n, shared, N, NULL) == QSGD_OK);
            CHECK(memcmp(plain, shared, sizeof plain) == 0);
            if (b == 0) first = bytes_copy(frame.p, frame.n);
            CHECK(frame.n == first.n && memcmp(frame.p, first.p, (size_t)first.n) == 0);
            free(frame.p);
        }
        seen |= has_shared_chunk(&first);
        free(first.p);
        free(a.p);
    }
    CHECK(seen);
    CHECK(qsgd_set_backend("auto", NULL) == QSGD_OK);
}

/* Decodes with these options: `status`, and dst as it was. */
static void expect_untouched(const qsgd_decode_options *options, const struct bytes *frame,
                             qsgd_status status, qsgd_error *error) {
    static float dst[N];
    memset(dst, 0x5A, sizeof dst);
    CHECK(decode_frame_with(options, frame->p, frame->n, dst, N, error) == status);
    for (size_t i = 0; i < sizeof dst; i++) CHECK(((uint8_t *)dst)[i] == 0x5A);
}

static void missing_tables_are_an_error_before_the_first_write(void) {
    const qsgd_params p = shared_params(16);
    struct bytes frame = encode_frame(&p, NULL, tensor, N);
    qsgd_frame_info info = info_new();
    qsgd_error e = error_new();
    qsgd_decode_options options;
    uint8_t digest[8];
    CHECK(qsgd_inspect(frame.p, frame.n, &info, NULL) == QSGD_OK);
    CHECK(qsgd_shared_tables_digest(p.shared_tables, p.shared_tables_bytes, digest, NULL) ==
          QSGD_OK);
    CHECK(info.has_shared_tables == 1 && memcmp(info.shared_tables_digest, digest, 8) == 0);
    qsgd_params known = p;
    float level_table[QSGD_MAX_LEVEL_TABLE];
    CHECK(qsgd_inspect_params(frame.p, frame.n, &known, level_table, NULL) == QSGD_OK);
    CHECK(known.shared_tables == NULL && known.shared_tables_bytes == 0);
    qsgd_decode_options_init(&options);
    expect_untouched(&options, &frame, QSGD_ERR_SHARED_TABLES, &e);
    CHECK(e.offset == info.header_bytes - 12 && memcmp(frame.p + e.offset, digest, 8) == 0);
    offer_tables(&sets, &options);
    for (uint32_t i = 0; i < sets.count; i++) { /* all but the right ones */
        const bool same = sets.at[i].bytes == p.shared_tables_bytes &&
                          memcmp(sets.at[i].data, p.shared_tables, (size_t)sets.at[i].bytes) == 0;
        if (same) sets.at[i] = sets.at[0];
    }
    expect_untouched(&options, &frame, QSGD_ERR_SHARED_TABLES, &e);
    fill_tables(&sets);
    uint8_t broken[160];
    memcpy(broken, sets.at[0].data, (size_t)sets.at[0].bytes);
    broken[4] = 1;
    sets.at[0].data = broken; /* beside the right ones */
    expect_untouched(&options, &frame, QSGD_ERR_CODE_TABLE, &e);
    CHECK(e.offset == 4 && strcmp(e.parameter, "shared_tables") == 0);
    fill_tables(&sets);
    sets.at[0].data = NULL;
    expect_untouched(&options, &frame, QSGD_ERR_NULL, &e);
    fill_tables(&sets);
    options.shared_tables = NULL;
    expect_untouched(&options, &frame, QSGD_ERR_NULL, &e);
    free(frame.p);
}

static void tables_that_do_not_fit_are_refused(void) {
    qsgd_error e = error_new();
    qsgd_params p = shared_params(16);
    p.code = QSGD_CODE_HUFFMAN;
    CHECK(qsgd_params_check(&p, &e) == QSGD_ERR_COMBINATION);
    CHECK(strcmp(e.parameter, "shared_tables") == 0);
    p.code = QSGD_CODE_ELIAS_GAMMA;
    CHECK(qsgd_params_check(&p, NULL) == QSGD_ERR_COMBINATION);
    p.code = QSGD_CODE_AUTO;
    CHECK(qsgd_params_check(&p, NULL) == QSGD_ERR_COMBINATION);
    p.code = QSGD_CODE_RAW;
    CHECK(qsgd_params_check(&p, NULL) == QSGD_ERR_COMBINATION);
    p = shared_params(16);
    p.s = 16; /* tokens with extra bits */
    CHECK(qsgd_params_check(&p, NULL) == QSGD_ERR_COMBINATION);
    p.s = 3; /* fewer levels than the tables know: legal */
    CHECK(qsgd_params_check(&p, NULL) == QSGD_OK);
    p.shared_tables_bytes--;
    CHECK(qsgd_params_check(&p, &e) == QSGD_ERR_CODE_TABLE && e.offset == p.shared_tables_bytes);
    qsgd_sizes sizes = sizes_new();
    CHECK(qsgd_encode_sizes(&p, NULL, N, &sizes, &e) == QSGD_ERR_CODE_TABLE);
    p.shared_tables = NULL;
    CHECK(qsgd_params_check(&p, NULL) == QSGD_ERR_NULL);
}

/* A frame may name tables of its code, and of its kind of tokens, alone. */
static void frames_with_tables_of_another_kind_are_refused(void) {
    const qsgd_params p = shared_params(16);
    static const size_t others[] = {14, 18}; /* huffman; rans with extra bits */
    for (size_t i = 0; i < 2; i++) {
        struct bytes frame = encode_frame(&p, NULL, tensor, N);
        qsgd_error e = error_new();
        qsgd_decode_options options;
        const uint64_t at = load_le16(frame.p + 6) - 12U;
        CHECK(qsgd_shared_tables_digest(sets.blob[others[i]], sets.bytes[others[i]], frame.p + at,
                                        NULL) == QSGD_OK);
        repair_frame(frame.p, frame.n);
        qsgd_decode_options_init(&options);
        offer_tables(&sets, &options);
        expect_untouched(&options, &frame, QSGD_ERR_HEADER, &e);
        CHECK(e.offset == at);
        free(frame.p);
    }
}

/* Tables that lack some of a chunk's tokens are not used for it. */
static void chunks_that_tables_do_not_cover_bring_their_own(void) {
    qsgd_params p = shared_params(16), few = p;
    uint8_t blob[160];
    uint64_t bytes = 0;
    static const double weights[3] = {1, 2, 1};
    few.shared_tables = NULL;
    few.shared_tables_bytes = 0;
    few.s = 1;
    CHECK(build(&few, weights, 3, blob, sizeof blob, &bytes) == QSGD_OK);
    p.shared_tables = blob;
    p.shared_tables_bytes = bytes;
    struct bytes frame = encode_frame(&p, NULL, tensor, N);
    CHECK(!has_shared_chunk(&frame));
    qsgd_params own = scheme_params(&schemes[16]);
    struct bytes plain = encode_frame(&own, NULL, tensor, N);
    CHECK(frame.n == plain.n + 10); /* the field */
    free(plain.p);
    free(frame.p);
}

int main(void) {
    find_backends();
    fill_tensor(tensor, N, 3);
    fill_tables(&sets);
    known_weights_give_known_bytes_and_digest();
    malformed_tables_are_refused_with_their_byte();
    impossible_weights_are_refused();
    every_level_can_be_coded();
    digests_of_near_tables_differ_in_half_of_their_bits();
    frames_decode_as_those_with_their_own_tables();
    missing_tables_are_an_error_before_the_first_write();
    tables_that_do_not_fit_are_refused();
    frames_with_tables_of_another_kind_are_refused();
    chunks_that_tables_do_not_cover_bring_their_own();
    return check_result();
}
