/* What a frame says of itself (qsgd.h): its size from a prefix, within the receiver's limit, and
 * the codec that made it, as far as that decodes it. */
#include "support.h"

#define N 2100

static float x[N];

static struct bytes some_frame(void) {
    const qsgd_params p = scheme_params(&schemes[16]);
    return encode_frame(&p, NULL, x, N);
}

/* ---- the prefix -------------------------------------------------------------------------------
 */

static qsgd_status size_of(const uint8_t *p, uint64_t bytes, uint64_t limit, qsgd_error *error) {
    struct bytes exact = bytes_copy(p, bytes);
    uint64_t size = 77;
    const qsgd_status status = qsgd_frame_size(exact.p, exact.n, limit, &size, error);
    CHECK(status == QSGD_OK ? size == load_le64(p + 8) : size == 77);
    free(exact.p);
    return status;
}

static void a_prefix_says_the_size_once_it_is_there(void) {
    struct bytes b = some_frame();
    for (uint64_t bytes = 0; bytes <= 40; bytes++) {
        qsgd_error error = error_new();
        const qsgd_status status = size_of(b.p, bytes, UINT64_MAX, &error);
        CHECK(status == (bytes < 16 ? QSGD_ERR_NEED_MORE : QSGD_OK));
        CHECK(status == QSGD_OK || error.offset == bytes);
        CHECK(size_of(b.p, bytes, 0, NULL) == (bytes < 16 ? QSGD_ERR_NEED_MORE : QSGD_ERR_LIMIT));
    }
    uint64_t size = 0;
    CHECK(qsgd_frame_size(NULL, 0, UINT64_MAX, &size, NULL) == QSGD_ERR_NEED_MORE && size == 0);
    CHECK(size_of(b.p, b.n, b.n, NULL) == QSGD_OK);
    free(b.p);
}

static void a_frame_may_be_as_long_as_the_limit_and_no_longer(void) {
    struct bytes b = some_frame();
    const uint64_t limits[] = {0, 1, 16, 26, b.n - 1, b.n, b.n + 1, (uint64_t)1 << 56, UINT64_MAX};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        qsgd_error error = error_new();
        const qsgd_status status = size_of(b.p, 16, limits[i], &error);
        CHECK(status == (limits[i] < b.n ? QSGD_ERR_LIMIT : QSGD_OK));
        if (status == QSGD_OK) continue;
        CHECK(error_names(&error, QSGD_ERR_LIMIT, "max_bytes") && error.offset == 8);
    }
    free(b.p);
}

/* No frame is longer than 2^56 bytes; one that could be is the receiver's to refuse. */
static void huge_claims_are_refused(void) {
    static const struct {
        uint64_t claim, limit;
        qsgd_status status;
    } cases[] = {
        {(uint64_t)1 << 62, UINT64_MAX, QSGD_ERR_HEADER},
        {(uint64_t)1 << 62, 1 << 20, QSGD_ERR_HEADER},
        {((uint64_t)1 << 56) + 1, UINT64_MAX, QSGD_ERR_HEADER},
        {UINT64_MAX, UINT64_MAX, QSGD_ERR_HEADER},
        {(uint64_t)1 << 56, UINT64_MAX, QSGD_OK},
        {(uint64_t)1 << 56, (uint64_t)1 << 56, QSGD_OK},
        {(uint64_t)1 << 56, ((uint64_t)1 << 56) - 1, QSGD_ERR_LIMIT},
        {(uint64_t)1 << 55, 1 << 20, QSGD_ERR_LIMIT},
        {25, UINT64_MAX, QSGD_ERR_HEADER},
    };
    struct bytes b = some_frame();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qsgd_error error = error_new();
        store_le64(b.p + 8, cases[i].claim);
        CHECK(size_of(b.p, 16, cases[i].limit, &error) == cases[i].status);
        CHECK(cases[i].status == QSGD_OK || error.offset == 8);
    }
    free(b.p);
}

static void other_faults_speak_before_the_limit(void) {
    struct bytes b = some_frame();
    b.p[5] = 128;
    CHECK(size_of(b.p, 16, 1, NULL) == QSGD_ERR_FLAGS);
    b.p[4] = 9;
    CHECK(size_of(b.p, 5, 1, NULL) == QSGD_ERR_VERSION);
    b.p[0] = 9;
    CHECK(size_of(b.p, 1, 1, NULL) == QSGD_ERR_MAGIC);
    free(b.p);
    b = some_frame();
    store_le16(b.p + 6, 25);
    CHECK(size_of(b.p, b.n, 1, NULL) == QSGD_ERR_HEADER);
    store_le16(b.p + 6, 30);
    store_le64(b.p + 8, 29);
    CHECK(size_of(b.p, b.n, 1, NULL) == QSGD_ERR_HEADER);
    free(b.p);
}

/* ---- the codec --------------------------------------------------------------------------------
 */

/* Parameters that were something else before. */
static qsgd_params other_params(void) {
    qsgd_params p = scheme_params(&schemes[20]);
    p.seed = 99;
    p.clip = 2;
    p.nonfinite = QSGD_NONFINITE_PROPAGATE;
    p.classes = QSGD_CLASSES_OFF;
    p.checksum = 0;
    p.shared_tables = x;
    p.shared_tables_bytes = 3;
    return p;
}

