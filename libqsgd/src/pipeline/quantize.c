/* The quantizer on its own: a tensor to indices and scales, and back, without coding; indices as
 * frames code them. */
#include <string.h>

#include "base/dtype.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "frame/params.h"
#include "pipeline/arguments.h"
#include "pipeline/before_chunks.h"
#include "quantize/quantize.h"
#include "quantize/values.h"
#include "quantize/zeros.h"

/* ---- quantize ------------------------------------------------------------------------------- */

struct quantize_job {
    struct before_chunks f;
    qsgd_quantized out; /* or what is dequantized, */
    struct sink sink;   /* to here */
};

static void task_quantize(void *context, uint64_t index, uint32_t worker) {
    struct quantize_job *job = context;
    struct worker *w = &job->f.workers[worker];
    const struct chunk_span span = layout_chunk(&job->f.t.q.layout, index);
    const struct tensor *t = &job->f.t;
    struct chunk_indices c = {.k = w->quantize.indices, .scales = t->scales};
    uint64_t bad_bucket = 0;
    fpenv env = fpenv_enter();
    qsgd_status status = quantize_chunk(t, &span, &w->quantize, &c, &bad_bucket);
    if (status != QSGD_OK) {
        worker_fail(w, index, status, bad_bucket);
    } else {
        const struct live live = live_of(&t->q.layout, &span, t->scales);
        const int16_t idle = (int16_t)t->q.levels.idle;
        if (t->q.params.rotation == 0) zeros_mark(&live, &c.zeros, idle, c.k);
        memcpy(job->out.indices + span.first, c.k, (size_t)span.len * sizeof *c.k);
        if (job->out.damping != NULL) job->out.damping[index] = c.damping;
    }
    fpenv_leave(env);
}

/* Opens a call over the quantizer alone, which uses no residual. */
static qsgd_status quantize_open(const qsgd_params *params, const qsgd_encode_options *options,
                                 const qsgd_quantized *quantized, struct encode_call *call,
                                 struct quantize_job *job, qsgd_error *error) {
    if (quantized == NULL) return memory_missing("quantized", error);
    qsgd_status status = arguments_encode_call(params, options, quantized->n, call, error);
    call->options.residual = NULL;
    if (status == QSGD_OK) status = arguments_check_coded(&call->params, error);
    if (status == QSGD_OK) status = arguments_check_dtype(call, error);
    if (status != QSGD_OK) return status;
    quantizer_init(&job->f.t.q, &call->params, quantized->n, arguments_noise(call), false);
    job->f.t.q.turned = false; /* indices themselves */
    job->f.t.one_pass = false; /* one scale a bucket is wanted */
    job->out = *quantized;
    return QSGD_OK;
}

/* All scales are the caller's. */
static qsgd_status quantize_begin(const struct encode_call *call, struct quantize_job *job,
                                  qsgd_memory workspace, qsgd_error *error) {
    const qsgd_status status = before_chunks_open(&job->f, call, workspace, error);
    job->f.t.scales = scales_at(job->out.scales, 0);
    return status;
}

static qsgd_status check_quantize(const struct encode_call *call, const struct quantize_job *job,
                                  const void *src, qsgd_memory workspace, qsgd_error *error) {
    const qsgd_encode_options *o = &call->options;
    const struct layout *l = &job->f.t.q.layout;
    const qsgd_quantized *out = &job->out;
    if (l->n > 0 && (src == NULL || out->indices == NULL || out->scales == NULL)) {
        return memory_missing(src == NULL ? "src" : (out->indices == NULL ? "indices" : "scales"),
                              error);
    }
    const struct region buffers[] = {
        {"src", src, l->n * dtype_bytes(o->dtype), false},
        {"scales", o->scales, l->buckets * sizeof(float), false},
        {"workspace", workspace.data, workspace.bytes, true},
        QUANTIZED_REGIONS(out, l, true),
    };
    qsgd_status status = arguments_apart(call, buffers, sizeof buffers / sizeof *buffers, error);
    return status == QSGD_OK ? arguments_check_scales(call, l->buckets, error) : status;
}

qsgd_status qsgd_quantize(const qsgd_params *params, const qsgd_encode_options *options,
                          const void *src, const qsgd_quantized *quantized, qsgd_memory workspace,
                          qsgd_error *error) {
    struct encode_call call;
    struct quantize_job job;
    qsgd_status status = quantize_open(params, options, quantized, &call, &job, error);
    if (status == QSGD_OK) status = check_quantize(&call, &job, src, workspace, error);
    if (status != QSGD_OK) return status;
    const qsgd_encode_options *o = &call.options;
    job.f.t.source = (struct source){.data = src, .dtype = o->dtype, .given = o->scales};
    status = quantize_begin(&call, &job, workspace, error);
    if (status == QSGD_OK) status = before_chunks_scales(&job.f, error);
    if (status == QSGD_OK) {
        status = runner_run(&job.f.runner, task_quantize, &job, job.f.t.q.layout.chunks, error);
    }
    return status == QSGD_OK ? before_chunks_error(&job.f, error) : status;
}

