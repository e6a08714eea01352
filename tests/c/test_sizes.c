/* The size queries (qsgd.h): they answer exactly, and refuse what the calls refuse, by the same
 * status, parameter and byte. Parameters one by one are test_params.c's. */
#include "setup.h"

static bool same_error(const qsgd_error *a, const qsgd_error *b) {
    const bool names = (a->parameter == NULL) == (b->parameter == NULL);
    return a->status == b->status && a->offset == b->offset && names &&
           (a->parameter == NULL || strcmp(a->parameter, b->parameter) == 0);
}

/* ---- encoding -------------------------------------------------------------------------------- */

struct bad_options {
    uint32_t dtype, ndim, workers;
    uint64_t shape[2], tag_bytes, n;
    qsgd_status status;
    const char *parameter;
};

static const struct bad_options bad_options[] = {
    {15, QSGD_FLAT, 1, {0}, 0, N, QSGD_ERR_DTYPE, "dtype"},
    {UINT32_MAX, QSGD_FLAT, 1, {0}, 0, N, QSGD_ERR_DTYPE, "dtype"},
    {QSGD_INT8, QSGD_FLAT, 1, {0}, 0, N, QSGD_ERR_DTYPE, "dtype"},
    {QSGD_COMPLEX128, QSGD_FLAT, 1, {0}, 0, N, QSGD_ERR_DTYPE, "dtype"},
    {0, 9, 1, {0}, 0, N, QSGD_ERR_SHAPE, "ndim"},
    {0, UINT32_MAX - 1, 1, {0}, 0, N, QSGD_ERR_SHAPE, "ndim"},
    {0, 2, 1, {N, 2}, 0, N, QSGD_ERR_SHAPE, "shape"},
    {0, 2, 1, {QSGD_MAX_ELEMENTS, 2}, 0, N, QSGD_ERR_SHAPE, "shape"},
    {0, 2, 1, {(uint64_t)1 << 63, 2}, 0, 0, QSGD_ERR_SHAPE, "shape"},
    {0, 2, 1, {UINT64_MAX, 0}, 0, 0, QSGD_ERR_SHAPE, "shape"},
    {0, 0, 1, {0}, 0, N, QSGD_ERR_SHAPE, "shape"},
    {0, 1, 1, {1}, 0, 0, QSGD_ERR_SHAPE, "shape"},
    {0, QSGD_FLAT, 0, {0}, 0, N, QSGD_ERR_PARAM, "workers"},
    {0, QSGD_FLAT, QSGD_MAX_WORKERS + 1, {0}, 0, N, QSGD_ERR_PARAM, "workers"},
    {0, QSGD_FLAT, UINT32_MAX, {0}, 0, N, QSGD_ERR_PARAM, "workers"},
    {0, QSGD_FLAT, 1, {0}, QSGD_MAX_TAG + 1, N, QSGD_ERR_PARAM, "tag_bytes"},
    {0, QSGD_FLAT, 1, {0}, UINT64_MAX, N, QSGD_ERR_PARAM, "tag_bytes"},
    {0, QSGD_FLAT, 1, {0}, 0, QSGD_MAX_ELEMENTS + 1, QSGD_ERR_SHAPE, "n"},
    {0, QSGD_FLAT, 1, {0}, 0, UINT64_MAX, QSGD_ERR_SHAPE, "n"},
    {0, QSGD_FLAT, 1, {0}, 0, (uint64_t)1 << 63, QSGD_ERR_SHAPE, "n"},
};

static void bad_options_are_refused_as_by_encoding(void) {
    for (size_t i = 0; i < sizeof bad_options / sizeof *bad_options; i++) {
        const struct bad_options *bad = &bad_options[i];
        struct setup s = setup_new();
        qsgd_sizes sizes = sizes_new();
        qsgd_error error = error_new();
        s.options.dtype = bad->dtype;
        s.options.ndim = bad->ndim;
        s.options.shape = bad->shape;
        s.options.workers = bad->workers;
        s.options.tag = x;
        s.options.tag_bytes = bad->tag_bytes;
        s.n = bad->n;
        CHECK(call_encode(&s, x) == bad->status && names(&s, bad->status, bad->parameter));
        CHECK(qsgd_encode_sizes(&s.params, &s.options, s.n, &sizes, &error) == bad->status);
        CHECK(same_error(&error, &s.error));
        CHECK(sizes.elements == 0 && sizes.dst_bytes == 0 && sizes.workspace_bytes == 0);
        qsgd_memory frame = {&s, 77};
        CHECK(qsgd_encode_alloc(&s.params, &s.options, x, s.n, NULL, &frame, &error) ==
              bad->status);
        CHECK(same_error(&error, &s.error) && frame.data == NULL && frame.bytes == 0);
        setup_free(&s);
    }
}

