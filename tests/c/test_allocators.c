/* One call for one frame (qsgd.h): what the caller's allocator is asked for, what becomes of it
 * when it fails, and what is refused before it is asked. */
#include "counting.h"
#include "support.h"

#define N 2100
#define MOST_BY_DEFAULT ((uint64_t)1 << 28)

static float x[N];

static bool nothing(const qsgd_memory *memory) {
    return memory->data == NULL && memory->bytes == 0;
}

/* ---- success ----------------------------------------------------------------------------------
 */

static void frames_and_elements_are_those_of_the_longer_calls(void) {
    for (size_t i = 0; i < SCHEMES; i++) {
        const qsgd_params params = scheme_params(&schemes[i]);
        struct counting c = counting_new();
        const qsgd_allocator allocator = counting_allocator(&c);
        struct bytes expected = encode_frame(&params, NULL, x, N);
        qsgd_memory frame = {&c, 7}, dst = {&c, 7};
        qsgd_frame_info info = info_new();
        float values[N];
        CHECK(decode_frame(expected.p, expected.n, 0, values, N, NULL) == QSGD_OK);
        CHECK(qsgd_encode_alloc(&params, NULL, x, N, &allocator, &frame, NULL) == QSGD_OK);
        CHECK(frame.bytes == expected.n && memcmp(frame.data, expected.p, (size_t)expected.n) == 0);
        CHECK(counting_left(&c) == frame.bytes); /* no more is kept than it takes */
        qsgd_free(&allocator, frame.data);
        CHECK(c.live == 0 && c.calls >= 1);
        CHECK(qsgd_decode_alloc(expected.p, expected.n, NULL, &allocator, &dst, &info, NULL) ==
              QSGD_OK);
        CHECK(dst.bytes == sizeof values && memcmp(dst.data, values, sizeof values) == 0);
        CHECK(counting_left(&c) == dst.bytes);
        CHECK(info.elements == N && info.frame_bytes == expected.n && info.dtype == QSGD_FLOAT32);
        qsgd_free(&allocator, dst.data);
        CHECK(c.live == 0);
        free(expected.p);
    }
}

static void malloc_serves_where_no_allocator_is_given(void) {
    const qsgd_params params = scheme_params(&schemes[16]);
    qsgd_decode_options options;
    qsgd_memory frame, dst;
    qsgd_decode_options_init(&options);
    options.dtype = QSGD_FLOAT64;
    CHECK(qsgd_encode_alloc(&params, NULL, x, N, NULL, &frame, NULL) == QSGD_OK);
    CHECK(qsgd_decode_alloc(frame.data, frame.bytes, &options, NULL, &dst, NULL, NULL) == QSGD_OK);
    CHECK(dst.bytes == N * sizeof(double));
    qsgd_free(NULL, dst.data);
    qsgd_free(NULL, frame.data);
    qsgd_free(NULL, NULL);
}

/* The tensor of no elements has a frame, and no memory of its own. */
static void empty_tensors_have_a_frame_and_no_elements(void) {
    for (size_t i = 0; i < SCHEMES; i++) {
        const qsgd_params params = scheme_params(&schemes[i]);
        struct counting c = counting_new();
        const qsgd_allocator allocator = counting_allocator(&c);
        qsgd_memory frame, dst = {&c, 7};
        qsgd_frame_info info = info_new();
        CHECK(qsgd_encode_alloc(&params, NULL, NULL, 0, &allocator, &frame, NULL) == QSGD_OK);
        CHECK(frame.bytes > 0 && counting_left(&c) == frame.bytes);
        info.elements = 99;
        CHECK(qsgd_decode_alloc(frame.data, frame.bytes, NULL, &allocator, &dst, &info, NULL) ==
              QSGD_OK);
        CHECK(nothing(&dst) && c.live == 1);
        CHECK(info.elements == 0 && info.frame_bytes == frame.bytes);
        qsgd_free(&allocator, dst.data);
        qsgd_free(&allocator, frame.data);
        CHECK(c.live == 0);
    }
}

