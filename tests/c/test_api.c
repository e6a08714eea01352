/* The public interface's arguments: what every function refuses, with which status and naming which
 * parameter (qsgd.h), and that the size queries are exact. Parameters are test_params.c's. */
#include "setup.h"

static void bad_options_are_named(void) {
    struct setup s = setup_new();
    const qsgd_encode_options good = s.options;
    const uint64_t huge[2] = {QSGD_MAX_ELEMENTS, 2}, other[2] = {N, 2};
    s.options.workers = 0;
    CHECK(call_encode(&s, x) == QSGD_ERR_PARAM && names(&s, QSGD_ERR_PARAM, "workers"));
    s.options.workers = 257;
    CHECK(call_encode(&s, x) == QSGD_ERR_PARAM && names(&s, QSGD_ERR_PARAM, "workers"));
    s.options = good;
    s.options.dtype = 15;
    CHECK(call_encode(&s, x) == QSGD_ERR_DTYPE && names(&s, QSGD_ERR_DTYPE, "dtype"));
    s.options.dtype = QSGD_INT32;
    CHECK(call_encode(&s, x) == QSGD_ERR_DTYPE && names(&s, QSGD_ERR_DTYPE, "dtype"));
    s.options = good;
    s.options.ndim = 9;
    CHECK(call_encode(&s, x) == QSGD_ERR_SHAPE && names(&s, QSGD_ERR_SHAPE, "ndim"));
    s.options.ndim = 2;
    CHECK(call_encode(&s, x) == QSGD_ERR_NULL && names(&s, QSGD_ERR_NULL, "shape"));
    s.options.shape = huge;
    CHECK(call_encode(&s, x) == QSGD_ERR_SHAPE && names(&s, QSGD_ERR_SHAPE, "shape"));
    s.options.shape = other;
    CHECK(call_encode(&s, x) == QSGD_ERR_SHAPE && names(&s, QSGD_ERR_SHAPE, "shape"));
    s.options.ndim = 0; /* one element, not N */
    CHECK(call_encode(&s, x) == QSGD_ERR_SHAPE && names(&s, QSGD_ERR_SHAPE, "shape"));
    s.options = good;
    s.options.tag_bytes = QSGD_MAX_TAG + 1;
    s.options.tag = x;
    CHECK(call_encode(&s, x) == QSGD_ERR_PARAM && names(&s, QSGD_ERR_PARAM, "tag_bytes"));
    s.options.tag_bytes = 1;
    s.options.tag = NULL;
    CHECK(call_encode(&s, x) == QSGD_ERR_NULL && names(&s, QSGD_ERR_NULL, "tag"));
    s.options = good;
    s.options.residual = s.values;
    s.options.dtype = QSGD_BFLOAT16;
    CHECK(call_encode(&s, x) == QSGD_ERR_DTYPE && names(&s, QSGD_ERR_DTYPE, "residual"));
    s.options = good;
    s.options.struct_size--;
    CHECK(call_encode(&s, x) == QSGD_ERR_STRUCT_SIZE);
    setup_free(&s);
}

/* ---- buffers --------------------------------------------------------------------------------- */

static void one_byte_less_of_workspace_is_refused(void) {
    struct setup s = setup_new();
    CHECK(qsgd_quantize(&s.params, NULL, x, &s.quantized, s.work, NULL) == QSGD_OK);
    s.work.bytes--;
    CHECK(call_encode(&s, x) == QSGD_ERR_WORKSPACE && names(&s, QSGD_ERR_WORKSPACE, "workspace"));
    CHECK(s.error.needed == s.work.bytes + 1);
    CHECK(qsgd_quantize(&s.params, NULL, x, &s.quantized, s.work, NULL) == QSGD_ERR_WORKSPACE);
    CHECK(qsgd_dequantize(&s.params, NULL, &s.quantized, s.values, s.work, NULL) ==
          QSGD_ERR_WORKSPACE);
    s.work.bytes++;
    CHECK(call_encode(&s, x) == QSGD_OK);
    s.decode_work.bytes--;
    CHECK(call_decode(&s, s.values) == QSGD_ERR_WORKSPACE);
    CHECK(names(&s, QSGD_ERR_WORKSPACE, "workspace"));
    CHECK(s.error.needed == s.decode_work.bytes + 1);
    s.decode_work.bytes++;
    CHECK(call_decode(&s, s.values) == QSGD_OK);
    setup_free(&s);
}

