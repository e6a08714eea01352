/* What the public calls do: runners and threads, frame_info, ranges, sums, atomic decoding, output
 * types, empty tensors, residuals and given scales (qsgd.h, FORMAT.md, ENCODER.md). */
#include <pthread.h>

#include "support.h"

#define N 5000
#define WORKERS 4

static float x[N];

/* ---- runners --------------------------------------------------------------------------------- */

static qsgd_status run_backward(void *context, qsgd_task task, void *job, uint64_t count) {
    (void)context;
    for (uint64_t i = count; i-- > 0;) task(job, i, (uint32_t)(i % WORKERS));
    return QSGD_OK;
}

/* Odd indices first, then even ones: no order at all. */
static qsgd_status run_shuffled(void *context, qsgd_task task, void *job, uint64_t count) {
    (void)context;
    for (uint64_t i = 1; i < count; i += 2) task(job, i, 3);
    for (uint64_t i = 0; i < count; i += 2) task(job, i, 1);
    return QSGD_OK;
}

struct thread_work {
    qsgd_task task;
    void *job;
    uint64_t count;
    uint32_t worker;
};

static void *thread_main(void *argument) {
    const struct thread_work *w = argument;
    for (uint64_t i = w->worker; i < w->count; i += WORKERS) w->task(w->job, i, w->worker);
    return NULL;
}

static qsgd_status run_threads(void *context, qsgd_task task, void *job, uint64_t count) {
    pthread_t threads[WORKERS];
    struct thread_work work[WORKERS];
    uint64_t *calls = context;
    *calls += count;
    for (uint32_t w = 0; w < WORKERS; w++) {
        work[w] = (struct thread_work){task, job, count, w};
        if (pthread_create(&threads[w], NULL, thread_main, &work[w]) != 0) abort();
    }
    for (int w = 0; w < WORKERS; w++) pthread_join(threads[w], NULL);
    return QSGD_OK;
}

static const qsgd_runner runners[] = {run_backward, run_shuffled, run_threads};

static void runners_change_no_byte(const qsgd_params *p) {
    uint64_t calls = 0;
    static float expected[N], got[N];
    struct bytes plain = encode_frame(p, NULL, x, N);
    CHECK(decode_frame(plain.p, plain.n, 0, expected, N, NULL) == QSGD_OK);
    for (size_t r = 0; r < 3; r++) {
        qsgd_encode_options o;
        qsgd_decode_options d;
        qsgd_encode_options_init(&o);
        qsgd_decode_options_init(&d);
        o.workers = d.workers = WORKERS;
        o.runner = d.runner = runners[r];
        o.runner_context = d.runner_context = &calls;
        struct bytes b = encode_frame(p, &o, x, N);
        CHECK(b.n == plain.n && memcmp(b.p, plain.p, (size_t)b.n) == 0);
        const qsgd_memory work = decode_workspace(b.p, b.n, &d);
        const qsgd_memory less = {work.data, work.bytes - 1};
        memset(got, 0, sizeof got);
        CHECK(qsgd_decode(b.p, b.n, &d, got, N, work, NULL) == QSGD_OK);
        CHECK(memcmp(got, expected, sizeof got) == 0);
        CHECK(qsgd_decode(b.p, b.n, &d, got, N, less, NULL) == QSGD_ERR_WORKSPACE);
        odd_free(work);
        free(b.p);
    }
    CHECK(calls > 0);
    free(plain.p);
}

