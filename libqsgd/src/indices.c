/* The stages apart: quantise without coding, dequantise, and coding of given indices. With `like`, a
 * frame's own indices give back its bytes: the oracle of FORMAT.md section 10. */
#include <string.h>

#include "chunk.h"
#include "crc32c.h"
#include "decode.h"
#include "frame.h"
#include "tensor.h"

uint64_t qsgd_bucket_count(const struct qsgd_params *params, uint64_t n) {
    if (params_check(params, NULL) != QSGD_OK || n > QSGD_MAX_ELEMENTS) return 0;
    return layout_of(n, params->bucket, params->chunk_log2, params->code == QSGD_CODE_RAW).buckets;
}

uint64_t qsgd_chunk_count(const struct qsgd_params *params, uint64_t n) {
    if (params_check(params, NULL) != QSGD_OK || n > QSGD_MAX_ELEMENTS) return 0;
    return layout_of(n, params->bucket, params->chunk_log2, params->code == QSGD_CODE_RAW).chunks;
}

/* ---- quantise ------------------------------------------------------------------------------- */

struct index_job {
    struct quantiser q;
    struct source source;
    struct scale_array scales;
    struct worker *workers;
    struct bucket_sums *partials;
    struct topk_cut *cuts;
    int16_t *indices;
    uint8_t *alphas;
    struct sink sink; /* dequantise */
};

static void task_block(void *context, uint64_t block, uint32_t worker) {
    struct index_job *job = context;
    fpenv env = fpenv_enter();
    quantise_big_block(&job->q, &job->source, block, &job->workers[worker].quantise,
                       job->partials);
    fpenv_leave(env);
}

static void task_quantise(void *context, uint64_t index, uint32_t worker) {
    struct index_job *job = context;
    struct worker *w = &job->workers[worker];
    const struct chunk_span span = layout_chunk(&job->q.layout, index);
    uint8_t alpha = 0;
    uint64_t bad_bucket = 0;
    fpenv env = fpenv_enter();
    const float *x = source_read(&job->source, span.first, span.len, w->quantise.elements);
    qsgd_status status = quantise_chunk(&job->q, &job->source, &span, x, &job->scales, job->cuts,
                                        &w->quantise, w->quantise.indices, &alpha, &bad_bucket);
    if (status != QSGD_OK) {
        worker_fail(w, index, status, bad_bucket);
    } else {
        memcpy(job->indices + span.first, w->quantise.indices,
               (size_t)span.len * sizeof(int16_t));
        if (job->alphas != NULL) job->alphas[index] = alpha;
        if (job->source.residual != NULL) {
            residual_of_chunk(&job->q, &span, x, w->quantise.indices, &job->scales, alpha,
                              &w->quantise, job->source.residual);
        }
    }
    fpenv_leave(env);
}

/* The same memory as qsgd_encode's, so that one query serves both. */
static void carve(struct index_job *job, struct arena *arena, uint32_t workers, bool converts) {
    const struct layout *l = &job->q.layout;
    const bool topk = job->q.params.rounding == QSGD_ROUND_TOPK && l->per_bucket != 0;
    job->workers = workers_carve(arena, &job->q, workers, converts);
    job->partials = arena_take(arena, quantise_big_blocks(l) * sizeof(struct bucket_sums));
    job->cuts = arena_take(arena, topk ? l->buckets * sizeof(struct topk_cut) : 0);
    if (!topk) job->cuts = NULL;
}

static qsgd_status check_workspace(struct index_job *job, uint32_t workers, bool converts,
                                   void *workspace, uint64_t workspace_bytes,
                                   struct qsgd_error *error) {
    struct arena arena = {NULL, 0};
    carve(job, &arena, workers, converts);
    if (workspace == NULL) {
        return error_parameter(error, QSGD_ERR_NULL, "workspace", "workspace is NULL");
    }
    if (work_misaligned(workspace) || workspace_bytes < arena.used) {
        return error_parameter(error, QSGD_ERR_WORKSPACE, "workspace",
                               "the workspace must be 64-byte aligned and hold "
                               "qsgd_encode_workspace bytes");
    }
    arena.memory = workspace;
    arena.used = 0;
    carve(job, &arena, workers, converts);
    return QSGD_OK;
}

