/* The public interface's arguments: what every function refuses, with which status and naming which
 * parameter (qsgd.h), and that the size queries are exact. Parameters are test_params.c's. */
#include "setup.h"

static void bad_options_are_named(void) {
    struct setup s = setup_new();
    const struct qsgd_encode_options good = s.options;
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
    s.options.struct_size++;
    CHECK(call_encode(&s, x) == QSGD_ERR_STRUCT_SIZE);
    CHECK(qsgd_encode_bound(&s.params, &s.options, N) == 0);
    CHECK(qsgd_encode_workspace(&s.params, &good, QSGD_MAX_ELEMENTS + 1) == 0);
    CHECK(qsgd_encode_bound(&s.params, &good, QSGD_MAX_ELEMENTS) > QSGD_MAX_ELEMENTS / 2);
    setup_free(&s);
}

/* ---- buffers
 * ------------------------------------------------------------------------------------- */

static void one_byte_less_than_the_queries_is_refused(void) {
    struct setup s = setup_new();
    s.bound--;
    CHECK(call_encode(&s, x) == QSGD_ERR_DST_TOO_SMALL);
    s.bound++;
    s.work_bytes--;
    CHECK(call_encode(&s, x) == QSGD_ERR_WORKSPACE && names(&s, QSGD_ERR_WORKSPACE, "workspace"));
    CHECK(qsgd_quantize(&s.params, NULL, x, N, s.indices, s.scales, s.alphas, s.work, s.work_bytes,
                        NULL) == QSGD_ERR_WORKSPACE);
    s.work_bytes++;
    CHECK(call_encode(&s, x) == QSGD_OK);
    uint8_t *aligned = s.work;
    for (int shift = 1; shift < 64; shift += shift) {
        s.work = aligned + shift;
        CHECK(call_encode(&s, x) == QSGD_ERR_WORKSPACE);
        CHECK(call_decode(&s, s.values) == QSGD_ERR_WORKSPACE);
    }
    s.work = aligned;
    s.decode_work_bytes--;
    CHECK(call_decode(&s, s.values) == QSGD_ERR_WORKSPACE);
    s.decode_work_bytes++;
    CHECK(call_decode(&s, s.values) == QSGD_OK);
    for (uint64_t n = 0; n < 2 * N; n += n == N - 1 ? 2 : 1) {
        s.n = n;
        CHECK(call_decode(&s, s.values) == QSGD_ERR_LENGTH && names(&s, QSGD_ERR_LENGTH, "n"));
    }
    setup_free(&s);
}