/* Of exactly the size that was asked for, at each place relative to a vector. */
static void workspaces_have_any_alignment(void) {
    struct setup s = setup_new();
    static float expected[N];
    uint64_t bytes = 0;
    CHECK(qsgd_decode(s.frame, s.frame_bytes, NULL, expected, N, s.decode_work, NULL) == QSGD_OK);
    for (size_t shift = 0; shift < 65; shift++) {
        const uint64_t most =
            s.work.bytes > s.decode_work.bytes ? s.work.bytes : s.decode_work.bytes;
        uint8_t *block = malloc((size_t)most + shift);
        const qsgd_memory work = {block + shift, s.work.bytes};
        const qsgd_memory decode_work = {block + shift, s.decode_work.bytes};
        memset(s.values, 0x5A, sizeof expected);
        CHECK(qsgd_encode(&s.params, NULL, x, N, s.dst, work, &bytes, NULL) == QSGD_OK);
        CHECK(bytes == s.frame_bytes && memcmp(s.dst.data, s.frame, (size_t)bytes) == 0);
        CHECK(qsgd_decode(s.frame, bytes, NULL, s.values, N, decode_work, NULL) == QSGD_OK);
        CHECK(memcmp(s.values, expected, sizeof expected) == 0);
        free(block);
    }
    setup_free(&s);
}

static void other_counts_of_elements_are_refused(void) {
    struct setup s = setup_new();
    for (uint64_t n = 0; n < 2 * N; n += n == N - 1 ? 2 : 1) {
        s.n = n;
        CHECK(call_decode(&s, s.values) == QSGD_ERR_LENGTH && names(&s, QSGD_ERR_LENGTH, "n"));
    }
    setup_free(&s);
}

