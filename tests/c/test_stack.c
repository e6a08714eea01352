/* No public call takes more than 40 KB of stack, tasks included, whatever the scheme, the code, the
 * length and the backend. The test's own backends (warp, warp_device) are left out: nothing but
 * tests has them. */
#include <stdio.h>

#include "qsgd_fit.h"
#include "qsgd_stages.h"
#include "stack_support.h"
#include "support.h"

#define MOST ((size_t)40 << 10)
#define LONGEST 131072U
#define WORK_BYTES ((size_t)8 << 20)

/* One case, and memory for all of its calls. */
static struct {
    qsgd_params params;
    qsgd_encode_options options;
    uint64_t n, bound, bytes;
    qsgd_stats *stats;
    qsgd_fit_options fit;
} job;

static float x[LONGEST], scales[LONGEST], residual[LONGEST];
static double y[LONGEST], weights[65536];
static int16_t indices[LONGEST];
static uint8_t damping[LONGEST];
static uint8_t frame[8 * LONGEST + 65536], again[8 * LONGEST + 65536], blob[1024];
static uint64_t integers[1000];
static _Alignas(64) uint8_t work[WORK_BYTES];

/* ---- the calls, as a caller without tasks of its own makes them ------------------------------ */

static const qsgd_memory room = {work, WORK_BYTES};
static const qsgd_quantized quantized = {indices, scales, damping, 0};

/* The bundle of this job's length. */
static qsgd_quantized arrays(void) {
    qsgd_quantized q = quantized;
    q.n = job.n;
    return q;
}

static qsgd_status run_in_turn(void *context, qsgd_task task, void *of, uint64_t count) {
    (void)context;
    for (uint64_t i = 0; i < count; i++) task(of, i, 0);
    return QSGD_OK;
}

static void call_sizes(void *context) {
    qsgd_sizes sizes = sizes_new();
    (void)context;
    CHECK(qsgd_encode_sizes(&job.params, &job.options, job.n, &sizes, NULL) == QSGD_OK);
    CHECK(qsgd_decode_sizes(frame, job.bytes, NULL, &sizes, NULL) == QSGD_OK);
}

/* Into as much room as always does, and into as much as the frame takes. */
static void call_encode(void *context) {
    (void)context;
    CHECK(qsgd_encode(&job.params, &job.options, x, job.n, (qsgd_memory){frame, job.bound}, room,
                      &job.bytes, NULL) == QSGD_OK);
    if (job.options.residual != NULL) return; /* which the next frame depends on */
    CHECK(qsgd_encode(&job.params, &job.options, x, job.n, (qsgd_memory){frame, job.bytes}, room,
                      &job.bytes, NULL) == QSGD_OK);
}

static void call_alloc(void *context) {
    qsgd_memory made, values;
    (void)context;
    CHECK(qsgd_encode_alloc(&job.params, NULL, x, job.n, NULL, &made, NULL) == QSGD_OK);
    CHECK(qsgd_decode_alloc(made.data, made.bytes, NULL, NULL, &values, NULL, NULL) == QSGD_OK);
    qsgd_free(NULL, values.data);
    qsgd_free(NULL, made.data);
}

static void call_selftest(void *context) {
    (void)context;
    CHECK(qsgd_selftest(NULL) == QSGD_OK);
}

static void call_inspect(void *context) {
    qsgd_frame_info info;
    qsgd_params params;
    static float levels[QSGD_MAX_LEVEL_TABLE];
    (void)context;
    qsgd_frame_info_init(&info);
    params = params_qsgd();
    CHECK(qsgd_inspect(frame, job.bytes, &info, NULL) == QSGD_OK);
    CHECK(qsgd_inspect_params(frame, job.bytes, &params, levels, NULL) == QSGD_OK);
}

static void decode_as(uint32_t dtype, qsgd_runner runner) {
    qsgd_decode_options o;
    qsgd_decode_options_init(&o);
    o.dtype = dtype;
    o.flags = runner != NULL ? QSGD_DECODE_ATOMIC : 0;
    o.runner = runner;
    CHECK(qsgd_decode(frame, job.bytes, &o, y, job.n, room, NULL) == QSGD_OK);
}

static void call_decode(void *context) {
    (void)context;
    decode_as(QSGD_FLOAT32, NULL);
}

static void call_decode_tasks(void *context) {
    (void)context;
    decode_as(QSGD_FLOAT64, run_in_turn);
}

static void call_decode_add(void *context) {
    (void)context;
    CHECK(qsgd_decode_add(frame, job.bytes, NULL, 0.5F, (float *)(void *)y, job.n, room, NULL) ==
          QSGD_OK);
}

static void call_decode_sum(void *context) {
    const qsgd_weighted_frame frames[2] = {{frame, job.bytes, 1, 0}, {frame, job.bytes, 1, 0}};
    (void)context;
    CHECK(qsgd_decode_sum(frames, 2, NULL, (float *)(void *)y, job.n, room, NULL) == QSGD_OK);
}

static void call_decode_range(void *context) {
    (void)context;
    CHECK(qsgd_decode_range(frame, job.bytes, NULL, job.n / 3, job.n, y, room, NULL) == QSGD_OK);
}