/* ---- failure ----------------------------------------------------------------------------------
 */

/* Each allocation fails once, until none is asked for any more. */
static void encoding_survives_every_failure(const qsgd_params *params, uint64_t n) {
    qsgd_status status = QSGD_ERR_MEMORY;
    for (uint64_t k = 0; status != QSGD_OK && k < 20; k++) {
        struct counting c = counting_new();
        const qsgd_allocator allocator = counting_allocator(&c);
        qsgd_error error = error_new();
        qsgd_memory frame = {&c, 7};
        c.fail_at = k;
        status = qsgd_encode_alloc(params, NULL, x, n, &allocator, &frame, &error);
        CHECK(status == (k < c.calls ? QSGD_ERR_MEMORY : QSGD_OK));
        if (status == QSGD_OK) {
            CHECK(k > 0);
            qsgd_free(&allocator, frame.data);
        } else {
            CHECK(nothing(&frame) && c.calls == k + 1); /* it gives up at once */
            CHECK(error_names(&error, QSGD_ERR_MEMORY, "allocator"));
            CHECK(error.needed > 0 && error.needed != UINT64_MAX);
        }
        CHECK(c.live == 0);
    }
    CHECK(status == QSGD_OK);
}

static void decoding_survives_every_failure(const struct bytes *b, uint64_t elements) {
    qsgd_status status = QSGD_ERR_MEMORY;
    for (uint64_t k = 0; status != QSGD_OK && k < 20; k++) {
        struct counting c = counting_new();
        const qsgd_allocator allocator = counting_allocator(&c);
        qsgd_error error = error_new();
        qsgd_memory dst = {&c, 7};
        c.fail_at = k;
        status = qsgd_decode_alloc(b->p, b->n, NULL, &allocator, &dst, NULL, &error);
        CHECK(status == (k < c.calls ? QSGD_ERR_MEMORY : QSGD_OK));
        if (status == QSGD_OK) {
            CHECK(dst.bytes == elements * sizeof(float) && (k > 0 || elements == 0));
            qsgd_free(&allocator, dst.data);
        } else {
            CHECK(nothing(&dst) && error_names(&error, QSGD_ERR_MEMORY, "allocator"));
            CHECK(error.needed > 0 && error.needed != UINT64_MAX);
        }
        CHECK(c.live == 0);
    }
    CHECK(status == QSGD_OK);
}

/* A result that lies in the frame would be written over what is read. */
static void results_within_the_frame_are_refused(void) {
    const qsgd_params params = scheme_params(&schemes[16]);
    struct bytes b = encode_frame(&params, NULL, x, N), before = bytes_copy(b.p, b.n);
    qsgd_memory dst;
    void *const within = b.p + 32; /* aligned, as malloc's memory is */
    CHECK(b.n > 32 + sizeof(qsgd_frame_info));
    CHECK(qsgd_decode_alloc(b.p, b.n, NULL, NULL, within, NULL, NULL) == QSGD_ERR_OVERLAP);
    CHECK(memcmp(b.p, before.p, (size_t)b.n) == 0);
    qsgd_frame_info_init((qsgd_frame_info *)within);
    memcpy(before.p, b.p, (size_t)b.n);
    CHECK(qsgd_decode_alloc(b.p, b.n, NULL, NULL, &dst, within, NULL) == QSGD_ERR_OVERLAP);
    CHECK(memcmp(b.p, before.p, (size_t)b.n) == 0);
    free(before.p);
    free(b.p);
}