static qsgd_status not_raw(const struct qsgd_params *params, struct qsgd_error *error) {
    if (params->code != QSGD_CODE_RAW) return QSGD_OK;
    return error_parameter(error, QSGD_ERR_COMBINATION, "code", "raw frames have no indices");
}

qsgd_status qsgd_quantize(const struct qsgd_params *params,
                          const struct qsgd_encode_options *options, const void *src, uint64_t n,
                          int16_t *indices, float *scales, uint8_t *alphas, void *workspace,
                          uint64_t workspace_bytes, struct qsgd_error *error) {
    struct encode_call call;
    struct index_job job;
    qsgd_status status = params_check(params, error);
    if (status == QSGD_OK) status = not_raw(params, error);
    if (status == QSGD_OK) status = params_encode_call(options, n, &call, error);
    if (status != QSGD_OK) return status;
    const struct qsgd_encode_options *o = &call.options;
    quantiser_init(&job.q, params, n, o->nonce, false);
    status = params_check_source(params, o, job.q.layout.buckets, error);
    if (status != QSGD_OK) return status;
    if (n > 0 && (src == NULL || indices == NULL || scales == NULL)) {
        return error_parameter(error, QSGD_ERR_NULL, src == NULL ? "src" : "indices",
                               "a buffer that is needed is NULL");
    }
    const uint64_t src_bytes = n * tensor_item_bytes(o->dtype);
    if (work_overlap(src, src_bytes, indices, 2 * n) ||
        work_overlap(src, src_bytes, scales, 4 * job.q.layout.buckets)) {
        return error_parameter(error, QSGD_ERR_OVERLAP, "indices", "src and outputs overlap");
    }
    job.source = (struct source){src, o->dtype, o->residual, o->scales};
    job.scales = (struct scale_array){(uint8_t *)scales, SCALES_NATIVE};
    job.indices = indices;
    job.alphas = alphas;
    status = check_workspace(&job, o->workers, source_converts(&job.source), workspace,
                             workspace_bytes, error);
    if (status != QSGD_OK) return status;
    if (job.q.layout.per_bucket != 0) {
        work_run(o->runner, o->runner_context, task_block, &job,
                 quantise_big_blocks(&job.q.layout));
        fpenv env = fpenv_enter();
        quantise_big_scales(&job.q, &job.source, job.partials, &job.scales, job.cuts,
                            &job.workers[0].quantise);
        fpenv_leave(env);
    }
    work_run(o->runner, o->runner_context, task_quantise, &job, job.q.layout.chunks);
    const struct worker *failed = workers_error(job.workers, o->workers);
    if (failed == NULL) return QSGD_OK;
    return error_element(error, QSGD_ERR_NONFINITE,
                         quantise_first_nonfinite(&job.q, &job.source, failed->error_where),
                         failed->error_where,
                         "NaN, Inf, or a bucket whose scale overflows, under nonfinite=raise");
}

/* ---- given indices ---------------------------------------------------------------------------- */

/* True if a scale is one that the parameters' scale kind stores exactly. */
static bool scale_fits(const struct qsgd_params *params, float scale) {
    if (!scale_is_valid(scale)) return false;
    return params->scale == QSGD_SCALE_FLOAT32 || (scale_bits(scale) & 0xFFFF) == 0;
}

static qsgd_status check_given(const struct quantiser *q, const int16_t *indices,
                               const float *scales, struct qsgd_error *error) {
    const struct layout *l = &q->layout;
    for (uint64_t b = 0; b < l->buckets; b++) {
        float scale;
        memcpy(&scale, scales + b, sizeof scale);
        if (!scale_fits(&q->params, scale)) {
            return error_element(error, QSGD_ERR_INDEX, UINT64_MAX, b,
                                 "a scale is not one that a frame can store (negative, infinite, "
                                 "or not exact in its scale kind)");
        }
    }
    for (uint64_t i = 0; i < l->n; i++) {
        int16_t k;
        memcpy(&k, indices + i, sizeof k);
        if (!levels_has(&q->levels, k)) {
            return error_element(error, QSGD_ERR_INDEX, i, i / l->bucket, "an index names no level");
        }
    }
    return QSGD_OK;
}