static void the_lowest_chunk_names_the_error(void) {
    qsgd_params p = scheme_params(&schemes[16]);
    struct parts parts;
    float dst[N];
    uint64_t calls = 0;
    struct bytes b = encode_frame(&p, NULL, x, N);
    CHECK(frame_parts(b.p, b.n, &parts) && parts.info.chunks == 5);
    uint64_t at = parts.payload;
    uint64_t second = 0;
    for (uint64_t j = 0; j < 5; j++) { /* chunks 1, 3 and 4 are damaged */
        if (j == 1) second = at;
        if (j == 1 || j >= 3) b.p[at + 2] ^= 1;
        at += load_le32(b.p + parts.index + 8 * j);
    }
    for (size_t r = 0; r < 3; r++) {
        qsgd_error error = error_new();
        qsgd_decode_options d;
        qsgd_decode_options_init(&d);
        d.workers = WORKERS;
        d.runner = runners[r];
        d.runner_context = &calls;
        CHECK(decode_frame_with(&d, b.p, b.n, dst, N, &error) == QSGD_ERR_CHUNK_CRC);
        CHECK(error.offset == second);
        qsgd_encode_options o;
        qsgd_encode_options_init(&o);
        o.workers = WORKERS;
        o.runner = runners[r];
        o.runner_context = &calls;
        static float bad[N];
        memcpy(bad, x, sizeof bad);
        const uint32_t nan = 0x7FC00000;
        for (size_t i = 2345; i < N; i += 1000) memcpy(&bad[i], &nan, 4);
        const qsgd_sizes sizes = encode_sizes(&p, &o, N);
        qsgd_memory out = odd_memory(sizes.dst_bytes), work = odd_memory(sizes.workspace_bytes);
        uint64_t bytes = 99;
        CHECK(qsgd_encode(&p, &o, bad, N, out, work, &bytes, &error) == QSGD_ERR_NONFINITE);
        CHECK(error.element == 2345 && error.bucket == 23 && bytes == 99);
        odd_free(out);
        odd_free(work);
    }
    free(b.p);
}

/* ---- parts of a frame ------------------------------------------------------------------------ */

static void inspection_says_what_was_encoded(void) {
    qsgd_params p = scheme_params(&schemes[5]);
    qsgd_encode_options o;
    const uint64_t shape[3] = {10, 20, 25};
    qsgd_encode_options_init(&o);
    o.ndim = 3;
    o.shape = shape;
    o.tag = "name";
    o.tag_bytes = 4;
    o.dtype = QSGD_BFLOAT16;
    uint16_t half[N];
    for (int i = 0; i < N; i++) half[i] = (uint16_t)(0x3F00 + i % 256);
    struct bytes b = encode_frame(&p, &o, half, N);
    struct parts parts;
    uint64_t bytes = 0;
    CHECK(frame_parts(b.p, b.n, &parts));
    const qsgd_frame_info *info = &parts.info;
    CHECK(info->version == 1 && info->dtype == QSGD_BFLOAT16 && info->ndim == 3);
    CHECK(memcmp(info->shape, shape, sizeof shape) == 0 && info->elements == N);
    CHECK(info->frame_bytes == b.n && info->buckets == 50 && info->chunks == 5);
    CHECK(info->chunk_elements == 1000 && info->has_noise_key == 0);
    CHECK(info->tag_bytes == 4 && memcmp(info->tag, "name", 4) == 0 && info->level_table == NULL);
    CHECK(info->level_table_len == 0);
    const qsgd_params *known = &parts.params;
    CHECK(known->code == p.code && known->norm == p.norm && known->s == 7);
    CHECK(known->bucket == 100 && known->seed == 0 && known->chunk_log2 == 10);
    CHECK(known->classes == QSGD_CLASSES_AUTO && known->struct_size == sizeof p);
    const qsgd_sizes sizes = encode_sizes(&p, &o, N);
    CHECK(sizes.buckets == 50 && sizes.chunks == 5 && sizes.elements == N);
    CHECK(qsgd_frame_size(b.p, b.n, UINT64_MAX, &bytes, NULL) == QSGD_OK && bytes == b.n);
    qsgd_frame_info early = info_new();
    CHECK(qsgd_inspect(b.p, info->header_bytes, &early, NULL) == QSGD_OK);
    free(b.p);
    p = scheme_params(&schemes[4]);
    qsgd_encode_options_init(&o);
    o.nonce = 42;
    b = encode_frame(&p, &o, x, N);
    CHECK(frame_parts(b.p, b.n, &parts));
    CHECK(parts.info.has_noise_key == 1 && parts.info.nonce == 42 && parts.params.seed == p.seed);
    for (size_t i = 0; i < sizeof signed_table / sizeof *signed_table; i++) {
        uint32_t bits;
        memcpy(&bits, signed_table + i, sizeof bits);
        CHECK(load_le32((const uint8_t *)parts.info.level_table + 4 * i) == bits);
    }
    CHECK(parts.info.level_table_len == 6 && parts.params.level_table_len == 6);
    CHECK(parts.params.level_table == parts.level_table);
    CHECK(memcmp(parts.level_table, signed_table, sizeof signed_table) == 0);
    free(b.p);
}

