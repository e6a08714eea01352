/* Frames as a decoder sees them, header to scales: every malformation has its own status and names
 * its byte (FORMAT.md sections 3 to 6). Payloads are test_payload.c's, blind damage is
 * test_damage.c's. */
#include "support.h"

#define N 1100 /* two chunks of 1000 and 100 elements, 11 buckets */

static float tensor[N];

/* The header of the base frame: bucket at 23, s at 24, shape at 25, extension fields from 27. */
enum { AT_BUCKET = 23, AT_S = 24, AT_SHAPE = 25, AT_FIELDS = 27 };

static struct bytes base_frame(void) {
    qsgd_params p = scheme_params(&schemes[16]);
    return encode_frame(&p, NULL, tensor, N);
}

static struct bytes frame_of(int32_t code, int32_t levels, int32_t rounding, int32_t norm) {
    struct scheme scheme = {code, levels, 7, 1, rounding, norm};
    qsgd_params p = scheme_params(&scheme);
    return encode_frame(&p, NULL, tensor, N);
}

/* Consumes b: decoding it must give `status` at `offset`, and leave dst alone. */
static void expect_at(int line, struct bytes b, qsgd_status status, uint64_t offset) {
    qsgd_error error = error_new();
    error.offset = 12345;
    float dst[N];
    memset(dst, 0x5A, sizeof dst);
    qsgd_status got = decode_frame(b.p, b.n, 0, dst, N, &error);
    if (got != status || error.status != status || error.offset != offset) {
        fprintf(stderr, "line %d: %s at %llu, expected %s at %llu (%s)\n", line,
                qsgd_status_name(got), (unsigned long long)error.offset, qsgd_status_name(status),
                (unsigned long long)offset, error.reason);
        check_failures++;
    }
    CHECK(error.reason != NULL && error.parameter == NULL);
    for (size_t i = 0; i < sizeof dst; i++) CHECK(((uint8_t *)dst)[i] == 0x5A);
    free(b.p);
}
#define EXPECT(b, status, offset) expect_at(__LINE__, b, status, offset)

/* One byte of the frame set, checksums repaired. */
static struct bytes with_byte(struct bytes b, uint64_t at, uint8_t value) {
    b.p[at] = value;
    repair_frame(b.p, b.n);
    return b;
}

static struct bytes with_header(struct bytes b, uint64_t at, uint64_t remove, const void *insert,
                                uint64_t count) {
    splice_header(&b, at, remove, insert, count);
    return b;
}

static void prefix_faults_have_their_own_status(void) {
    for (uint64_t i = 0; i < 4; i++) EXPECT(with_byte(base_frame(), i, 0), QSGD_ERR_MAGIC, 0);
    EXPECT(with_byte(base_frame(), 4, 0), QSGD_ERR_VERSION, 4);
    EXPECT(with_byte(base_frame(), 4, 2), QSGD_ERR_VERSION, 4);
    EXPECT(with_byte(base_frame(), 4, 255), QSGD_ERR_VERSION, 4);
    for (unsigned bit = 3; bit < 8; bit++) {
        EXPECT(with_byte(base_frame(), 5, (uint8_t)(1U | 1U << bit)), QSGD_ERR_FLAGS, 5);
    }
    struct bytes b = base_frame();
    b.p[5] = 5; /* without repair the checksum speaks first */
    EXPECT(b, QSGD_ERR_HEADER_CRC, load_le16(b.p + 6) - 4U);
    for (uint16_t bytes = 0; bytes < 27; bytes++) {
        b = base_frame();
        store_le16(b.p + 6, bytes);
        EXPECT(b, QSGD_ERR_HEADER, 6);
    }
    b = base_frame();
    store_le16(b.p + 6, 65535); /* a header longer than its frame */
    EXPECT(b, QSGD_ERR_HEADER, 8);
    b = base_frame();
    store_le16(b.p + 6, 65535);
    store_le64(b.p + 8, 70000);
    EXPECT(b, QSGD_ERR_NEED_MORE, b.n);
    const uint64_t sizes[] = {0, 25, ((uint64_t)1 << 56) + 1, UINT64_MAX};
    for (size_t i = 0; i < 4; i++) {
        b = base_frame();
        store_le64(b.p + 8, sizes[i]);
        repair_header(b.p, b.n);
        EXPECT(b, QSGD_ERR_HEADER, 8);
    }
    struct parts parts;
    b = base_frame();
    CHECK(frame_parts(b.p, b.n, &parts));
    store_le64(b.p + 8, parts.payload - 1); /* not even room for the index */
    repair_header(b.p, b.n);
    EXPECT(b, QSGD_ERR_HEADER, 8);
    b = base_frame();
    store_le64(b.p + 8, b.n + 1);
    repair_header(b.p, b.n);
    EXPECT(b, QSGD_ERR_NEED_MORE, b.n);
    b = base_frame();
    uint64_t whole = b.n;
    uint8_t extra = 0;
    splice(&b, whole, 0, &extra, 1);
    store_le64(b.p + 8, whole);
    EXPECT(b, QSGD_ERR_TRAILING, whole);
}