static void task_values(void *context, uint64_t index, uint32_t worker) {
    struct index_job *job = context;
    struct worker *w = &job->workers[worker];
    const struct chunk_span span = layout_chunk(&job->q.layout, index);
    fpenv env = fpenv_enter();
    memcpy(w->quantise.indices, job->indices + span.first, (size_t)span.len * sizeof(int16_t));
    values_of_chunk(&job->q, &span, span.first, span.first + span.len, w->quantise.indices,
                    &job->scales, job->alphas == NULL ? 0 : job->alphas[index], &w->quantise,
                    &job->sink);
    fpenv_leave(env);
}

qsgd_status qsgd_dequantize(const struct qsgd_params *params, uint64_t nonce,
                            const int16_t *indices, const float *scales, const uint8_t *alphas,
                            uint64_t n, uint32_t dst_dtype, void *dst, void *workspace,
                            uint64_t workspace_bytes, struct qsgd_error *error) {
    struct index_job job;
    qsgd_status status = params_check(params, error);
    if (status == QSGD_OK) status = not_raw(params, error);
    if (status != QSGD_OK) return status;
    if (!tensor_is_float(dst_dtype)) {
        return error_parameter(error, QSGD_ERR_DTYPE, "dst_dtype", "dst must be of a float type");
    }
    if (n > QSGD_MAX_ELEMENTS) {
        return error_parameter(error, QSGD_ERR_SHAPE, "n", "a tensor has at most 2^47 elements");
    }
    if (n > 0 && (indices == NULL || scales == NULL || dst == NULL)) {
        return error_parameter(error, QSGD_ERR_NULL, dst == NULL ? "dst" : "indices",
                               "a buffer that is needed is NULL");
    }
    if (work_overlap(indices, 2 * n, dst, n * tensor_item_bytes(dst_dtype))) {
        return error_parameter(error, QSGD_ERR_OVERLAP, "dst", "indices and dst overlap");
    }
    if (params->rounding != QSGD_ROUND_DITHERED) alphas = NULL;
    quantiser_init(&job.q, params, n, nonce, false);
    status = check_given(&job.q, indices, scales, error);
    if (status == QSGD_OK) {
        status = check_workspace(&job, 1, false, workspace, workspace_bytes, error);
    }
    if (status != QSGD_OK) return status;
    job.scales = (struct scale_array){(uint8_t *)(uintptr_t)scales, SCALES_NATIVE};
    job.indices = (int16_t *)(uintptr_t)indices;
    job.alphas = (uint8_t *)(uintptr_t)alphas;
    job.sink = (struct sink){.data = dst, .dtype = dst_dtype};
    work_run(NULL, NULL, task_values, &job, job.q.layout.chunks);
    return QSGD_OK;
}

/* ---- code given indices ------------------------------------------------------------------------ */

struct recode {
    const struct quantiser *q;
    struct decode_call *like; /* NULL: the form is chosen */
    struct worker *worker;
    const int16_t *indices;
    const uint8_t *alphas;
};

static size_t recode_chunk(const struct recode *r, uint64_t index, uint8_t *dst, size_t cap) {
    const struct chunk_span span = layout_chunk(&r->q->layout, index);
    const bool dithered = r->q->params.rounding == QSGD_ROUND_DITHERED;
    const uint8_t alpha = dithered && r->alphas != NULL ? r->alphas[index] : 0;
    int16_t *k = r->worker->quantise.indices;
    memcpy(k, r->indices + span.first, (size_t)span.len * sizeof *k);
    struct code_chunk chunk = work_code_chunk(r->q, r->q->params.code, &span, r->worker);
    if (r->like == NULL) return chunk_write(&chunk, dithered, k, alpha, dst);
    struct chunk_form form;
    uint64_t where;
    if (decode_parse_chunk(r->like, index, r->worker, &chunk, &form, &where) != QSGD_OK) {
        return SIZE_MAX;
    }
    return chunk_write_like(&chunk, dithered, k, alpha, &form, dst, cap);
}