static void call_decode_indices(void *context) {
    const qsgd_quantized q = arrays();
    (void)context;
    CHECK(qsgd_decode_indices(frame, job.bytes, NULL, &q, room, NULL) == QSGD_OK);
}

static void call_encode_like(void *context) {
    const qsgd_quantized q = arrays();
    uint64_t bytes;
    (void)context;
    CHECK(qsgd_encode_indices_like(frame, job.bytes, NULL, &q, (qsgd_memory){again, sizeof again},
                                   room, &bytes, NULL) == QSGD_OK);
}

static void call_encode_indices(void *context) {
    const qsgd_quantized q = arrays();
    uint64_t bytes;
    (void)context;
    CHECK(qsgd_encode_indices(&job.params, NULL, &q, (qsgd_memory){again, sizeof again}, room,
                              &bytes, NULL) == QSGD_OK);
}

static void call_quantize(void *context) {
    const qsgd_quantized q = arrays();
    (void)context;
    CHECK(qsgd_quantize(&job.params, &job.options, x, &q, room, NULL) == QSGD_OK);
}

static void call_dequantize(void *context) {
    const qsgd_quantized q = arrays();
    qsgd_encode_options o;
    (void)context;
    qsgd_encode_options_init(&o);
    o.dtype = QSGD_FLOAT16;
    CHECK(qsgd_dequantize(&job.params, &o, &q, y, room, NULL) == QSGD_OK);
}

static void call_turn(void *context) {
    const qsgd_quantized q = arrays();
    (void)context;
    CHECK(qsgd_turn_indices(&job.params, 0, &q, NULL) == QSGD_OK);
}

static void call_tables(void *context) {
    uint64_t bytes;
    uint8_t digest[8];
    (void)context;
    CHECK(qsgd_shared_tables_build(&job.params, weights, scheme_levels(&job.params),
                                   (qsgd_memory){blob, sizeof blob}, &bytes, NULL) == QSGD_OK);
    CHECK(qsgd_shared_tables_check(blob, bytes, NULL) == QSGD_OK);
    CHECK(qsgd_shared_tables_digest(blob, bytes, digest, NULL) == QSGD_OK);
    job.params.shared_tables = blob;
    job.params.shared_tables_bytes = bytes;
}

static void call_elias(void *context) {
    uint64_t bits, used;
    (void)context;
    for (int32_t kind = QSGD_ELIAS_GAMMA; kind <= QSGD_ELIAS_OMEGA; kind++) {
        CHECK(qsgd_elias_encode(kind, integers, 1000, (qsgd_memory){again, sizeof again}, &bits,
                                NULL) == QSGD_OK);
        CHECK(qsgd_elias_decode(kind, again, bits, 1000, integers, &used, NULL) == QSGD_OK);
    }
}

static void call_stats(void *context) {
    uint64_t bytes;
    qsgd_sizes sizes = sizes_new();
    (void)context;
    CHECK(qsgd_stats_init(job.stats, &job.params, NULL) == QSGD_OK);
    CHECK(qsgd_stats_sizes(job.stats, QSGD_FLOAT32, job.n, &sizes, NULL) == QSGD_OK);
    CHECK(qsgd_stats_add(job.stats, QSGD_FLOAT32, x, job.n, room, NULL) == QSGD_OK);
    CHECK(qsgd_stats_save(job.stats, (qsgd_memory){again, sizeof again}, &bytes, NULL) == QSGD_OK);
    CHECK(qsgd_stats_load(job.stats, again, bytes, NULL) == QSGD_OK);
    CHECK(qsgd_stats_merge(job.stats, job.stats, NULL) == QSGD_OK);
}