static void memory_that_is_missing_is_an_error(void) {
    for (size_t i = 0; i < SCHEMES; i++) {
        qsgd_params params = scheme_params(&schemes[i]);
        for (uint64_t n = 0; n <= N; n += N) {
            struct bytes b = encode_frame(&params, NULL, x, n);
            encoding_survives_every_failure(&params, n);
            decoding_survives_every_failure(&b, n);
            free(b.p);
        }
        params.code = QSGD_CODE_AUTO;
        if (schemes[i].rounding < ROTATED) encoding_survives_every_failure(&params, N);
    }
}

/* Any other error: nothing is left, either. */
static void other_errors_leave_nothing(void) {
    const qsgd_params params = scheme_params(&schemes[16]);
    struct counting c = counting_new();
    const qsgd_allocator allocator = counting_allocator(&c);
    qsgd_memory out = {&c, 7};
    float bad[N];
    const uint32_t nan = 0x7FC00000;
    memcpy(bad, x, sizeof bad);
    memcpy(bad + 5, &nan, 4);
    CHECK(qsgd_encode_alloc(&params, NULL, bad, N, &allocator, &out, NULL) == QSGD_ERR_NONFINITE);
    CHECK(nothing(&out) && c.live == 0);
    out = (qsgd_memory){&c, 7};
    CHECK(qsgd_encode_alloc(&params, NULL, NULL, N, &allocator, &out, NULL) == QSGD_ERR_NULL);
    CHECK(nothing(&out) && c.live == 0);
    struct bytes b = encode_frame(&params, NULL, x, N);
    for (uint64_t at = 0; at < b.n; at++) {
        out = (qsgd_memory){&c, 7};
        b.p[at] ^= 1;
        CHECK(qsgd_decode_alloc(b.p, b.n, NULL, &allocator, &out, NULL, NULL) != QSGD_OK);
        CHECK(nothing(&out) && c.live == 0);
        b.p[at] ^= 1;
    }
    for (uint64_t n = 0; n < b.n; n++) {
        struct bytes cut = bytes_copy(b.p, n);
        out = (qsgd_memory){&c, 7};
        CHECK(qsgd_decode_alloc(cut.p, n, NULL, &allocator, &out, NULL, NULL) ==
              QSGD_ERR_NEED_MORE);
        CHECK(nothing(&out) && c.live == 0);
        free(cut.p);
    }
    free(b.p);
}

static void incomplete_arguments_are_named(void) {
    const qsgd_params params = scheme_params(&schemes[16]);
    struct counting c = counting_new();
    struct bytes b = encode_frame(&params, NULL, x, N);
    for (int half = 0; half < 2; half++) {
        qsgd_allocator allocator = counting_allocator(&c);
        qsgd_error error = error_new();
        qsgd_memory out = {&c, 7};
        if (half == 0) allocator.allocate = NULL;
        if (half == 1) allocator.release = NULL;
        CHECK(qsgd_encode_alloc(&params, NULL, x, N, &allocator, &out, &error) == QSGD_ERR_NULL);
        CHECK(error_names(&error, QSGD_ERR_NULL, "allocator") && nothing(&out));
        out = (qsgd_memory){&c, 7};
        CHECK(qsgd_decode_alloc(b.p, b.n, NULL, &allocator, &out, NULL, &error) == QSGD_ERR_NULL);
        CHECK(error_names(&error, QSGD_ERR_NULL, "allocator") && nothing(&out));
    }
    qsgd_error error = error_new();
    const qsgd_allocator allocator = counting_allocator(&c);
    CHECK(qsgd_encode_alloc(&params, NULL, x, N, &allocator, NULL, &error) == QSGD_ERR_NULL);
    CHECK(error_names(&error, QSGD_ERR_NULL, "frame"));
    CHECK(qsgd_decode_alloc(b.p, b.n, NULL, &allocator, NULL, NULL, &error) == QSGD_ERR_NULL);
    CHECK(error_names(&error, QSGD_ERR_NULL, "dst"));
    CHECK(c.calls == 0);
    free(b.p);
}

/* ---- limits -----------------------------------------------------------------------------------
 */