static qsgd_status recode_all(const struct recode *r, const struct frame *f,
                              uint64_t header_bytes, const float *scales, uint8_t *dst,
                              uint64_t dst_bytes, uint64_t *frame_bytes,
                              struct qsgd_error *error) {
    const struct layout *l = &r->q->layout;
    const int32_t checksum = r->q->params.checksum;
    const struct scale_array stored = {dst + f->scales_offset, r->q->params.scale};
    for (uint64_t b = 0; b < l->buckets; b++) {
        float scale;
        memcpy(&scale, scales + b, sizeof scale);
        scale_set(&stored, b, scale);
    }
    uint64_t at = f->payload_offset;
    for (uint64_t j = 0; j < l->chunks; j++) {
        size_t bytes = recode_chunk(r, j, dst + at, (size_t)(dst_bytes - at));
        if (bytes == SIZE_MAX) {
            return error_element(error, QSGD_ERR_INDEX, layout_chunk(l, j).first, UINT64_MAX,
                                 "indices cannot be coded in the form of `like`'s chunk");
        }
        uint8_t *entry = dst + f->index_offset + j * frame_index_entry(checksum);
        store_le32(entry, (uint32_t)bytes);
        if (checksum) store_le32(entry + 4, crc32c(dst + at, bytes));
        at += bytes;
    }
    frame_finish(dst, f, header_bytes, checksum, at);
    *frame_bytes = at;
    return QSGD_OK;
}

static qsgd_status encode_indices_like(const void *like, uint64_t like_bytes, struct recode *r,
                                       const float *scales, uint64_t n, uint8_t *dst,
                                       uint64_t dst_bytes, void *workspace,
                                       uint64_t workspace_bytes, uint64_t *frame_bytes,
                                       struct qsgd_error *error) {
    struct decode_call call;
    qsgd_status status =
        decode_open(&call, like, like_bytes, NULL, workspace, workspace_bytes, error);
    if (status != QSGD_OK) return status;
    if (frame_is_raw(&call.frame)) {
        return error_parameter(error, QSGD_ERR_SCHEME, "like", "raw frames have no indices");
    }
    if (n != call.frame.info.elements) {
        return error_parameter(error, QSGD_ERR_LENGTH, "n", "like has another number of elements");
    }
    if (dst_bytes < call.frame.payload_offset) {
        return error_parameter(error, QSGD_ERR_DST_TOO_SMALL, "dst_bytes",
                               "dst must hold at least the size of `like`");
    }
    status = check_given(&call.q, r->indices, scales, error);
    if (status != QSGD_OK) return status;
    r->q = &call.q;
    r->like = &call;
    r->worker = &call.workers[0];
    memcpy(dst, like, (size_t)call.frame.info.header_bytes);
    return recode_all(r, &call.frame, call.frame.info.header_bytes, scales, dst, dst_bytes,
                      frame_bytes, error);
}

static qsgd_status encode_indices_new(const struct qsgd_params *params,
                                      const struct qsgd_encode_options *options, struct recode *r,
                                      const float *scales, uint64_t n, uint8_t *dst,
                                      uint64_t dst_bytes, void *workspace,
                                      uint64_t workspace_bytes, uint64_t *frame_bytes,
                                      struct qsgd_error *error) {
    struct encode_call call;
    struct index_job job;
    struct frame f;
    qsgd_status status = params_check(params, error);
    if (status == QSGD_OK) status = not_raw(params, error);
    if (status == QSGD_OK && params->code == QSGD_CODE_AUTO) {
        status = error_parameter(error, QSGD_ERR_COMBINATION, "code",
                                 "auto chooses from the tensor: name a code");
    }
    if (status == QSGD_OK) status = params_encode_call(options, n, &call, error);
    if (status == QSGD_OK && !tensor_is_float(call.options.dtype)) {
        status = error_parameter(error, QSGD_ERR_DTYPE, "dtype", "indices stand for float types");
    }
    if (status != QSGD_OK) return status;
    if (dst_bytes < qsgd_encode_bound(params, options, n)) {
        return error_parameter(error, QSGD_ERR_DST_TOO_SMALL, "dst_bytes",
                               "dst must hold qsgd_encode_bound bytes");
    }
    quantiser_init(&job.q, params, n, call.options.nonce, false);
    status = check_given(&job.q, r->indices, scales, error);
    if (status == QSGD_OK) {
        status = check_workspace(&job, 1, false, workspace, workspace_bytes, error);
    }
    if (status != QSGD_OK) return status;
    r->q = &job.q;
    r->worker = &job.workers[0];
    const uint64_t header_bytes = frame_write_header(dst, params, &call);
    frame_place(&f, &job.q.layout, header_bytes, params);
    return recode_all(r, &f, header_bytes, scales, dst, dst_bytes, frame_bytes, error);
}

