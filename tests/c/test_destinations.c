/* Destinations of every length (qsgd.h): what fits is written, the same bytes whatever the room;
 * what does not fit is refused, and how much suffices is said. Memory is exactly as long as the
 * destination. */
#define _DEFAULT_SOURCE
#include <pthread.h>

#include "qsgd_fit.h"
#include "support.h"

#define N 2100 /* chunks of 1000, 1000 and 100 elements */

static float x[N], before[N];

/* ---- runners: whoever writes first ------------------------------------------------------------
 */

static qsgd_status run_backward(void *context, qsgd_task task, void *job, uint64_t count) {
    (void)context;
    for (uint64_t i = count; i-- > 0;) task(job, i, (uint32_t)(i % 2));
    return QSGD_OK;
}

struct half {
    qsgd_task task;
    void *job;
    uint64_t count;
    uint32_t worker;
};

static void *run_half(void *argument) {
    const struct half *h = argument;
    for (uint64_t i = h->worker; i < h->count; i += 2) h->task(h->job, i, h->worker);
    return NULL;
}

static qsgd_status run_threads(void *context, qsgd_task task, void *job, uint64_t count) {
    struct half halves[2] = {{task, job, count, 0}, {task, job, count, 1}};
    pthread_t other;
    (void)context;
    if (pthread_create(&other, NULL, run_half, &halves[1]) != 0) abort();
    run_half(&halves[0]);
    pthread_join(other, NULL);
    return QSGD_OK;
}

/* ---- one call, in room of any length ----------------------------------------------------------
 */

/* A call that writes into dst; `context` is its own. */
typedef qsgd_status (*write_call)(void *context, qsgd_memory dst, uint64_t *bytes,
                                  qsgd_error *error);

/* True if the call is right for room of that length. */
static bool fits(write_call call, void *context, uint64_t room, const struct bytes *expected) {
    const qsgd_memory dst = odd_memory(room);
    qsgd_error error = error_new();
    uint64_t bytes = 77;
    const qsgd_status status = call(context, dst, &bytes, &error);
    bool right = status == (room < expected->n ? QSGD_ERR_DST_TOO_SMALL : QSGD_OK);
    if (status == QSGD_OK) {
        right = right && bytes == expected->n &&
                memcmp(dst.data, expected->p, (size_t)expected->n) == 0;
    } else {
        right = right && bytes == 77 && error_names(&error, status, "dst");
        right = right && error.needed >= expected->n && error.needed != UINT64_MAX;
    }
    odd_free(dst);
    if (!right) {
        fprintf(stderr, "room of %llu bytes, for %llu: %s\n", (unsigned long long)room,
                (unsigned long long)expected->n, qsgd_status_name(status));
    }
    return right;
}

/* What it writes with `bound` bytes, and then with every other number of them; or with each
 * `step`th, and all about its length. */
static void try_lengths(write_call call, void *context, uint64_t bound, uint64_t step) {
    const qsgd_memory dst = odd_memory(bound);
    struct bytes expected = {NULL, 0};
    uint64_t bytes = 0;
    int wrong = 0;
    CHECK(call(context, dst, &bytes, NULL) == QSGD_OK && bytes <= bound);
    expected = bytes_copy(dst.data, bytes);
    odd_free(dst);
    for (uint64_t room = 0; room <= bound + 1 && wrong < 5; room++) {
        const bool near = room + 20 > expected.n && room < expected.n + 20;
        if (near || room % step == 0) wrong += !fits(call, context, room, &expected);
    }
    CHECK(wrong == 0);
    free(expected.p);
}

/* ---- frames -----------------------------------------------------------------------------------
 */

struct encode_context {
    qsgd_params params;
    qsgd_encode_options options;
    qsgd_memory work;
    float residual[N];
    float left[N]; /* in residual, after the first success */
    bool known;
};

static qsgd_status call_encode(void *context, qsgd_memory dst, uint64_t *bytes, qsgd_error *error) {
    struct encode_context *c = context;
    memcpy(c->residual, before, sizeof before);
    const qsgd_status status =
        qsgd_encode(&c->params, &c->options, x, N, dst, c->work, bytes, error);
    if (c->options.residual == NULL || status != QSGD_OK) {
        CHECK(memcmp(c->residual, before, sizeof before) == 0); /* left for another try */
    } else {
        if (!c->known) memcpy(c->left, c->residual, sizeof before);
        c->known = true;
        CHECK(memcmp(c->left, c->residual, sizeof before) == 0);
    }
    return status;
}