/* A frame whose header, which is right, claims that many elements under one scale. */
static struct bytes claiming(uint64_t elements) {
    qsgd_params params;
    uint8_t varint[10];
    uint64_t bytes = 0;
    params = params_qsgd();
    params.bucket = 0;
    params.chunk_log2 = 18;
    struct bytes b = encode_frame(&params, NULL, x, 100); /* its shape is one byte */
    const uint64_t header = load_le16(b.p + 6);
    for (uint64_t left = elements; bytes == 0 || left != 0; left >>= 7) {
        varint[bytes++] = (uint8_t)((left & 127) | (left > 127 ? 128 : 0));
    }
    splice_header(&b, header - 5, 1, varint, bytes);
    static const uint8_t zeros[1 << 18]; /* index, scale, payloads */
    splice(&b, b.n, 0, zeros, sizeof zeros);
    repair_frame(b.p, b.n);
    return b;
}

static qsgd_status decode_claiming(uint64_t elements, uint64_t max_elements, struct counting *c,
                                   qsgd_error *error) {
    struct bytes b = claiming(elements);
    const qsgd_allocator allocator = counting_allocator(c);
    qsgd_decode_options options;
    qsgd_memory dst = {&b, 7};
    qsgd_frame_info info = info_new();
    qsgd_decode_options_init(&options);
    CHECK(qsgd_inspect(b.p, b.n, &info, NULL) == QSGD_OK && info.elements == elements);
    if (max_elements != 0) options.max_elements = max_elements;
    const qsgd_status status = qsgd_decode_alloc(b.p, b.n, max_elements != 0 ? &options : NULL,
                                                 &allocator, &dst, NULL, error);
    CHECK(nothing(&dst) && c->live == 0);
    free(b.p);
    return status;
}

static void larger_claims_are_refused_before_anything_is_allocated(void) {
    static const uint64_t claims[] = {MOST_BY_DEFAULT + 1, (uint64_t)1 << 30, (uint64_t)1 << 32};
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        for (int by_options = 0; by_options < 2; by_options++) {
            struct counting c = counting_new();
            qsgd_error error = error_new();
            CHECK(decode_claiming(claims[i], by_options ? UINT64_MAX : 0, &c, &error) ==
                  QSGD_ERR_LIMIT);
            CHECK(error_names(&error, QSGD_ERR_LIMIT, "max_elements") && c.calls == 0);
        }
    }
}

/* Up to the limit memory is asked for; here there is little. */
static void claims_up_to_the_limit_ask_for_memory(void) {
    static const uint64_t limits[][2] = {{MOST_BY_DEFAULT, 0},
                                         {MOST_BY_DEFAULT, UINT64_MAX},
                                         {MOST_BY_DEFAULT + 1, MOST_BY_DEFAULT + 1},
                                         {(uint64_t)1 << 32, (uint64_t)1 << 40}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct counting c = counting_new();
        qsgd_error error = error_new();
        c.most = 1 << 20;
        CHECK(decode_claiming(limits[i][0], limits[i][1], &c, &error) == QSGD_ERR_MEMORY);
        CHECK(c.calls > 0 && error.needed == c.largest && c.largest > c.most);
    }
    struct counting c = counting_new();
    CHECK(decode_claiming(1000, 999, &c, NULL) == QSGD_ERR_LIMIT && c.calls == 0);
}

int main(void) {
    fill_tensor(x, N, 6);
    frames_and_elements_are_those_of_the_longer_calls();
    malloc_serves_where_no_allocator_is_given();
    empty_tensors_have_a_frame_and_no_elements();
    results_within_the_frame_are_refused();
    memory_that_is_missing_is_an_error();
    other_errors_leave_nothing();
    incomplete_arguments_are_named();
    larger_claims_are_refused_before_anything_is_allocated();
    claims_up_to_the_limit_ask_for_memory();
    return check_result();
}