qsgd_status qsgd_encode_indices(const struct qsgd_params *params,
                                const struct qsgd_encode_options *options, const void *like,
                                uint64_t like_bytes, const int16_t *indices, const float *scales,
                                const uint8_t *alphas, uint64_t n, void *dst, uint64_t dst_bytes,
                                void *workspace, uint64_t workspace_bytes, uint64_t *frame_bytes,
                                struct qsgd_error *error) {
    if (dst == NULL || frame_bytes == NULL || (n > 0 && (indices == NULL || scales == NULL))) {
        return error_parameter(error, QSGD_ERR_NULL, dst == NULL ? "dst" : "indices",
                               "a buffer that is needed is NULL");
    }
    if (work_overlap(indices, 2 * n, dst, dst_bytes) ||
        work_overlap(like, like_bytes, dst, dst_bytes)) {
        return error_parameter(error, QSGD_ERR_OVERLAP, "dst", "inputs and dst overlap");
    }
    struct recode r = {.indices = indices, .alphas = alphas};
    if (like != NULL) {
        return encode_indices_like(like, like_bytes, &r, scales, n, dst, dst_bytes, workspace,
                                   workspace_bytes, frame_bytes, error);
    }
    return encode_indices_new(params, options, &r, scales, n, dst, dst_bytes, workspace,
                              workspace_bytes, frame_bytes, error);
}

/* ---- decode to indices -------------------------------------------------------------------------- */

struct index_sink {
    struct decode_call call; /* first: decode_run passes its address */
    int16_t *indices;
    uint8_t *alphas;
};

static void task_indices(void *context, uint64_t index, uint32_t worker) {
    struct index_sink *sink = context;
    struct worker *w = &sink->call.workers[worker];
    const struct chunk_span span = layout_chunk(&sink->call.q.layout, index);
    struct code_chunk chunk;
    struct chunk_form form;
    uint64_t where = 0;
    qsgd_status status = decode_parse_chunk(&sink->call, index, w, &chunk, &form, &where);
    if (status == QSGD_OK) status = chunk_read(&chunk, &form, w->quantise.indices);
    if (status != QSGD_OK) {
        worker_fail(w, index, status, where);
        return;
    }
    memcpy(sink->indices + span.first, w->quantise.indices, (size_t)span.len * sizeof(int16_t));
    if (sink->alphas != NULL) sink->alphas[index] = form.alpha;
}

qsgd_status qsgd_decode_indices(const void *frame, uint64_t size,
                                const struct qsgd_decode_options *options, int16_t *indices,
                                float *scales, uint8_t *alphas, uint64_t n, void *workspace,
                                uint64_t workspace_bytes, struct qsgd_error *error) {
    struct index_sink sink = {.indices = indices, .alphas = alphas};
    qsgd_status status =
        decode_open(&sink.call, frame, size, options, workspace, workspace_bytes, error);
    if (status != QSGD_OK) return status;
    if (frame_is_raw(&sink.call.frame)) {
        return error_parameter(error, QSGD_ERR_SCHEME, "frame", "raw frames have no indices");
    }
    if (n != sink.call.frame.info.elements) {
        return error_parameter(error, QSGD_ERR_LENGTH, "n",
                               "the output's number of elements is not the frame's");
    }
    if (n > 0 && (indices == NULL || scales == NULL)) {
        return error_parameter(error, QSGD_ERR_NULL, "indices", "an output is NULL");
    }
    sink.call.deep = true;
    status = decode_verify(&sink.call);
    if (status == QSGD_OK) status = decode_run(&sink.call, task_indices);
    if (status != QSGD_OK) return status;
    const struct scale_array stored = frame_scales(&sink.call.frame);
    for (uint64_t b = 0; b < sink.call.q.layout.buckets; b++) {
        float scale = scale_get(&stored, b);
        memcpy(scales + b, &scale, sizeof scale);
    }
    return QSGD_OK;
}