static void null_pointers_are_named(void) {
    struct setup s = setup_new();
    struct qsgd_frame_info info = {.struct_size = sizeof info};
    uint64_t bytes;
    uint8_t *dst = s.dst, *work = s.work;
    CHECK(qsgd_params_init(NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_encode_options_init(NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_decode_options_init(NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_params_check(NULL, NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_set_backend(NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_set_backend("none such") == QSGD_ERR_BACKEND);
    CHECK(qsgd_encode_bound(NULL, NULL, N) == 0);
    CHECK(call_encode(&s, NULL) == QSGD_ERR_NULL && names(&s, QSGD_ERR_NULL, "src"));
    s.dst = NULL;
    CHECK(call_encode(&s, x) == QSGD_ERR_NULL && names(&s, QSGD_ERR_NULL, "dst"));
    s.dst = dst;
    s.work = NULL;
    CHECK(call_encode(&s, x) == QSGD_ERR_NULL && names(&s, QSGD_ERR_NULL, "workspace"));
    CHECK(call_decode(&s, s.values) == QSGD_ERR_NULL && names(&s, QSGD_ERR_NULL, "workspace"));
    s.work = work;
    CHECK(qsgd_encode(&s.params, NULL, x, N, s.dst, s.bound, s.work, s.work_bytes, NULL, NULL) ==
          QSGD_ERR_NULL);
    CHECK(call_decode(&s, NULL) == QSGD_ERR_NULL && names(&s, QSGD_ERR_NULL, "dst"));
    CHECK(qsgd_decode(NULL, 5, NULL, s.values, N, s.work, s.work_bytes, NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_frame_size(NULL, 5, &bytes, NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_frame_size(s.frame, 16, NULL, NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_frame_info(s.frame, s.frame_bytes, NULL, NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_frame_info(NULL, 5, &info, NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_decode_workspace(s.frame, s.frame_bytes, NULL, NULL, NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_decode_sum(NULL, NULL, 1, NULL, NULL, s.values, N, s.work, s.work_bytes, NULL,
                          NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_decode_indices(s.frame, s.frame_bytes, NULL, NULL, s.scales, NULL, N, s.work,
                              WORK_BYTES, NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_quantize(&s.params, NULL, x, N, s.indices, NULL, NULL, s.work, s.work_bytes, NULL) ==
          QSGD_ERR_NULL);
    CHECK(qsgd_dequantize(&s.params, 0, s.indices, s.scales, NULL, N, 0, NULL, s.work, s.work_bytes,
                          NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_turn_indices(&s.params, 0, NULL, s.scales, N, NULL) == QSGD_ERR_NULL);
    CHECK(qsgd_turn_indices(&s.params, 0, s.indices, NULL, N, NULL) == QSGD_ERR_NULL);
    info.struct_size = 8;
    CHECK(qsgd_frame_info(s.frame, s.frame_bytes, &info, NULL) == QSGD_ERR_STRUCT_SIZE);
    s.decode.struct_size--;
    CHECK(call_decode(&s, s.values) == QSGD_ERR_STRUCT_SIZE);
    setup_free(&s);
}

static void turned_indices_turn_back_and_bad_ones_are_named(void) {
    static int16_t indices[1000], turned[1000];
    static float scales[10];
    struct qsgd_params p;
    struct qsgd_error error = {.struct_size = sizeof error};
    qsgd_params_init(&p);
    p.bucket = 100;
    p.rounding = QSGD_ROUND_DITHERED;
    for (int i = 0; i < 1000; i++) indices[i] = (int16_t)(i % 15 - 7);
    for (int b = 0; b < 10; b++) scales[b] = b == 3 ? 0 : 1;
    for (int stochastic = 0; stochastic < 2; stochastic++) {
        int changed = 0;
        if (stochastic != 0) p.rounding = QSGD_ROUND_STOCHASTIC;
        memcpy(turned, indices, sizeof turned);
        CHECK(qsgd_turn_indices(&p, 9, turned, scales, 1000, NULL) == QSGD_OK);
        for (int i = 0; i < 1000; i++) {
            CHECK(turned[i] == indices[i] || turned[i] == -indices[i]);
            CHECK(i / 100 != 3 || turned[i] == indices[i]); /* an idle bucket */
            changed += turned[i] != indices[i];
        }
        CHECK(stochastic != 0 ? changed == 0 : changed > 300);
        CHECK(qsgd_turn_indices(&p, 9, turned, scales, 1000, NULL) == QSGD_OK);
        CHECK(memcmp(turned, indices, sizeof turned) == 0);
    }
    turned[777] = 8;
    CHECK(qsgd_turn_indices(&p, 9, turned, scales, 1000, &error) == QSGD_ERR_INDEX);
    CHECK(error.element == 777);
    scales[4] = -1;
    CHECK(qsgd_turn_indices(&p, 9, turned, scales, 1000, &error) == QSGD_ERR_INDEX);
    CHECK(error.bucket == 4);
    p.code = QSGD_CODE_RAW;
    CHECK(qsgd_turn_indices(&p, 9, turned, scales, 1000, NULL) == QSGD_ERR_COMBINATION);
    CHECK(qsgd_turn_indices(&p, 9, NULL, NULL, 0, NULL) == QSGD_ERR_COMBINATION);
}

static void overlaps_are_refused(void) {
    struct setup s = setup_new();
    uint64_t bytes;
    uint8_t *both = aligned_bytes(s.bound + sizeof x + s.work_bytes + 64);
    CHECK(qsgd_encode(&s.params, NULL, both + s.bound - 1, N, both, s.bound, s.work, s.work_bytes,
                      &bytes, NULL) == QSGD_ERR_OVERLAP);
    CHECK(qsgd_encode(&s.params, NULL, both, N, both + sizeof x - 1, s.bound, s.work, s.work_bytes,
                      &bytes, NULL) == QSGD_ERR_OVERLAP);
    CHECK(qsgd_encode(&s.params, NULL, x, N, both + s.work_bytes - 1, s.bound, both, s.work_bytes,
                      &bytes, NULL) == QSGD_ERR_OVERLAP);
    s.options.residual = s.values;
    CHECK(qsgd_encode(&s.params, &s.options, s.values, N, s.dst, s.bound, s.work, WORK_BYTES,
                      &bytes, NULL) == QSGD_ERR_OVERLAP);
    memcpy(both, s.frame, (size_t)s.frame_bytes);
    CHECK(qsgd_decode(both, s.frame_bytes, NULL, both + s.frame_bytes - 1, N, s.work, WORK_BYTES,
                      NULL) == QSGD_ERR_OVERLAP);
    CHECK(qsgd_decode(s.frame, s.frame_bytes, NULL, both + s.decode_work_bytes - 4, N, both,
                      s.decode_work_bytes, NULL) == QSGD_ERR_OVERLAP);
    CHECK(memcmp(both, s.frame, (size_t)s.frame_bytes) == 0); /* nothing was written */
    uint8_t *tail = both + s.decode_work_bytes - 64; /* the frame's start is the scratch's end */
    memcpy(tail, s.frame, (size_t)s.frame_bytes);
    CHECK(qsgd_decode(tail, s.frame_bytes, NULL, s.values, N, both, s.decode_work_bytes, NULL) ==
          QSGD_ERR_OVERLAP);
    memcpy(both, s.frame, (size_t)s.frame_bytes); /* and the frame is the scratch */
    CHECK(qsgd_decode(both, s.frame_bytes, NULL, s.values, N, both, s.decode_work_bytes, NULL) ==
          QSGD_ERR_OVERLAP);
    CHECK(memcmp(both, s.frame, (size_t)s.frame_bytes) == 0);
    free(both);
    setup_free(&s);
}

static void decode_options_are_checked(void) {
    struct setup s = setup_new();
    const struct qsgd_decode_options good = s.decode;
    s.decode.workers = 0;
    CHECK(call_decode(&s, s.values) == QSGD_ERR_PARAM && names(&s, QSGD_ERR_PARAM, "workers"));
    s.decode = good;
    s.decode.flags = 2;
    CHECK(call_decode(&s, s.values) == QSGD_ERR_PARAM && names(&s, QSGD_ERR_PARAM, "flags"));
    s.decode = good;
    for (uint32_t dtype = QSGD_INT8; dtype < 17; dtype++) {
        s.decode.dtype = dtype;
        CHECK(call_decode(&s, s.values) == QSGD_ERR_DTYPE && names(&s, QSGD_ERR_DTYPE, "dtype"));
    }
    static const uint64_t ranges[][2] = {{1, 0}, {0, N + 1}, {N + 1, N + 1}, {UINT64_MAX, 0}};
    for (int i = 0; i < 4; i++) {
        CHECK(qsgd_decode_range(s.frame, s.frame_bytes, &good, ranges[i][0], ranges[i][1], s.values,
                                s.work, WORK_BYTES, &s.error) == QSGD_ERR_RANGE);
    }
    setup_free(&s);
}

static void every_status_has_its_own_name(void) {
    int named = 0;
    for (qsgd_status a = -100; a <= 10; a++) {
        const char *name = qsgd_status_name(a);
        if (strcmp(name, "QSGD_ERR_UNKNOWN") == 0) continue;
        named++;
        for (qsgd_status b = -100; b < a; b++) CHECK(strcmp(name, qsgd_status_name(b)) != 0);
    }
    CHECK(named == 1 + 7 + 7 + 2 + 19);
    CHECK(strcmp(qsgd_status_name(QSGD_OK), "QSGD_OK") == 0);
    CHECK(strcmp(qsgd_status_name(QSGD_ERR_TRAILING), "QSGD_ERR_TRAILING") == 0);
    CHECK(qsgd_version() ==
          QSGD_VERSION_MAJOR * 10000 + QSGD_VERSION_MINOR * 100 + QSGD_VERSION_PATCH);
}

int main(void) {
    fill_tensor(x, N, 5);
    bad_options_are_named();
    one_byte_less_than_the_queries_is_refused();
    null_pointers_are_named();
    turned_indices_turn_back_and_bad_ones_are_named();
    overlaps_are_refused();
    decode_options_are_checked();
    every_status_has_its_own_name();
    return check_result();
}