static void ranges_equal_the_whole(const qsgd_params *p) {
    static const uint64_t edges[] = {0,    1,    99,   100,  101,  255,  256,  257,
                                     999,  1000, 1001, 1023, 1024, 1025, 2048, 2500,
                                     4096, 4097, 4352, 4900, 4999, 5000};
    struct bytes b = encode_frame(p, NULL, x, N);
    float whole[N], part[N];
    const qsgd_memory work = decode_workspace(b.p, b.n, NULL);
    CHECK(qsgd_decode(b.p, b.n, NULL, whole, N, work, NULL) == QSGD_OK);
    const size_t count = sizeof edges / sizeof *edges;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i; j < count; j++) {
            size_t n = (size_t)(edges[j] - edges[i]);
            part[n < N ? n : 0] = n < N ? 77.0F : part[0];
            CHECK(qsgd_decode_range(b.p, b.n, NULL, edges[i], edges[j], part, work, NULL) ==
                  QSGD_OK);
            CHECK(memcmp(part, whole + edges[i], n * sizeof(float)) == 0);
            CHECK(n == N || part[n] == 77.0F);
        }
    }
    odd_free(work);
    free(b.p);
}

/* ---- sums ------------------------------------------------------------------------------------ */

static void sums_are_products_added_in_order(void) {
    struct bytes b[4];
    qsgd_weighted_frame frames[4];
    uint64_t most = 0;
    static const size_t used[4] = {1, 8, 15, 0}; /* the last is raw */
    const float alphas[4] = {0.3F, -1.7F, 1e-3F, 0.7F};
    static float value[4][N], sum[N], acc[N];
    qsgd_error error = error_new();
    for (size_t f = 0; f < 4; f++) {
        qsgd_params p = scheme_params(&schemes[used[f]]);
        b[f] = encode_frame(&p, NULL, x, N);
        frames[f] = (qsgd_weighted_frame){b[f].p, b[f].n, alphas[f], 0};
        const uint64_t bytes = decode_sizes(b[f].p, b[f].n, NULL).workspace_bytes;
        if (bytes > most) most = bytes;
        CHECK(decode_frame(b[f].p, b[f].n, 0, value[f], N, NULL) == QSGD_OK);
    }
    const qsgd_memory work = odd_memory(most);
    memcpy(acc, x, sizeof acc);
    CHECK(qsgd_decode_add(b[0].p, b[0].n, NULL, 0.3F, acc, N, work, NULL) == QSGD_OK);
    CHECK(qsgd_decode_sum(frames, 4, NULL, sum, N, work, NULL) == QSGD_OK);
    for (int i = 0; i < N; i++) {
        volatile float product = value[0][i] * alphas[0], total = x[i] + product;
        CHECK(acc[i] == total);
        total = 0;
        for (int f = 0; f < 4; f++) {
            product = value[f][i] * alphas[f];
            total = total + product;
        }
        CHECK(sum[i] == total);
    }
    for (int f = 0; f < 4; f++) frames[f].alpha = 1;
    CHECK(qsgd_decode_sum(frames, 4, NULL, sum, N, work, NULL) == QSGD_OK);
    for (int i = 0; i < N; i++) {
        volatile float total = 0.0F + value[0][i];
        total = total + value[1][i];
        total = total + value[2][i];
        total = total + value[3][i];
        CHECK(sum[i] == total);
    }
    CHECK(qsgd_decode_sum(frames, 0, NULL, sum, N, work, NULL) == QSGD_OK);
    for (int i = 0; i < N; i++) CHECK(sum[i] == 0);
    b[1].p[b[1].n - 1] ^= 1; /* a bad frame in the middle: named, and nothing is written */
    memset(sum, 0x5A, sizeof sum);
    CHECK(qsgd_decode_sum(frames, 4, NULL, sum, N, work, &error) == QSGD_ERR_CHUNK_CRC);
    CHECK(error.frame == 1 && error.element == UINT64_MAX);
    for (size_t i = 0; i < sizeof sum; i++) CHECK(((uint8_t *)sum)[i] == 0x5A);
    for (int f = 0; f < 4; f++) free(b[f].p);
    odd_free(work);
}