/* variant & 1: a tag; & 2: a residual; & 4: workers; & 8: threads. */
static void try_frames(const qsgd_params *params, int variant, uint64_t step) {
    static struct encode_context c;
    memset(&c, 0, sizeof c);
    c.params = *params;
    qsgd_encode_options_init(&c.options);
    if (variant & 1) c.options.tag = "a tag of some bytes";
    if (variant & 1) c.options.tag_bytes = 19;
    if (variant & 2) c.options.residual = c.residual;
    if (variant & 4) c.options.workers = 2;
    if (variant & 4) c.options.runner = run_backward;
    if (variant & 8) c.options.runner = run_threads;
    const qsgd_sizes sizes = encode_sizes(params, &c.options, N);
    c.work = odd_memory(sizes.workspace_bytes);
    try_lengths(call_encode, &c, sizes.dst_bytes, step);
    odd_free(c.work);
}

static void frames_fit_from_their_own_length_on(void) {
    static const int variants[] = {0, 1, 2, 3, 4, 6, 5, 7};
    for (size_t i = 0; i < SCHEMES; i++) {
        qsgd_params params = scheme_params(&schemes[i]);
        const bool first = i == 0 || schemes[i - 1].code != schemes[i].code;
        try_frames(&params, variants[i % 8], first ? 1 : 11); /* every length once for each code */
    }
    qsgd_params params = scheme_params(&schemes[16]);
    try_frames(&params, 1 | 2 | 4 | 8, 3);
    params.code = QSGD_CODE_AUTO;
    try_frames(&params, 0, 1);
    params.bucket = 0;
    try_frames(&params, 2 | 4, 11);
    params.checksum = 0;
    try_frames(&params, 0, 11);
    params = scheme_params(&schemes[0]);
    try_frames(&params, 2 | 4, 3);
}

static void empty_frames_fit_from_their_own_length_on(void) {
    for (size_t i = 0; i < SCHEMES; i++) {
        const qsgd_params params = scheme_params(&schemes[i]);
        struct bytes expected = encode_frame(&params, NULL, NULL, 0);
        const qsgd_memory work = encode_workspace(&params, NULL, 0);
        for (uint64_t room = 0; room <= expected.n + 1; room++) {
            const qsgd_memory dst = odd_memory(room);
            uint64_t bytes = 77;
            CHECK(qsgd_encode(&params, NULL, NULL, 0, dst, work, &bytes, NULL) ==
                  (room < expected.n ? QSGD_ERR_DST_TOO_SMALL : QSGD_OK));
            CHECK(bytes == (room < expected.n ? 77 : expected.n));
            odd_free(dst);
        }
        odd_free(work);
        free(expected.p);
    }
}

/* ---- frames of indices ------------------------------------------------------------------------
 */

struct indices_context {
    qsgd_params params;
    struct bytes like;
    qsgd_quantized quantized;
    qsgd_memory work, like_work;
};

static qsgd_status call_indices(void *context, qsgd_memory dst, uint64_t *bytes,
                                qsgd_error *error) {
    const struct indices_context *c = context;
    return qsgd_encode_indices(&c->params, NULL, &c->quantized, dst, c->work, bytes, error);
}

static qsgd_status call_like(void *context, qsgd_memory dst, uint64_t *bytes, qsgd_error *error) {
    const struct indices_context *c = context;
    return qsgd_encode_indices_like(c->like.p, c->like.n, NULL, &c->quantized, dst, c->like_work,
                                    bytes, error);
}

static void indices_fit_from_their_frames_length_on(void) {
    static int16_t indices[N];
    static float scales[N];
    static uint8_t damping[N];
    for (size_t i = 0; i < SCHEMES; i++) {
        struct indices_context c;
        c.params = scheme_params(&schemes[i]);
        if (c.params.code == QSGD_CODE_RAW) continue;
        c.like = encode_frame(&c.params, NULL, x, N);
        c.quantized = (qsgd_quantized){indices, scales, damping, N};
        c.work = encode_workspace(&c.params, NULL, N);
        c.like_work = decode_workspace(c.like.p, c.like.n, NULL);
        CHECK(qsgd_decode_indices(c.like.p, c.like.n, NULL, &c.quantized, c.like_work, NULL) ==
              QSGD_OK);
        const uint64_t bound = encode_sizes(&c.params, NULL, N).dst_bytes;
        try_lengths(call_indices, &c, bound, i == 16 ? 1 : 11);
        try_lengths(call_like, &c, c.like.n, i == 16 ? 1 : 3);
        odd_free(c.work);
        odd_free(c.like_work);
        free(c.like.p);
    }
}