/* A residual and its type; a shape that is missing. */
static void options_that_go_ill_together_are_refused_as_by_encoding(void) {
    struct setup s = setup_new();
    qsgd_sizes sizes = sizes_new();
    qsgd_error error = error_new();
    s.options.residual = s.values;
    s.options.dtype = QSGD_FLOAT64;
    CHECK(call_encode(&s, x) == QSGD_ERR_DTYPE && names(&s, QSGD_ERR_DTYPE, "residual"));
    CHECK(qsgd_encode_sizes(&s.params, &s.options, N, &sizes, &error) == QSGD_ERR_DTYPE);
    CHECK(same_error(&error, &s.error));
    qsgd_encode_options_init(&s.options);
    s.options.ndim = 2;
    CHECK(call_encode(&s, x) == QSGD_ERR_NULL && names(&s, QSGD_ERR_NULL, "shape"));
    CHECK(qsgd_encode_sizes(&s.params, &s.options, N, &sizes, &error) == QSGD_ERR_NULL);
    CHECK(same_error(&error, &s.error));
    setup_free(&s);
}

static void answers_need_an_initialised_struct(void) {
    struct setup s = setup_new();
    qsgd_error error = error_new();
    qsgd_sizes sizes;
    memset(&sizes, 0, sizeof sizes);
    CHECK(qsgd_encode_sizes(&s.params, NULL, N, &sizes, &error) == QSGD_ERR_STRUCT_SIZE);
    CHECK(error_names(&error, QSGD_ERR_STRUCT_SIZE, "sizes"));
    CHECK(qsgd_decode_sizes(s.frame, s.frame_bytes, NULL, &sizes, &error) == QSGD_ERR_STRUCT_SIZE);
    CHECK(error_names(&error, QSGD_ERR_STRUCT_SIZE, "sizes"));
    CHECK(sizes.elements == 0 && sizes.workspace_bytes == 0 && sizes.struct_size == 0);
    CHECK(qsgd_encode_sizes(&s.params, NULL, N, NULL, &error) == QSGD_ERR_NULL);
    CHECK(error_names(&error, QSGD_ERR_NULL, "sizes"));
    CHECK(qsgd_decode_sizes(s.frame, s.frame_bytes, NULL, NULL, &error) == QSGD_ERR_NULL);
    CHECK(error_names(&error, QSGD_ERR_NULL, "sizes"));
    setup_free(&s);
}

/* Those whose elements have addresses: others are refused, not cut. */
static void the_largest_tensors_have_sizes(void) {
    const uint64_t most = SIZE_MAX < QSGD_MAX_ELEMENTS ? SIZE_MAX / 32 : QSGD_MAX_ELEMENTS;
    for (size_t i = 0; i < SCHEMES; i++) {
        const qsgd_params p = scheme_params(&schemes[i]);
        qsgd_sizes sizes = encode_sizes(&p, NULL, most);
        CHECK(sizes.elements == most && sizes.dst_bytes > most / 8);
        CHECK(sizes.workspace_bytes > 0);
        CHECK(qsgd_encode_sizes(&p, NULL, most + 1, &sizes, NULL) == QSGD_ERR_SHAPE);
    }
}

/* What a frame's own header says of it. */
static void answers_agree_with_the_frame(void) {
    static const uint64_t lengths[] = {0, 1, 99, 100, 101, 1000, 1024, 1025, N};
    static const uint32_t dtypes[] = {QSGD_FLOAT32, QSGD_FLOAT64, QSGD_FLOAT16, QSGD_BFLOAT16};
    static const uint64_t item[] = {4, 8, 2, 2};
    static const double zeros[N];
    for (size_t i = 0; i < SCHEMES; i++) {
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
            qsgd_params p = scheme_params(&schemes[i]);
            qsgd_encode_options o;
            struct parts parts;
            qsgd_encode_options_init(&o);
            o.dtype = dtypes[l % 4];
            const qsgd_sizes to = encode_sizes(&p, &o, lengths[l]);
            struct bytes b = encode_frame(&p, &o, zeros, lengths[l]);
            const qsgd_sizes from = decode_sizes(b.p, b.n, NULL);
            CHECK(frame_parts(b.p, b.n, &parts));
            CHECK(to.dtype == o.dtype && from.dtype == o.dtype);
            CHECK(to.elements == lengths[l] && from.elements == lengths[l]);
            CHECK(to.buckets == parts.info.buckets && from.buckets == parts.info.buckets);
            CHECK(to.chunks == parts.info.chunks && from.chunks == parts.info.chunks);
            CHECK(to.dst_bytes >= b.n && from.dst_bytes == lengths[l] * item[l % 4]);
            free(b.p);
        }
    }
}

/* ---- decoding -------------------------------------------------------------------------------- */

static void another_output_type_is_answered_for(void) {
    struct setup s = setup_new();
    s.decode.dtype = QSGD_FLOAT64;
    const qsgd_sizes sizes = decode_sizes(s.frame, s.frame_bytes, &s.decode);
    CHECK(sizes.dtype == QSGD_FLOAT64 && sizes.dst_bytes == 8 * N);
    setup_free(&s);
}

