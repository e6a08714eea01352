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

uint64_t qsgd_bucket_count(const struct qsgd_params *params, uint64_t n) {
    if (params_check(params, NULL) != QSGD_OK || n > QSGD_MAX_ELEMENTS) return 0;
    return layout_of(n, params->bucket, params->chunk_log2, params->code == QSGD_CODE_RAW).buckets;
}

uint64_t qsgd_chunk_count(const struct qsgd_params *params, uint64_t n) {
    if (params_check(params, NULL) != QSGD_OK || n > QSGD_MAX_ELEMENTS) return 0;
    return layout_of(n, params->bucket, params->chunk_log2, params->code == QSGD_CODE_RAW).chunks;
}

/* ---- quantize ------------------------------------------------------------------------------- */

struct quantize_job {
    struct before_chunks f;
    int16_t *indices;
    uint8_t *alphas;
    struct sink sink; /* dequantize */
};

static void task_quantize(void *context, uint64_t index, uint32_t worker) {
    struct quantize_job *job = context;
    struct worker *w = &job->f.workers[worker];
    const struct chunk_span span = layout_chunk(&job->f.t.q.layout, index);
    const struct tensor *t = &job->f.t;
    struct chunk_indices c = {w->quantize.indices, NULL, 0};
    uint64_t bad_bucket = 0;
    fpenv env = fpenv_enter();
    const float *x = source_read(&t->source, span.first, span.len, w->quantize.elements);
    qsgd_status status = quantize_chunk(t, &span, x, &w->quantize, &c, &bad_bucket);
    if (status != QSGD_OK) {
        worker_fail(w, index, status, bad_bucket);
    } else {
        memcpy(job->indices + span.first, c.k, (size_t)span.len * sizeof *c.k);
        if (job->alphas != NULL) job->alphas[index] = c.alpha;
        if (t->source.residual != NULL) {
            const struct dequantizer d = {&t->q, t->scales, &w->quantize, NULL, c.alpha};
            residual_of_chunk(&d, &t->source, &span, x, c.k);
        }
    }
    fpenv_leave(env);
}

qsgd_status qsgd_quantize(const struct qsgd_params *params,
                          const struct qsgd_encode_options *options, const void *src, uint64_t n,
                          int16_t *indices, float *scales, uint8_t *alphas, void *workspace,
                          uint64_t workspace_bytes, struct qsgd_error *error) {
    struct encode_call call;
    struct quantize_job job;
    qsgd_status status = params_check(params, error);
    if (status == QSGD_OK) status = arguments_check_coded(params, error);
    if (status == QSGD_OK) status = arguments_encode_call(options, n, &call, error);
    if (status == QSGD_OK) status = arguments_check_dtype(params, &call.options, error);
    if (status != QSGD_OK) return status;
    const struct qsgd_encode_options *o = &call.options;
    quantizer_init(&job.f.t.q, params, n, o->nonce, false);
    job.f.t.q.turned = false; /* indices themselves */
    status = arguments_check_scales(params, o, job.f.t.q.layout.buckets, error);
    if (status != QSGD_OK) return status;
    if (n > 0 && (src == NULL || indices == NULL || scales == NULL)) {
        return memory_missing(src == NULL ? "src" : "indices", error);
    }
    const uint64_t src_bytes = n * dtype_bytes(o->dtype);
    if (memory_overlap(src, src_bytes, indices, 2 * n) ||
        memory_overlap(src, src_bytes, scales, 4 * job.f.t.q.layout.buckets)) {
        return error_parameter(error, QSGD_ERR_OVERLAP, "indices", "src and outputs overlap");
    }
    job.f.t.source = (struct source){src, o->dtype, o->residual, o->scales};
    job.f.t.scales = scales_native(scales);
    job.indices = indices;
    job.alphas = alphas;
    status =
        before_chunks_open(&job.f, o->workers, quantizer_copies(&job.f.t.q, o->dtype, o->residual),
                           workspace, workspace_bytes, error);
    if (status != QSGD_OK) return status;
    before_chunks_scales(&job.f, o);
    workers_run(o->runner, o->runner_context, task_quantize, &job, job.f.t.q.layout.chunks);
    return before_chunks_error(&job.f, o->workers, error);
}