static void call_fit(void *context) {
    qsgd_fit result;
    qsgd_params params;
    (void)context;
    qsgd_fit_init(&result);
    CHECK(qsgd_fit_levels(job.stats, &job.fit, &result, room, NULL) == QSGD_OK);
    params = params_qsgd();
    params.levels = result.levels;
    params.zero = result.zero;
    params.level_table = result.level_table;
    params.level_table_len = result.level_table_len;
    CHECK(qsgd_fit_evaluate(job.stats, &job.fit, &params, &result, room, NULL) == QSGD_OK);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static struct record {
    const char *call, *backend;
    size_t bytes;
    int32_t code;
    uint64_t n;
} records[32]; /* of each call, the deepest */

static struct record *record_of(const char *call) {
    struct record *r = records;
    while (r->call != NULL && strcmp(r->call, call) != 0) r++;
    r->call = call;
    return r;
}

static void measure(stack_call *call, const char *name) {
    struct record *r = record_of(name);
    const size_t bytes = stack_of(call, NULL);
    CHECK(bytes <= MOST);
    if (bytes > r->bytes) *r = (struct record){name, qsgd_backend(), bytes, job.params.code, job.n};
}

#define MEASURE(call) measure(call, #call)

static void measure_calls(void) {
    const qsgd_sizes sizes = encode_sizes(&job.params, &job.options, job.n);
    job.bound = sizes.dst_bytes;
    CHECK(job.bound <= sizeof frame && sizes.workspace_bytes <= WORK_BYTES);
    MEASURE(call_encode);
    MEASURE(call_sizes);
    MEASURE(call_inspect);
    MEASURE(call_alloc);
    MEASURE(call_decode);
    MEASURE(call_decode_tasks);
    MEASURE(call_decode_add);
    MEASURE(call_decode_range);
    MEASURE(call_decode_sum);
    if (job.params.code == QSGD_CODE_RAW || job.params.code == QSGD_CODE_AUTO) return;
    MEASURE(call_decode_indices);
    MEASURE(call_encode_like);
    MEASURE(call_encode_indices);
    MEASURE(call_quantize);
    MEASURE(call_dequantize);
    MEASURE(call_turn);
}

/* The step is searched, and the error is measured. */
static void measure_target(void) {
    const qsgd_params with_step = job.params;
    qsgd_encode_report report;
    qsgd_encode_report_init(&report);
    if (job.params.levels != QSGD_LEVELS_OPEN) return;
    job.params.step = 0;
    for (int error = 0; error < 2; error++) {
        job.params.target_bits = error ? 0 : 2.0;
        job.params.target_error = error ? 0.01 : 0;
        job.options.report = error ? &report : NULL;
        job.bound = encode_sizes(&job.params, &job.options, job.n).dst_bytes;
        MEASURE(call_encode);
        MEASURE(call_sizes);
    }
    job.params = with_step;
    job.options.report = NULL;
}

/* Small chunks and buckets, and those that are usual; tasks, residuals, all codes. */
static void measure_scheme(const struct scheme *scheme, uint64_t n) {
    for (int usual = n == LONGEST; usual < 2; usual++) {
        job.params = scheme_params(scheme);
        job.n = n;
        qsgd_encode_options_init(&job.options);
        if (usual) {
            job.params.chunk_log2 = 16;
            set_bucket(&job.params, 0);
        }
        measure_calls();
        measure_target();
        job.options.runner = run_in_turn;
        job.options.residual = job.params.code != QSGD_CODE_RAW ? residual : NULL;
        measure_calls();
        if (usual || n > 4096 || job.params.code == QSGD_CODE_RAW) continue;
        job.params.code = QSGD_CODE_AUTO;
        if (qsgd_params_check(&job.params, NULL) == QSGD_OK) measure_calls();
    }
}

static void measure_tables(const struct scheme *scheme) {
    job.params = scheme_params(scheme);
    job.n = 0;
    if (job.params.code == QSGD_CODE_HUFFMAN || job.params.code == QSGD_CODE_RANS) {
        MEASURE(call_tables);
    }
}

static void measure_stats(void) {
    job.params = params_qsgd();
    job.n = 70000;
    MEASURE(call_stats);
    job.params.bucket = 0;
    job.params.norm = QSGD_NORM_L2;
    MEASURE(call_stats);
}

/* All methods, starts and models, towards an entropy too; of the last statistics. */
static void measure_fits(void) {
    for (unsigned i = 0; i < 48; i++) {
        qsgd_fit_options_init(&job.fit);
        job.fit.sweeps = 2;
        job.fit.method = (int32_t)(i % 4);
        job.fit.model = (int32_t)(i / 4 % 3);
        job.fit.symmetric = job.fit.method == QSGD_FIT_AMQ || i / 12 % 2 != 0;
        job.fit.s = i < 24 ? 7 : 60;
        job.fit.sigma = 0.2;
        MEASURE(call_fit);
        job.fit.bits = 2.5;
        if (job.fit.method == QSGD_FIT_ALQ && job.fit.symmetric) MEASURE(call_fit);
    }
}

static void *measure_all(void *unused) {
    static const uint64_t lengths[] = {0, 1, 1000, 4096, 70000, LONGEST};
    int32_t available;
    for (uint32_t b = 0; qsgd_backends(b, &available) != NULL; b++) {
        const char *name = qsgd_backends(b, NULL);
        if (!available || strncmp(name, "warp", 4) == 0) continue;
        CHECK(qsgd_set_backend(name, NULL) == QSGD_OK);
        for (size_t i = 0; i < SCHEMES; i++) {
            for (size_t n = 0; n < sizeof lengths / sizeof *lengths; n++) {
                measure_scheme(&schemes[i], lengths[n]);
            }
            measure_tables(&schemes[i]);
        }
        MEASURE(call_selftest);
        MEASURE(call_elias);
        measure_stats();
    }
    measure_fits(); /* no backend takes part */
    return unused;
}

int main(void) {
    fill_tensor(x, LONGEST, 3);
    for (size_t i = 0; i < 65536; i++) weights[i] = 1;
    for (size_t i = 0; i < 1000; i++) integers[i] = i + 1;
    job.stats = malloc((size_t)qsgd_stats_bytes());
    stack_run(measure_all);
    free(job.stats);
    for (const struct record *r = records; r->call != NULL; r++) {
        printf("%-20s %6zu bytes of stack (%s, code %d, %llu elements)\n", r->call, r->bytes,
               r->backend, (int)r->code, (unsigned long long)r->n);
    }
    return check_result();
}