static void the_header_is_enough(void) {
    struct setup s = setup_new();
    qsgd_frame_info info = info_new();
    CHECK(qsgd_inspect(s.frame, s.frame_bytes, &info, NULL) == QSGD_OK);
    for (uint64_t n = 0; n <= info.header_bytes; n++) {
        struct bytes cut = bytes_copy(s.frame, n);
        qsgd_sizes sizes = sizes_new();
        qsgd_error error = error_new();
        const qsgd_status status = qsgd_decode_sizes(cut.p, n, NULL, &sizes, &error);
        CHECK(status == (n < info.header_bytes ? QSGD_ERR_NEED_MORE : QSGD_OK));
        CHECK(status == QSGD_OK ? sizes.elements == N : error.offset == n);
        free(cut.p);
    }
    setup_free(&s);
}

/* Each byte of the header set to each value, with a right checksum and without. */
static void damaged_headers_are_refused_as_by_decoding(void) {
    struct setup s = setup_new();
    const uint64_t header = load_le16(s.frame + 6);
    int refused = 0;
    for (uint64_t at = 0; at < header; at++) {
        for (unsigned value = 0; value < 512; value++) {
            struct bytes b = bytes_copy(s.frame, s.frame_bytes);
            qsgd_sizes sizes = sizes_new();
            qsgd_error asked = error_new(), decoded = error_new();
            b.p[at] = (uint8_t)value;
            if (value >= 256) repair_header(b.p, b.n);
            const qsgd_status status = qsgd_decode_sizes(b.p, b.n, NULL, &sizes, &asked);
            if (status != QSGD_OK) {
                CHECK(qsgd_decode(b.p, b.n, NULL, s.values, N, s.decode_work, &decoded) == status);
                CHECK(same_error(&asked, &decoded));
                refused++;
            }
            free(b.p);
        }
    }
    CHECK(refused > 5000);
    setup_free(&s);
}

static void bad_decode_options(struct setup *s, int which) {
    if (which == 0) s->decode.workers = 0;
    if (which == 1) s->decode.workers = QSGD_MAX_WORKERS + 1;
    if (which == 2) s->decode.flags = 4;
    if (which == 3) s->decode.reserved = 1;
    if (which == 4) s->decode.dtype = QSGD_INT32;
    if (which == 5) s->decode.dtype = 15;
    if (which == 6) s->decode.max_elements = N - 1;
    if (which == 7) s->decode.allowed_codes = ~((uint64_t)1 << QSGD_CODE_RANS);
    if (which == 8) s->decode.allowed_norms = ~(uint64_t)1;
    if (which == 9) s->decode.allowed_levels = ~(uint64_t)1;
    if (which == 10) s->decode.allowed_roundings = ~(uint64_t)1;
    if (which == 11) s->decode.shared_tables_count = 1;
}

static void bad_decode_options_are_refused_as_by_decoding(void) {
    for (int which = 0; which < 12; which++) {
        struct setup s = setup_new();
        qsgd_sizes sizes = sizes_new();
        qsgd_error error = error_new();
        uint64_t bytes;
        bad_decode_options(&s, which);
        const qsgd_status status = call_decode(&s, s.values);
        CHECK(status != QSGD_OK && s.error.reason != NULL);
        CHECK(qsgd_decode_sizes(s.frame, s.frame_bytes, &s.decode, &sizes, &error) == status);
        CHECK(same_error(&error, &s.error));
        CHECK(qsgd_decode_range(s.frame, s.frame_bytes, &s.decode, 0, 5, s.values, s.decode_work,
                                &error) == status);
        CHECK(same_error(&error, &s.error));
        qsgd_memory dst = {&s, 77};
        CHECK(qsgd_decode_alloc(s.frame, s.frame_bytes, &s.decode, NULL, &dst, NULL, &error) ==
              status);
        CHECK(same_error(&error, &s.error) && dst.data == NULL && dst.bytes == 0);
        if (which != 4 && which != 5) { /* these do not use dtype */
            CHECK(qsgd_decode_add(s.frame, s.frame_bytes, &s.decode, 1, s.values, N, s.decode_work,
                                  &error) == status);
            CHECK(same_error(&error, &s.error));
            CHECK(qsgd_decode_indices(s.frame, s.frame_bytes, &s.decode, &s.quantized,
                                      s.decode_work, &error) == status);
            CHECK(same_error(&error, &s.error));
            CHECK(qsgd_encode_indices_like(s.frame, s.frame_bytes, &s.decode, &s.quantized, s.dst,
                                           s.decode_work, &bytes, &error) == status);
            CHECK(same_error(&error, &s.error));
        }
        setup_free(&s);
    }
}

int main(void) {
    fill_tensor(x, N, 5);
    bad_options_are_refused_as_by_encoding();
    options_that_go_ill_together_are_refused_as_by_encoding();
    answers_need_an_initialised_struct();
    the_largest_tensors_have_sizes();
    answers_agree_with_the_frame();
    another_output_type_is_answered_for();
    the_header_is_enough();
    damaged_headers_are_refused_as_by_decoding();
    bad_decode_options_are_refused_as_by_decoding();
    return check_result();
}