/* Its indices become values by the parameters that it gives: those that it decodes to. */
static void dequantizes_as_decoded(const struct bytes *b, const qsgd_params *known,
                                   const float *values) {
    static int16_t indices[N];
    static float scales[N], got[N];
    static uint8_t damping[N];
    const qsgd_quantized quantized = {indices, scales, damping, N};
    qsgd_frame_info info = info_new();
    qsgd_encode_options options;
    CHECK(qsgd_inspect(b->p, b->n, &info, NULL) == QSGD_OK);
    qsgd_encode_options_init(&options);
    options.nonce = info.nonce;
    const qsgd_memory back = decode_workspace(b->p, b->n, NULL);
    const qsgd_memory work = encode_workspace(known, &options, N);
    CHECK(qsgd_decode_indices(b->p, b->n, NULL, &quantized, back, NULL) == QSGD_OK);
    CHECK(qsgd_dequantize(known, &options, &quantized, got, work, NULL) == QSGD_OK);
    CHECK(memcmp(got, values, sizeof got) == 0);
    const qsgd_sizes sizes = encode_sizes(known, &options, N);
    CHECK(sizes.buckets == info.buckets && sizes.chunks == info.chunks);
    odd_free(back);
    odd_free(work);
}

static void the_codec_of_a_frame_dequantizes_it(void) {
    for (size_t i = 0; i < 3 * SCHEMES; i++) {
        qsgd_params p = scheme_params(&schemes[i / 3]), known = other_params();
        qsgd_encode_options options;
        static float values[N];
        float level_table[QSGD_MAX_LEVEL_TABLE];
        set_bucket(&p, i % 3 == 2 ? 0 : 100);
        if (i % 3 == 1) p.checksum = 0;
        if (i % 3 == 1) p.scale_dtype = QSGD_FLOAT32;
        qsgd_encode_options_init(&options);
        options.nonce = 1234567 + i;
        struct bytes b = encode_frame(&p, &options, x, N);
        CHECK(decode_frame(b.p, b.n, 0, values, N, NULL) == QSGD_OK);
        CHECK(qsgd_inspect_params(b.p, b.n, &known, level_table, NULL) == QSGD_OK);
        CHECK(qsgd_params_check(&known, NULL) == QSGD_OK);
        CHECK(known.struct_size == sizeof known && known.code == p.code);
        CHECK(known.checksum == p.checksum && known.chunk_log2 == p.chunk_log2);
        CHECK(known.clip == 0 && known.nonfinite == QSGD_NONFINITE_RAISE);
        CHECK(known.classes == QSGD_CLASSES_AUTO && known.shared_tables == NULL);
        CHECK(known.shared_tables_bytes == 0 && known.exact_zeros == 0);
        if (p.code != QSGD_CODE_RAW) {
            CHECK(known.norm == p.norm && known.levels == p.levels && known.zero == p.zero);
            CHECK(known.rounding == p.rounding && known.rotation == p.rotation);
            CHECK(known.bucket == p.bucket && known.scale_dtype == p.scale_dtype);
            CHECK(known.level_table_len == p.level_table_len && known.step == p.step);
            CHECK(known.level_table == (p.level_table_len > 0 ? level_table : NULL));
            const bool keyed = p.rounding == QSGD_ROUND_DITHERED || p.rotation != 0;
            CHECK(known.seed == (keyed ? p.seed : 0));
            dequantizes_as_decoded(&b, &known, values);
        } else { /* and encodes it again */
            struct bytes again = encode_frame(&known, &options, x, N);
            CHECK(again.n == b.n && memcmp(again.p, b.p, (size_t)b.n) == 0);
            free(again.p);
        }
        free(b.p);
    }
}

/* The header alone will do; before that nothing is written. */
static void the_codec_is_in_the_header(void) {
    const qsgd_params p = scheme_params(&schemes[4]);
    struct bytes b = encode_frame(&p, NULL, x, N);
    const uint64_t header = load_le16(b.p + 6);
    for (uint64_t bytes = 0; bytes <= header; bytes++) {
        struct bytes cut = bytes_copy(b.p, bytes);
        qsgd_params known = other_params();
        const qsgd_params before = known;
        qsgd_frame_info info = info_new();
        float level_table[QSGD_MAX_LEVEL_TABLE] = {77};
        const qsgd_status status = qsgd_inspect_params(cut.p, bytes, &known, level_table, NULL);
        CHECK(status == (bytes < header ? QSGD_ERR_NEED_MORE : QSGD_OK));
        CHECK(qsgd_inspect(cut.p, bytes, &info, NULL) == status);
        if (bytes < header) CHECK(memcmp(&known, &before, sizeof known) == 0);
        CHECK(level_table[0] == (bytes < header ? 77 : -1));
        free(cut.p);
    }
    free(b.p);
}

int main(void) {
    fill_tensor(x, N, 8);
    a_prefix_says_the_size_once_it_is_there();
    a_frame_may_be_as_long_as_the_limit_and_no_longer();
    huge_claims_are_refused();
    other_faults_speak_before_the_limit();
    the_codec_of_a_frame_dequantizes_it();
    the_codec_is_in_the_header();
    return check_result();
}