static void null_structs_are_refused(void) {
    qsgd_sizes sizes = sizes_new();
    CHECK(qsgd_params_init((qsgd_params *)NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_encode_options_init((qsgd_encode_options *)NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_decode_options_init((qsgd_decode_options *)NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_error_init((qsgd_error *)NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_sizes_init((qsgd_sizes *)NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_frame_info_init((qsgd_frame_info *)NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_params_check(NULL, NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_encode_sizes(NULL, NULL, N, &sizes, NULL) == QSGD_ERR_NULL);
}

static void backends_are_refused_by_name(void) {
    qsgd_error error = error_new();
    CHECK(qsgd_set_backend(NULL, &error) == QSGD_ERR_NULL);
    CHECK(error_names(&error, QSGD_ERR_NULL, "name"));
    CHECK(qsgd_set_backend("none such", &error) == QSGD_ERR_BACKEND);
    CHECK(error_names(&error, QSGD_ERR_BACKEND, "name"));
    CHECK(qsgd_set_backend("none such", NULL) == QSGD_ERR_BACKEND);
}

static void null_pointers_of_encoding_are_named(void) {
    struct setup s = setup_new();
    const struct setup good = s;
    uint64_t bytes;
    CHECK(call_encode(&s, NULL) == QSGD_ERR_NULL && names(&s, QSGD_ERR_NULL, "src"));
    s.dst.data = NULL;
    CHECK(call_encode(&s, x) == QSGD_ERR_NULL && names(&s, QSGD_ERR_NULL, "dst"));
    s.dst = good.dst;
    s.work.data = NULL;
    CHECK(call_encode(&s, x) == QSGD_ERR_NULL && names(&s, QSGD_ERR_NULL, "workspace"));
    s.work = good.work;
    CHECK(qsgd_encode(&s.params, NULL, x, N, s.dst, s.work, NULL, &s.error) == QSGD_ERR_NULL);
    CHECK(names(&s, QSGD_ERR_NULL, "frame_bytes"));
    CHECK(qsgd_encode(NULL, NULL, x, N, s.dst, s.work, &bytes, &s.error) == QSGD_ERR_NULL);
    CHECK(names(&s, QSGD_ERR_NULL, "params"));
    CHECK(qsgd_quantize(&s.params, NULL, x, NULL, s.work, &s.error) == QSGD_ERR_NULL);
    CHECK(names(&s, QSGD_ERR_NULL, "quantized"));
    CHECK(qsgd_quantize(&s.params, NULL, NULL, &s.quantized, s.work, NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_dequantize(&s.params, NULL, &s.quantized, NULL, s.work, &s.error) == QSGD_ERR_NULL);
    CHECK(names(&s, QSGD_ERR_NULL, "dst"));
    for (int part = 0; part < 2; part++) {
        if (part == 0) s.quantized.indices = NULL;
        if (part == 1) s.quantized.scales = NULL;
        const char *name = part == 0 ? "indices" : "scales";
        CHECK(qsgd_quantize(&s.params, NULL, x, &s.quantized, s.work, &s.error) == QSGD_ERR_NULL);
        CHECK(names(&s, QSGD_ERR_NULL, name));
        CHECK(qsgd_dequantize(&s.params, NULL, &s.quantized, s.values, s.work, &s.error) ==
              QSGD_ERR_NULL);
        CHECK(names(&s, QSGD_ERR_NULL, name));
        CHECK(qsgd_encode_indices(&s.params, NULL, &s.quantized, s.dst, s.work, &bytes, &s.error) ==
              QSGD_ERR_NULL);
        CHECK(names(&s, QSGD_ERR_NULL, name));
        CHECK(qsgd_turn_indices(&s.params, 0, &s.quantized, &s.error) == QSGD_ERR_NULL);
        CHECK(names(&s, QSGD_ERR_NULL, name));
        CHECK(qsgd_decode_indices(s.frame, s.frame_bytes, NULL, &s.quantized, s.decode_work,
                                  &s.error) == QSGD_ERR_NULL);
        CHECK(names(&s, QSGD_ERR_NULL, name));
        s.quantized = good.quantized;
    }
    setup_free(&s);
}

static void null_pointers_of_decoding_are_named(void) {
    struct setup s = setup_new();
    const qsgd_memory work = s.decode_work;
    qsgd_frame_info info = info_new();
    qsgd_params params = s.params;
    uint64_t bytes;
    s.decode_work.data = NULL;
    CHECK(call_decode(&s, s.values) == QSGD_ERR_NULL && names(&s, QSGD_ERR_NULL, "workspace"));
    s.decode_work = work;
    CHECK(call_decode(&s, NULL) == QSGD_ERR_NULL && names(&s, QSGD_ERR_NULL, "dst"));
    CHECK(qsgd_decode(NULL, 5, NULL, s.values, N, work, &s.error) == QSGD_ERR_NULL);
    CHECK(names(&s, QSGD_ERR_NULL, "frame"));
    CHECK(qsgd_decode_add(s.frame, s.frame_bytes, NULL, 1, NULL, N, work, &s.error) ==
          QSGD_ERR_NULL);
    CHECK(names(&s, QSGD_ERR_NULL, "acc"));
    CHECK(qsgd_decode_sum(NULL, 1, NULL, s.values, N, work, &s.error) == QSGD_ERR_NULL);
    CHECK(names(&s, QSGD_ERR_NULL, "frames"));
    CHECK(qsgd_decode_range(s.frame, s.frame_bytes, NULL, 0, 5, NULL, work, &s.error) ==
          QSGD_ERR_NULL);
    CHECK(names(&s, QSGD_ERR_NULL, "dst"));
    CHECK(qsgd_decode_indices(s.frame, s.frame_bytes, NULL, NULL, work, &s.error) == QSGD_ERR_NULL);
    CHECK(names(&s, QSGD_ERR_NULL, "quantized"));
    CHECK(qsgd_frame_size(NULL, 5, UINT64_MAX, &bytes, NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_frame_size(s.frame, 16, UINT64_MAX, NULL, &s.error) == QSGD_ERR_NULL);
    CHECK(names(&s, QSGD_ERR_NULL, "frame_bytes"));
    CHECK(qsgd_inspect(s.frame, s.frame_bytes, NULL, &s.error) == QSGD_ERR_NULL);
    CHECK(names(&s, QSGD_ERR_NULL, "info"));
    CHECK(qsgd_inspect(NULL, 5, &info, NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_inspect_params(s.frame, s.frame_bytes, NULL, s.values, &s.error) == QSGD_ERR_NULL);
    CHECK(names(&s, QSGD_ERR_NULL, "params"));
    CHECK(qsgd_inspect_params(s.frame, s.frame_bytes, &params, NULL, &s.error) == QSGD_OK);
    params = scheme_params(&schemes[4]);
    struct bytes signed_levels = encode_frame(&params, NULL, x, N);
    CHECK(qsgd_inspect_params(signed_levels.p, signed_levels.n, &params, NULL, &s.error) ==
          QSGD_ERR_NULL); /* there are levels to give */
    CHECK(names(&s, QSGD_ERR_NULL, "level_table"));
    free(signed_levels.p);
    info.struct_size = 8;
    CHECK(qsgd_inspect(s.frame, s.frame_bytes, &info, NULL) == QSGD_ERR_STRUCT_SIZE);
    s.decode.struct_size--;
    CHECK(call_decode(&s, s.values) == QSGD_ERR_STRUCT_SIZE);
    setup_free(&s);
}

static void turned_indices_turn_back_and_bad_ones_are_named(void) {
    static int16_t indices[1000], turned[1000];
    static float scales[10];
    const qsgd_quantized quantized = {turned, scales, NULL, 1000};
    qsgd_params p;
    qsgd_error error = error_new();
    p = params_qsgd();
    p.bucket = 100;
    p.rounding = QSGD_ROUND_DITHERED;
    for (int i = 0; i < 1000; i++) indices[i] = (int16_t)(i % 15 - 7);
    for (int b = 0; b < 10; b++) scales[b] = b == 3 ? 0 : 1;
    for (int stochastic = 0; stochastic < 2; stochastic++) {
        int changed = 0;
        if (stochastic != 0) p.rounding = QSGD_ROUND_STOCHASTIC;
        memcpy(turned, indices, sizeof turned);
        CHECK(qsgd_turn_indices(&p, 9, &quantized, NULL) == QSGD_OK);
        for (int i = 0; i < 1000; i++) {
            CHECK(turned[i] == indices[i] || turned[i] == -indices[i]);
            CHECK(i / 100 != 3 || turned[i] == indices[i]); /* an idle bucket */
            changed += turned[i] != indices[i];
        }
        CHECK(stochastic != 0 ? changed == 0 : changed > 300);
        CHECK(qsgd_turn_indices(&p, 9, &quantized, NULL) == QSGD_OK);
        CHECK(memcmp(turned, indices, sizeof turned) == 0);
    }
    turned[777] = 8;
    CHECK(qsgd_turn_indices(&p, 9, &quantized, &error) == QSGD_ERR_INDEX);
    CHECK(error.element == 777);
    scales[4] = -1;
    CHECK(qsgd_turn_indices(&p, 9, &quantized, &error) == QSGD_ERR_INDEX);
    CHECK(error.bucket == 4);
    p.code = QSGD_CODE_RAW;
    CHECK(qsgd_turn_indices(&p, 9, &quantized, NULL) == QSGD_ERR_COMBINATION);
    CHECK(qsgd_turn_indices(&p, 9, &(qsgd_quantized){NULL, NULL, NULL, 0}, NULL) ==
          QSGD_ERR_COMBINATION);
}

/* Zeros behind a frame are taken if the caller says so; other bytes never are. */
static void padding_is_taken_where_it_is_expected(void) {
    static float x[700], plain[700], padded[700];
    static uint8_t slot[8192];
    qsgd_params p = params_qsgd();
    fill_tensor(x, 700, 5);
    const struct bytes frame = encode_frame(&p, NULL, x, 700);
    const uint64_t more = frame.n + 100;
    memcpy(slot, frame.p, (size_t)frame.n);
    CHECK(decode_frame(frame.p, frame.n, QSGD_DECODE_PADDED, plain, 700, NULL) == QSGD_OK);
    CHECK(decode_frame(slot, more, QSGD_DECODE_PADDED | QSGD_DECODE_ATOMIC, padded, 700, NULL) ==
          QSGD_OK);
    CHECK(memcmp(plain, padded, sizeof plain) == 0);
    CHECK(decode_frame(slot, more, 0, padded, 700, NULL) == QSGD_ERR_TRAILING);
    for (uint64_t at = frame.n; at < more; at += 33) {
        slot[at] = 1;
        CHECK(decode_frame(slot, more, QSGD_DECODE_PADDED, padded, 700, NULL) == QSGD_ERR_TRAILING);
        slot[at] = 0;
    }
    CHECK(decode_frame(slot, frame.n - 1, QSGD_DECODE_PADDED, padded, 700, NULL) ==
          QSGD_ERR_NEED_MORE);
    free(frame.p);
}

static void decode_options_are_checked(void) {
    struct setup s = setup_new();
    const qsgd_decode_options good = s.decode;
    s.decode.workers = 0;
    CHECK(call_decode(&s, s.values) == QSGD_ERR_PARAM && names(&s, QSGD_ERR_PARAM, "workers"));
    s.decode = good;
    s.decode.flags = 4;
    CHECK(call_decode(&s, s.values) == QSGD_ERR_PARAM && names(&s, QSGD_ERR_PARAM, "flags"));
    s.decode = good;
    for (uint32_t dtype = QSGD_INT8; dtype < 17; dtype++) {
        s.decode.dtype = dtype;
        CHECK(call_decode(&s, s.values) == QSGD_ERR_DTYPE && names(&s, QSGD_ERR_DTYPE, "dtype"));
    }
    static const uint64_t ranges[][2] = {{1, 0}, {0, N + 1}, {N + 1, N + 1}, {UINT64_MAX, 0}};
    for (int i = 0; i < 4; i++) {
        CHECK(qsgd_decode_range(s.frame, s.frame_bytes, &good, ranges[i][0], ranges[i][1], s.values,
                                s.decode_work, &s.error) == QSGD_ERR_RANGE);
    }
    setup_free(&s);
}

/* A name for each number that the header has, and a sentence of its own. */
static void every_status_has_its_own_name_and_sentence(void) {
    int named = 0;
    for (qsgd_status a = -100; a <= 10; a++) {
        const char *name = qsgd_status_name(a), *message = qsgd_status_message(a);
        CHECK(message != NULL && strlen(message) > 1);
        if (strcmp(name, "QSGD_ERR_UNKNOWN") == 0) continue;
        named++;
        CHECK(strncmp(name, a == QSGD_OK ? "QSGD_OK" : "QSGD_ERR_", 7) == 0);
        CHECK(strcmp(message, qsgd_status_message(-1000)) != 0);
        for (qsgd_status b = -100; b < a; b++) {
            CHECK(strcmp(name, qsgd_status_name(b)) != 0);
            CHECK(strcmp(message, qsgd_status_message(b)) != 0);
        }
    }
    CHECK(named == 1 + 7 + 7 + 3 + 19 + 3);
    CHECK(strcmp(qsgd_status_name(QSGD_OK), "QSGD_OK") == 0);
    CHECK(strcmp(qsgd_status_name(QSGD_ERR_TRAILING), "QSGD_ERR_TRAILING") == 0);
    CHECK(strcmp(qsgd_status_name(QSGD_ERR_SELFTEST), "QSGD_ERR_SELFTEST") == 0);
    CHECK(strcmp(qsgd_status_name(INT32_MIN), "QSGD_ERR_UNKNOWN") == 0);
    CHECK(strcmp(qsgd_status_name(INT32_MAX), "QSGD_ERR_UNKNOWN") == 0);
    CHECK(strcmp(qsgd_status_message(INT32_MIN), qsgd_status_message(INT32_MAX)) == 0);
    CHECK(strcmp(qsgd_status_message(QSGD_ERR_MAGIC), "not a frame") == 0);
    CHECK(qsgd_version() ==
          QSGD_VERSION_MAJOR * 10000 + QSGD_VERSION_MINOR * 100 + QSGD_VERSION_PATCH);
}

int main(void) {
    fill_tensor(x, N, 5);
    bad_options_are_named();
    one_byte_less_of_workspace_is_refused();
    workspaces_have_any_alignment();
    other_counts_of_elements_are_refused();
    null_structs_are_refused();
    backends_are_refused_by_name();
    null_pointers_of_encoding_are_named();
    null_pointers_of_decoding_are_named();
    turned_indices_turn_back_and_bad_ones_are_named();
    decode_options_are_checked();
    padding_is_taken_where_it_is_expected();
    every_status_has_its_own_name_and_sentence();
    return check_result();
}