/* A frame that cannot be added is found before the first write, wherever it stands. */
static void sums_of_integers_leave_out_alone(void) {
    qsgd_params p;
    qsgd_encode_options o;
    static const int32_t integers[4] = {1, 2, 3, 4};
    p = params_qsgd();
    qsgd_encode_options_init(&o);
    p.code = QSGD_CODE_RAW;
    struct bytes good = encode_frame(&p, &o, x, 4);
    o.dtype = QSGD_INT32;
    struct bytes bad = encode_frame(&p, &o, integers, 4);
    const qsgd_weighted_frame frames[2] = {{good.p, good.n, 1, 0}, {bad.p, bad.n, 1, 0}};
    float out[4] = {7, 7, 7, 7};
    qsgd_error error = error_new();
    const qsgd_memory work = odd_memory(100000);
    CHECK(qsgd_decode_sum(frames, 2, NULL, out, 4, work, &error) == QSGD_ERR_DTYPE);
    CHECK(error.frame == 1 && out[0] == 7 && out[1] == 7 && out[2] == 7 && out[3] == 7);
    CHECK(qsgd_decode_sum(frames, 1, NULL, work.data, 4, work, &error) == QSGD_ERR_OVERLAP);
    CHECK(error.frame == UINT64_MAX); /* no frame's fault */
    odd_free(work);
    free(good.p);
    free(bad.p);
}

/* Symbols that no encoder writes, under right checksums: with the flag, or without checksums, dst
 * is as before. */
static void atomic_decoding_leaves_dst_alone(void) {
    for (int checksum = 0; checksum < 2; checksum++) {
        qsgd_params p = scheme_params(&schemes[1]);
        struct parts parts;
        static float dst[N];
        p.checksum = checksum;
        struct bytes b = encode_frame(&p, NULL, x, N);
        CHECK(frame_parts(b.p, b.n, &parts));
        b.p[b.n - 1] = 0xFF; /* rank 15 of 15 levels, in the last chunk */
        repair_frame(b.p, b.n);
        memset(dst, 0x5A, sizeof dst);
        uint32_t flags = checksum ? QSGD_DECODE_ATOMIC : 0;
        CHECK(decode_frame(b.p, b.n, flags, dst, N, NULL) == QSGD_ERR_STREAM);
        for (size_t i = 0; i < sizeof dst; i++) CHECK(((uint8_t *)dst)[i] == 0x5A);
        CHECK(decode_frame(b.p, b.n, 0, dst, N, NULL) == QSGD_ERR_STREAM);
        b.p[b.n - 1] = 0xFE; /* without repair: the checksum speaks before the first write */
        memset(dst, 0x5A, sizeof dst);
        CHECK(!checksum || decode_frame(b.p, b.n, 0, dst, N, NULL) == QSGD_ERR_CHUNK_CRC);
        for (size_t i = 0; i < sizeof dst; i++) CHECK(((uint8_t *)dst)[i] == 0x5A);
        free(b.p);
    }
}

int main(void) {
    fill_tensor(x, N, 11);
    for (size_t i = 0; i < SCHEMES; i++) {
        qsgd_params p = scheme_params(&schemes[i]);
        runners_change_no_byte(&p);
        ranges_equal_the_whole(&p);
        set_bucket(&p, 1 + 1700 * (i % 2)); /* one element, or longer than a chunk */
        runners_change_no_byte(&p);
        ranges_equal_the_whole(&p);
        p.bucket = 0;
        p.code = QSGD_CODE_AUTO;
        if (i % 4 == 0 && !p.rotation) runners_change_no_byte(&p);
    }
    the_lowest_chunk_names_the_error();
    inspection_says_what_was_encoded();
    sums_are_products_added_in_order();
    sums_of_integers_leave_out_alone();
    atomic_decoding_leaves_dst_alone();
    return check_result();
}