/* ---- dequantize ----------------------------------------------------------------------------- */

static void task_values(void *context, uint64_t index, uint32_t worker) {
    struct quantize_job *job = context;
    struct worker *w = &job->f.workers[worker];
    const struct chunk_span span = layout_chunk(&job->f.t.q.layout, index);
    fpenv env = fpenv_enter();
    memcpy(w->quantize.indices, job->indices + span.first, (size_t)span.len * sizeof(int16_t));
    const struct dequantizer d = {&job->f.t.q, job->f.t.scales, &w->quantize, &job->sink,
                                  job->alphas == NULL ? (uint8_t)0 : job->alphas[index]};
    values_from_indices(&d, &span, span.first, span.first + span.len, w->quantize.indices);
    fpenv_leave(env);
}

qsgd_status qsgd_dequantize(const struct qsgd_params *params, uint64_t nonce,
                            const int16_t *indices, const float *scales, const uint8_t *alphas,
                            uint64_t n, uint32_t dst_dtype, void *dst, void *workspace,
                            uint64_t workspace_bytes, struct qsgd_error *error) {
    struct quantize_job job;
    qsgd_status status = params_check(params, error);
    if (status == QSGD_OK) status = arguments_check_coded(params, error);
    if (status != QSGD_OK) return status;
    if (!dtype_is_float(dst_dtype)) {
        return error_parameter(error, QSGD_ERR_DTYPE, "dst_dtype", "dst must be of a float type");
    }
    status = arguments_check_elements(n, error);
    if (status != QSGD_OK) return status;
    if (n > 0 && (indices == NULL || scales == NULL || dst == NULL)) {
        return memory_missing(dst == NULL ? "dst" : "indices", error);
    }
    if (memory_overlap(indices, 2 * n, dst, n * dtype_bytes(dst_dtype))) {
        return error_parameter(error, QSGD_ERR_OVERLAP, "dst", "indices and dst overlap");
    }
    if (params->rounding != QSGD_ROUND_DITHERED) alphas = NULL;
    quantizer_init(&job.f.t.q, params, n, nonce, false);
    job.f.t.q.turned = false;
    status = arguments_check_indices(&job.f.t.q, indices, scales, error);
    if (status == QSGD_OK) {
        status = before_chunks_open(&job.f, 1, false, workspace, workspace_bytes, error);
    }
    if (status != QSGD_OK) return status;
    job.f.t.scales = scales_native(scales);
    job.indices = (int16_t *)(uintptr_t)indices;
    job.alphas = (uint8_t *)(uintptr_t)alphas;
    job.sink = (struct sink){.data = dst, .dtype = dst_dtype, .to = n};
    workers_run(NULL, NULL, task_values, &job, job.f.t.q.layout.chunks);
    return QSGD_OK;
}

/* ---- turn ----------------------------------------------------------------------------------- */

qsgd_status qsgd_turn_indices(const struct qsgd_params *params, uint64_t nonce, int16_t *indices,
                              const float *scales, uint64_t n, struct qsgd_error *error) {
    struct quantizer q;
    qsgd_status status = params_check(params, error);
    if (status == QSGD_OK) status = arguments_check_coded(params, error);
    if (status == QSGD_OK) status = arguments_check_elements(n, error);
    if (status != QSGD_OK) return status;
    if (n > 0 && (indices == NULL || scales == NULL)) {
        return memory_missing(indices == NULL ? "indices" : "scales", error);
    }
    quantizer_init(&q, params, n, nonce, false);
    status = arguments_check_indices(&q, indices, scales, error);
    if (status != QSGD_OK || n == 0) return status;
    uint16_t noise[QUANTIZE_BLOCK + 2 * NOISE_TILE];
    struct quantize_scratch scratch = {.noise = noise};
    const struct chunk_span whole = {.first = 0, .len = n};
    const struct scale_array given = scales_native(scales);
    values_turn(&q, &whole, &given, &scratch, indices);
    return QSGD_OK;
}