static void header_fields_are_checked_one_by_one(void) {
    static const struct {
        uint8_t at, value;
        uint64_t offset;
    } cases[] = {
        {16, 15, 16}, {16, 255, 16},  {16, QSGD_INT8, 16}, {17, 12, 17}, {17, 255, 17}, {19, 5, 19},
        {19, 7, 19},  {19, 0x10, 19}, {19, 255, 19},       {20, 9, 20},  {20, 15, 20},  {21, 4, 21},
        {21, 6, 21},  {21, 0x0A, 21}, {21, 0x82, 21},      {24, 0, 16},  {5, 3, 5},     {5, 5, 5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes b = with_byte(base_frame(), cases[i].at, cases[i].value);
        EXPECT(b, QSGD_ERR_HEADER, cases[i].offset);
    }
    struct bytes raw = frame_of(QSGD_CODE_RAW, 0, 0, 0);
    EXPECT(with_byte(raw, 19, 4), QSGD_ERR_HEADER, 19);
    raw = frame_of(QSGD_CODE_RAW, 0, 0, 0);
    EXPECT(with_byte(raw, 21, 1), QSGD_ERR_HEADER, 19);
    raw = frame_of(QSGD_CODE_RAW, 0, 0, 0);
    EXPECT(with_byte(raw, 5, 5), QSGD_ERR_HEADER, 19);
    struct bytes s1 = base_frame();
    s1.p[AT_S] = 1;
    s1.p[5] |= 4; /* dithered with s = 1; the key is there */
    uint8_t key[18] = {129, 16};
    EXPECT(with_header(s1, AT_FIELDS, 0, key, 18), QSGD_ERR_HEADER, 16);
    struct bytes sparse = frame_of(QSGD_CODE_RANS, 0, QSGD_ROUND_DITHERED, 0);
    EXPECT(with_byte(sparse, 17, QSGD_CODE_RICE_SPARSE), QSGD_ERR_HEADER, 16);
    struct bytes no_zero = base_frame();
    no_zero.p[17] = QSGD_CODE_ELIAS_GAMMA_SPARSE;
    EXPECT(with_byte(no_zero, 21, no_zero.p[21] | 1), QSGD_ERR_HEADER, 16);
}

static void header_varints_are_minimal_and_bounded(void) {
    static const uint8_t bucket_long[] = {0xE4, 0x00}; /* 100 in two bytes */
    static const uint8_t bucket_large[] = {0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20}; /* 2^47 + 1 */
    static const uint8_t bytes_10[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1};
    static const uint8_t s_long[] = {0x87, 0x00}, s_large[] = {0x80, 0x80, 0x02}; /* 32768 */
    static const uint8_t shape_long[] = {0xCC, 0x88, 0x00};
    EXPECT(with_header(base_frame(), AT_BUCKET, 1, bucket_long, 2), QSGD_ERR_HEADER, AT_BUCKET);
    EXPECT(with_header(base_frame(), AT_BUCKET, 1, bucket_large, 7), QSGD_ERR_HEADER, AT_BUCKET);
    EXPECT(with_header(base_frame(), AT_BUCKET, 1, bytes_10, 10), QSGD_ERR_HEADER, AT_BUCKET);
    EXPECT(with_header(base_frame(), AT_S, 1, s_long, 2), QSGD_ERR_HEADER, AT_S);
    EXPECT(with_header(base_frame(), AT_S, 1, s_large, 3), QSGD_ERR_HEADER, AT_S);
    EXPECT(with_header(base_frame(), AT_SHAPE, 2, shape_long, 3), QSGD_ERR_HEADER, AT_SHAPE);
    EXPECT(with_header(base_frame(), AT_SHAPE, 2, bytes_10, 10), QSGD_ERR_HEADER, AT_SHAPE);
    EXPECT(with_header(base_frame(), AT_SHAPE + 1, 1, NULL, 0), QSGD_ERR_HEADER, AT_SHAPE);
    EXPECT(with_header(base_frame(), AT_BUCKET, 4, NULL, 0), QSGD_ERR_HEADER, AT_BUCKET);
    EXPECT(with_header(base_frame(), AT_S, 3, NULL, 0), QSGD_ERR_HEADER, AT_S);
    struct bytes two = base_frame(); /* two dimensions announced, one there */
    two.p[20] = (uint8_t)(two.p[20] + 1);
    EXPECT(with_header(two, 0, 0, NULL, 0), QSGD_ERR_HEADER, AT_FIELDS);
}

static void shape_products_do_not_overflow(void) {
    static const uint8_t large[] = {0x80, 0x80, 0x80, 0x80, 0x04};               /* 2^30 */
    static const uint8_t past[] = {0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0}; /* 2^47 + 1, 0 */
    uint8_t shape[8 * 5];
    for (uint8_t ndim = 2; ndim <= 8; ndim++) { /* 2^60 .. 2^240 */
        struct bytes b = base_frame();
        for (int d = 0; d < ndim; d++) memcpy(shape + 5 * d, large, 5);
        b.p[20] = ndim;
        EXPECT(with_header(b, AT_SHAPE, 2, shape, 5U * ndim), QSGD_ERR_HEADER, 20);
    }
    struct bytes b = base_frame();
    b.p[20] = 2;
    EXPECT(with_header(b, AT_SHAPE, 2, past, 8), QSGD_ERR_HEADER, 20);
    static const uint8_t most[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20}; /* 2^47: no room */
    EXPECT(with_header(base_frame(), AT_SHAPE, 2, most, 7), QSGD_ERR_HEADER, 8);
}

static void extension_fields_are_ordered_and_known(void) {
    static const struct {
        uint8_t bytes[8];
        uint64_t count, offset; /* from the first field */
        qsgd_status status;
    } cases[] = {
        {{133, 1, 7}, 3, 2, QSGD_ERR_FIELD},      {{128, 0}, 2, 2, QSGD_ERR_FIELD},
        {{255, 0}, 2, 2, QSGD_ERR_FIELD},         {{0, 0}, 2, 0, QSGD_ERR_HEADER},
        {{5, 1, 9, 5, 0}, 5, 3, QSGD_ERR_HEADER}, {{5, 0, 2, 0}, 4, 2, QSGD_ERR_HEADER},
        {{5, 2, 9}, 3, 0, QSGD_ERR_HEADER},       {{5}, 1, 0, QSGD_ERR_HEADER},
        {{5, 0x80, 0}, 3, 0, QSGD_ERR_HEADER},    {{1, 0}, 2, 2, QSGD_ERR_HEADER},
        {{129, 1, 9}, 3, 2, QSGD_ERR_HEADER},     {{130, 3, 0, 0, 0}, 5, 2, QSGD_ERR_HEADER},
        {{131, 1, 9}, 3, 2, QSGD_ERR_HEADER},     {{131, 0}, 2, 2, QSGD_ERR_HEADER},
        {{132, 1, 9}, 3, 2, QSGD_ERR_HEADER},     {{132, 0}, 2, 2, QSGD_ERR_HEADER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        EXPECT(with_header(base_frame(), AT_FIELDS, 0, cases[i].bytes, cases[i].count),
               cases[i].status, AT_FIELDS + cases[i].offset);
    }
    uint8_t field[4 + 16385] = {1, 0x81, 0x80, 0x01}; /* a tag of 16385 bytes */
    EXPECT(with_header(base_frame(), AT_FIELDS, 0, field, sizeof field), QSGD_ERR_HEADER,
           AT_FIELDS + 4);
    uint8_t table[3 + 1024] = {130, 0x80, 0x08}; /* 256 entries */
    EXPECT(with_header(base_frame(), AT_FIELDS, 0, table, sizeof table), QSGD_ERR_HEADER,
           AT_FIELDS + 3);
}

static void unknown_optional_fields_are_skipped(void) {
    static const uint8_t fields[] = {2, 3, 'a', 'b', 'c', 127, 0};
    struct bytes plain = base_frame(), b = base_frame();
    float expected[N], got[N];
    splice_header(&b, AT_FIELDS, 0, fields, sizeof fields);
    CHECK(decode_frame(plain.p, plain.n, 0, expected, N, NULL) == QSGD_OK);
    CHECK(decode_frame(b.p, b.n, 0, got, N, NULL) == QSGD_OK);
    CHECK(memcmp(expected, got, sizeof got) == 0);
    free(plain.p);
    free(b.p);
}

static void keys_and_tables_are_there_exactly_if_needed(void) {
    uint8_t key[18] = {129, 16};
    uint8_t table[6] = {130, 4, 0, 0, 0x80, 0x3F};
    EXPECT(with_header(base_frame(), AT_FIELDS, 0, key, 18), QSGD_ERR_HEADER, 5);
    EXPECT(with_header(base_frame(), AT_FIELDS, 0, table, 6), QSGD_ERR_HEADER, 19);
    struct bytes b = frame_of(QSGD_CODE_RANS, 0, QSGD_ROUND_DITHERED, 0);
    CHECK(b.p[AT_FIELDS] == 129);
    EXPECT(with_header(b, AT_FIELDS, 18, NULL, 0), QSGD_ERR_HEADER, 5);
    b = frame_of(QSGD_CODE_RANS, QSGD_LEVELS_TABLE, 0, 0);
    CHECK(b.p[AT_FIELDS - 1] == 130 && b.p[AT_FIELDS] == 12);
    EXPECT(with_header(b, AT_FIELDS - 1, 14, NULL, 0), QSGD_ERR_HEADER, 19);
    static const float bad[][3] = {{0.5F, 0.5F, 1.0F}, {0.5F, 0.25F, 1.0F},    {0.1F, 0.2F, 0.9F},
                                   {0.0F, 0.5F, 1.0F}, {-0.5F, 0.5F, 1.0F},    {0.5F, 1.0F, 1.5F},
                                   {0.5F, 1.0F, 1.0F}, {0x1p-127F, 0.5F, 1.0F}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        b = frame_of(QSGD_CODE_RANS, QSGD_LEVELS_TABLE, 0, 0);
        for (uint64_t j = 0; j < 3; j++) {
            uint32_t bits;
            memcpy(&bits, &bad[i][j], 4);
            store_le32(b.p + AT_FIELDS + 1 + 4 * j, bits);
        }
        repair_header(b.p, b.n);
        EXPECT(b, QSGD_ERR_HEADER, 16);
    }
    b = frame_of(QSGD_CODE_RANS, QSGD_LEVELS_TABLE, 0, 0);
    store_le32(b.p + AT_FIELDS + 1, 0x7FC00000); /* NaN */
    repair_header(b.p, b.n);
    EXPECT(b, QSGD_ERR_HEADER, 16);
}

static void steps_are_whole_and_in_range(void) {
    static const uint32_t bad[] = {0, 0x35000000, 0x7FC00000, 0x7F800000, 0xBF800000, 0x49800001};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) { /* 2^-21, NaN, Inf, -1, above 2^20 */
        struct bytes b = frame_of(QSGD_CODE_RANS, QSGD_LEVELS_OPEN, 0, QSGD_NORM_RMS);
        store_le32(b.p + AT_S, bad[i]);
        repair_header(b.p, b.n);
        EXPECT(b, QSGD_ERR_HEADER, 16);
    }
    struct bytes b = frame_of(QSGD_CODE_RANS, QSGD_LEVELS_OPEN, 0, QSGD_NORM_RMS);
    EXPECT(with_header(b, AT_S, 3, NULL, 0), QSGD_ERR_HEADER, AT_S);
}

static void index_is_checked(void) {
    struct parts parts;
    struct bytes b = base_frame();
    CHECK(frame_parts(b.p, b.n, &parts) && parts.info.chunks == 2 && parts.info.buckets == 11);
    b.p[parts.index] ^= 1;
    EXPECT(b, QSGD_ERR_INDEX_CRC, parts.payload - 4);
    b = base_frame();
    b.p[parts.payload] ^= 1;
    EXPECT(b, QSGD_ERR_CHUNK_CRC, parts.payload);
    b = base_frame();
    uint64_t second = parts.payload + load_le32(b.p + parts.index);
    b.p[second] ^= 1;
    EXPECT(b, QSGD_ERR_CHUNK_CRC, second);
    b = base_frame(); /* too long: the second chunk passes the end */
    store_le32(b.p + parts.index, load_le32(b.p + parts.index) + 1);
    repair_frame(b.p, b.n);
    EXPECT(b, QSGD_ERR_CHUNK_INDEX, parts.index + 8);
    b = base_frame();
    store_le32(b.p + parts.index, UINT32_MAX);
    repair_frame(b.p, b.n);
    EXPECT(b, QSGD_ERR_CHUNK_INDEX, parts.index);
    b = base_frame(); /* too short: bytes are left */
    store_le32(b.p + parts.index + 8, load_le32(b.p + parts.index + 8) - 1);
    repair_frame(b.p, b.n);
    EXPECT(b, QSGD_ERR_CHUNK_INDEX, parts.index);
}

/* A frame of one bucket a chunk, whose scale is an x of its kind, with another base, width and
 * shift. */
static struct bytes with_scale(uint32_t dtype, uint32_t base, uint8_t shape) {
    qsgd_params p = scheme_params(&schemes[16]);
    struct parts parts;
    p.scale_dtype = dtype;
    p.bucket = 0;
    struct bytes b = encode_frame(&p, NULL, tensor, N);
    CHECK(frame_parts(b.p, b.n, &parts) && parts.info.chunks == 2);
    uint8_t *at = b.p + parts.payload + 1;
    if (dtype == QSGD_BFLOAT16) {
        store_le16(at, (uint16_t)base);
        at[2] = shape;
    } else {
        store_le32(at, base);
        at[4] = shape;
    }
    repair_frame(b.p, b.n);
    return b;
}

static void scales_are_checked(void) {
    struct parts parts;
    struct bytes b = with_scale(QSGD_BFLOAT16, 0x3F80, 0);
    CHECK(frame_parts(b.p, b.n, &parts));
    const uint64_t at = parts.payload + 1;
    free(b.p);
    static const uint16_t bad[] = {0, 0x8000, 0xBF80, 0x7F80, 0xFF80, 0x7FC0, 0x7FC1, 0xFFC0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        EXPECT(with_scale(QSGD_BFLOAT16, bad[i], 0), QSGD_ERR_SCALE, at);
    }
    static const uint32_t bad32[] = {0,          0x80000000, 0x7F800000, 0x7FC00000,
                                     0x7FC00001, 0xFFC00000, 0x80000001};
    for (size_t i = 0; i < sizeof bad32 / sizeof *bad32; i++) {
        EXPECT(with_scale(QSGD_FLOAT32, bad32[i], 0), QSGD_ERR_SCALE, at);
    }
    for (uint8_t width = 16; width < 32; width++) {
        EXPECT(with_scale(QSGD_BFLOAT16, 0x3F80, width), QSGD_ERR_CHUNK, at);
    }
    for (uint8_t shift = 1; shift < 8; shift++) {
        EXPECT(with_scale(QSGD_FLOAT32, 0x3F800000, (uint8_t)(shift << 5)), QSGD_ERR_CHUNK, at);
    }
    for (unsigned bit = 5; bit < 8; bit++) {
        b = base_frame();
        CHECK(frame_parts(b.p, b.n, &parts));
        EXPECT(with_byte(b, parts.payload, (uint8_t)(b.p[parts.payload] | 1U << bit)),
               QSGD_ERR_CHUNK, parts.payload);
    }
}

static void nan_and_zero_scales_decode_to_themselves(void) {
    qsgd_params p = scheme_params(&schemes[16]);
    float x[N], got[N];
    memcpy(x, tensor, sizeof x);
    p.nonfinite = QSGD_NONFINITE_PROPAGATE;
    const uint32_t inf = 0xFF800000;
    memcpy(&x[17], &inf, 4);
    for (int i = 100; i < 200; i++) x[i] = 0;
    struct bytes b = encode_frame(&p, NULL, x, N);
    CHECK(decode_frame(b.p, b.n, 0, got, N, NULL) == QSGD_OK);
    for (int i = 0; i < 100; i++) {
        uint32_t bits[2];
        memcpy(&bits[0], &got[i], 4);
        memcpy(&bits[1], &got[100 + i], 4);
        CHECK(bits[0] == 0x7FC00000 && bits[1] == 0);
    }
    free(b.p);
}

static void limits_and_schemes_are_refused(void) {
    struct bytes b = base_frame();
    qsgd_decode_options o;
    qsgd_error error = error_new();
    qsgd_sizes sizes = sizes_new();
    for (int i = 0; i < 6; i++) {
        qsgd_decode_options_init(&o);
        if (i == 0) o.max_elements = N - 1;
        if (i == 1) o.allowed_codes = ~((uint64_t)1 << QSGD_CODE_RANS);
        if (i == 2) o.allowed_norms = ~((uint64_t)1 << QSGD_NORM_MAX);
        if (i == 3) o.allowed_levels = ~((uint64_t)1 << QSGD_LEVELS_UNIFORM);
        if (i == 4) o.allowed_roundings = ~((uint64_t)1 << QSGD_ROUND_STOCHASTIC);
        if (i == 5) { /* exactly what the frame needs */
            o.max_elements = N;
            o.allowed_codes = (uint64_t)1 << QSGD_CODE_RANS;
            o.allowed_norms = o.allowed_levels = o.allowed_roundings = 1;
        }
        qsgd_status status = qsgd_decode_sizes(b.p, b.n, &o, &sizes, &error);
        CHECK(status == (i == 0 ? QSGD_ERR_LIMIT : (i < 5 ? QSGD_ERR_SCHEME : QSGD_OK)));
        static const char *const names[] = {"max_elements", "allowed_codes", "allowed_norms",
                                            "allowed_levels", "allowed_roundings"};
        CHECK(i == 5 || error_names(&error, status, names[i]));
    }
    free(b.p);
}

int main(void) {
    fill_tensor(tensor, N, 1);
    prefix_faults_have_their_own_status();
    header_fields_are_checked_one_by_one();
    header_varints_are_minimal_and_bounded();
    shape_products_do_not_overflow();
    extension_fields_are_ordered_and_known();
    unknown_optional_fields_are_skipped();
    keys_and_tables_are_there_exactly_if_needed();
    steps_are_whole_and_in_range();
    index_is_checked();
    scales_are_checked();
    nan_and_zero_scales_decode_to_themselves();
    limits_and_schemes_are_refused();
    return check_result();
}