/* ---- dequantize ----------------------------------------------------------------------------- */

static void task_values(void *context, uint64_t index, uint32_t worker) {
    struct quantize_job *job = context;
    struct worker *w = &job->f.workers[worker];
    const struct chunk_span span = layout_chunk(&job->f.t.q.layout, index);
    fpenv env = fpenv_enter();
    const struct quantizer *q = &job->f.t.q;
    int16_t *k = w->quantize.indices;
    memcpy(k, job->out.indices + span.first, (size_t)span.len * sizeof *k);
    const struct zero_groups zeros =
        zeros_of_marks(k, span.len, (int16_t)q->levels.idle, w->quantize.zeros);
    const uint8_t damping = job->out.damping == NULL ? (uint8_t)0 : job->out.damping[index];
    const struct dequantizer d = {.q = q,
                                  .scales = job->f.t.scales,
                                  .scratch = &w->quantize,
                                  .sink = &job->sink,
                                  .damping = damping,
                                  .turned = q->turned,
                                  .zeros = zeros,
                                  .first = span.first};
    values_from_indices(&d, &span, span.first, span.first + span.len, w->quantize.indices);
    fpenv_leave(env);
}

qsgd_status qsgd_dequantize(const qsgd_params *params, const qsgd_encode_options *options,
                            const qsgd_quantized *quantized, void *dst, qsgd_memory workspace,
                            qsgd_error *error) {
    struct encode_call call;
    struct quantize_job job;
    qsgd_status status = quantize_open(params, options, quantized, &call, &job, error);
    if (status != QSGD_OK) return status;
    const struct layout *l = &job.f.t.q.layout;
    const uint32_t dtype = call.options.dtype;
    if (dst == NULL && l->n > 0) return memory_missing("dst", error);
    const struct region buffers[] = {
        QUANTIZED_REGIONS(&job.out, l, false),
        {"workspace", workspace.data, workspace.bytes, true},
        {"dst", dst, l->n * dtype_bytes(dtype), true},
    };
    status = arguments_apart(&call, buffers, sizeof buffers / sizeof *buffers, error);
    if (status == QSGD_OK) status = quantize_begin(&call, &job, workspace, error);
    if (status == QSGD_OK) status = arguments_check_quantized(&job.f.t.q, quantized, error);
    if (status != QSGD_OK) return status;
    if (!job.f.t.q.dithered) job.out.damping = NULL;
    job.sink = (struct sink){.data = dst, .dtype = dtype, .to = l->n};
    return runner_run(&job.f.runner, task_values, &job, l->chunks, error);
}

/* ---- turn ----------------------------------------------------------------------------------- */

qsgd_status qsgd_turn_indices(const qsgd_params *params, uint64_t nonce,
                              const qsgd_quantized *quantized, qsgd_error *error) {
    struct quantizer q;
    qsgd_params p;
    if (quantized == NULL) return memory_missing("quantized", error);
    const uint64_t n = quantized->n;
    qsgd_status status = params_take(params, &p, error);
    if (status == QSGD_OK) status = arguments_check_coded(&p, error);
    if (status == QSGD_OK) status = arguments_check_elements(n, error);
    if (status != QSGD_OK) return status;
    quantizer_init(&q, &p, n, (struct noise_start){nonce, 0}, false);
    const struct region buffers[] = {
        {"params", params, params->struct_size, false},
        {"level_table", p.level_table, p.level_table_len * sizeof *p.level_table, false},
        {"shared_tables", p.shared_tables, p.shared_tables_bytes, false},
        {"scales", quantized->scales, q.layout.buckets * sizeof(float), false},
        {"indices", quantized->indices, n * sizeof(int16_t), true},
    };
    status = regions_apart(buffers, sizeof buffers / sizeof *buffers, error);
    if (status == QSGD_OK) status = arguments_check_quantized(&q, quantized, error);
    if (status != QSGD_OK || n == 0) return status;
    uint16_t noise[QUANTIZE_BLOCK + 2 * NOISE_TILE];
    struct quantize_scratch scratch = {.noise = noise};
    const struct chunk_span whole = {.first = 0, .len = n};
    const struct scale_array given = scales_at(quantized->scales, 0);
    if (q.turned) values_turn(&q, &whole, &given, &scratch, quantized->indices, NULL);
    return QSGD_OK;
}