/* ---- other bytes ------------------------------------------------------------------------------
 */

static qsgd_status call_tables(void *context, qsgd_memory dst, uint64_t *bytes, qsgd_error *error) {
    static const double weights[15] = {1, 1, 1, 1, 1, 1, 9, 60, 9, 1, 1, 1, 1, 1, 1};
    return qsgd_shared_tables_build(context, weights, 15, dst, bytes, error);
}

static void tables_fit_from_their_own_length_on(void) {
    for (int huffman = 0; huffman < 2; huffman++) {
        qsgd_params params = params_qsgd();
        if (huffman) params.code = QSGD_CODE_HUFFMAN;
        try_lengths(call_tables, &params, qsgd_shared_tables_bound(), 1);
    }
}

static qsgd_status call_save(void *context, qsgd_memory dst, uint64_t *bytes, qsgd_error *error) {
    const qsgd_status status = qsgd_stats_save(context, dst, bytes, error);
    const uint8_t *p = dst.data;
    for (uint64_t i = 0; status != QSGD_OK && i < dst.bytes; i++) CHECK(p[i] == 0x5A);
    return status;
}

/* dst is untouched if it is too small. */
static void statistics_fit_from_their_own_length_on(void) {
    qsgd_params params;
    qsgd_sizes sizes = sizes_new();
    params = params_qsgd();
    qsgd_stats *stats = malloc((size_t)qsgd_stats_bytes());
    CHECK(qsgd_stats_init(stats, &params, NULL) == QSGD_OK);
    CHECK(qsgd_stats_sizes(stats, QSGD_FLOAT32, N, &sizes, NULL) == QSGD_OK);
    const qsgd_memory work = odd_memory(sizes.workspace_bytes);
    for (int filled = 0; filled < 2; filled++) {
        uint64_t bytes = 0;
        qsgd_memory dst = odd_memory(sizes.dst_bytes);
        if (filled) CHECK(qsgd_stats_add(stats, QSGD_FLOAT32, x, N, work, NULL) == QSGD_OK);
        CHECK(qsgd_stats_save(stats, dst, &bytes, NULL) == QSGD_OK);
        struct bytes expected = bytes_copy(dst.data, bytes);
        odd_free(dst);
        for (uint64_t room = 0; room <= bytes + 1; room++) {
            qsgd_error error = error_new();
            uint64_t written = 77;
            dst = odd_memory(room);
            memset(dst.data, 0x5A, (size_t)room);
            const qsgd_status status = call_save(stats, dst, &written, &error);
            CHECK(status == (room < bytes ? QSGD_ERR_DST_TOO_SMALL : QSGD_OK));
            CHECK(written == (room < bytes ? 77 : bytes));
            CHECK(room < bytes ? error.needed >= bytes && error.needed <= sizes.dst_bytes
                               : memcmp(dst.data, expected.p, (size_t)bytes) == 0);
            odd_free(dst);
        }
        free(expected.p);
    }
    odd_free(work);
    free(stats);
}

static qsgd_status call_elias(void *context, qsgd_memory dst, uint64_t *bytes, qsgd_error *error) {
    static const uint64_t values[20] = {1, 2, 3, 4, 5, 6, 7, 1u << 20, 9, 10,
                                        1, 1, 1, 1, 1, 1, 1, 1,        1, UINT64_MAX};
    uint64_t bits = 77;
    const qsgd_status status =
        qsgd_elias_encode(*(int32_t *)context, values, 20, dst, &bits, error);
    CHECK(status == QSGD_OK || bits == 77);
    if (status == QSGD_OK) *bytes = (bits + 7) / 8;
    return status;
}

static void elias_codes_fit_from_their_own_length_on(void) {
    for (int32_t elias = 0; elias < 3; elias++) try_lengths(call_elias, &elias, 60, 1);
}

int main(void) {
    fill_tensor(x, N, 4);
    for (int i = 0; i < N; i++) before[i] = x[N - 1 - i] * 0.25F;
    frames_fit_from_their_own_length_on();
    empty_frames_fit_from_their_own_length_on();
    indices_fit_from_their_frames_length_on();
    tables_fit_from_their_own_length_on();
    statistics_fit_from_their_own_length_on();
    elias_codes_fit_from_their_own_length_on();
    return check_result();
}
