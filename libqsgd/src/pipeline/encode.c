/* The pipeline forward: tensor -> norm -> levels -> rounding -> code -> frame. Reads as a contents
 * page: each chunk is one task that quantizes, codes and checks its own payload. */
#include <string.h>

#include "base/dtype.h"
#include "codes/payload.h"
#include "frame/frame.h"
#include "frame/header.h"
#include "frame/params.h"
#include "pipeline/arguments.h"
#include "pipeline/before_chunks.h"
#include "quantize/quantize.h"
#include "quantize/values.h"

struct encode_job {
    struct before_chunks f;
    struct frame frame;
    uint8_t *dst;
    bool survey;     /* code auto: only count what each code would take */
    bool sequential; /* no runner: payloads are written one behind the other */
    uint64_t at;     /* sequential: bytes of payloads so far */
    int32_t code;
};

/* Bytes reserved for all payloads before chunk `index`, so that chunks may be written in any order.
 */
static uint64_t slot_offset(const struct encode_job *job, const struct chunk_span *span,
                            uint64_t index) {
    if (job->sequential) return job->at;
    if (job->code == QSGD_CODE_RAW) return span->first * dtype_bytes(job->f.source.dtype);
    return index == 0 ? 0 : payload_bound(&job->f.q.levels, span->first) + 4 * index;
}

static uint64_t payloads_bound(const struct quantizer *q, int32_t code, uint32_t dtype) {
    const struct layout *l = &q->layout;
    uint64_t raw = l->n * dtype_bytes(dtype);
    if (code == QSGD_CODE_RAW) return raw;
    uint64_t coded = payload_bound(&q->levels, l->n) + 4 * (l->chunks + 1);
    return code == QSGD_CODE_AUTO && raw > coded ? raw : coded;
}

/* ---- tasks ---------------------------------------------------------------------------------- */

static size_t write_raw(struct encode_job *job, const struct chunk_span *span, uint8_t *dst) {
    const uint32_t dtype = job->f.source.dtype;
    const size_t item = dtype_bytes(dtype);
    const uint8_t *src = job->f.source.data + span->first * item;
    if (job->f.source.residual == NULL) {
        dtype_swap_copy(dtype, src, (size_t)span->len, dst);
        return (size_t)span->len * item;
    }
    for (uint64_t i = 0; i < span->len; i++) { /* float32: the sum is stored, nothing is left */
        float x, r, none = 0;
        memcpy(&x, src + 4 * i, 4);
        memcpy(&r, job->f.source.residual + span->first + i, 4);
        x = x + r;
        dtype_swap_copy(dtype, &x, 1, dst + 4 * i);
        memcpy(job->f.source.residual + span->first + i, &none, 4);
    }
    return (size_t)span->len * item;
}

static void survey_codes(struct encode_job *job, const struct chunk_span *span,
                         struct worker *worker, const int16_t *k, uint8_t alpha, uint8_t *dst) {
    for (int32_t code = QSGD_CODE_FIXED; code <= QSGD_CODE_RANS; code++) {
        if (!params_code_fits(&job->f.q.params, code)) continue;
        struct code_chunk chunk =
            worker_code_chunk(&job->f.q, &job->f.shared, code, span, &worker->codes);
        worker->auto_bytes[code] +=
            payload_write(&chunk, job->f.q.params.rounding == QSGD_ROUND_DITHERED, k, alpha, dst);
    }
}

static void finish_payload(struct encode_job *job, uint64_t index, const uint8_t *payload,
                           size_t bytes) {
    frame_set_entry(job->dst, &job->frame, index, payload, bytes);
    if (job->sequential) job->at += bytes;
}

static qsgd_status encode_chunk(struct encode_job *job, uint64_t index, struct worker *worker,
                                uint64_t *bad_bucket) {
    const struct chunk_span span = layout_chunk(&job->f.q.layout, index);
    uint8_t *dst = job->dst + job->frame.payload_offset + slot_offset(job, &span, index);
    if (job->code == QSGD_CODE_RAW) {
        finish_payload(job, index, dst, write_raw(job, &span, dst));
        return QSGD_OK;
    }
    struct quantize_scratch *scratch = &worker->quantize;
    struct code_chunk chunk =
        worker_code_chunk(&job->f.q, &job->f.shared, job->code, &span, &worker->codes);
    const bool tokens = !job->survey && job->f.source.residual == NULL &&
                        quantizer_gives_tokens(&job->f.q) && code_find(job->code)->from_tokens;
    int16_t *k = tokens ? NULL : scratch->indices;
    uint8_t alpha = 0;
    const float *x = source_read(&job->f.source, span.first, span.len, scratch->elements);
    qsgd_status status =
        quantize_chunk(&job->f.q, &job->f.source, &span, x, &job->f.scales, job->f.cuts, scratch, k,
                       worker->codes.tokens, &alpha, bad_bucket);
    if (status != QSGD_OK) return status;
    if (job->survey) {
        survey_codes(job, &span, worker, k, alpha, dst);
        return QSGD_OK;
    }
    size_t bytes =
        payload_write(&chunk, job->f.q.params.rounding == QSGD_ROUND_DITHERED, k, alpha, dst);
    finish_payload(job, index, dst, bytes);
    if (job->f.source.residual != NULL) {
        if (job->f.q.params.rotation != 0) {
            x = source_read(&job->f.source, span.first, span.len, scratch->elements);
        }
        residual_of_chunk(&job->f.q, &span, x, k, &job->f.scales, alpha, scratch,
                          job->f.source.residual);
    }
    return QSGD_OK;
}

static void task_chunk(void *context, uint64_t index, uint32_t worker) {
    struct encode_job *job = context;
    fpenv env = fpenv_enter();
    uint64_t bad_bucket = 0;
    qsgd_status status = encode_chunk(job, index, &job->f.workers[worker], &bad_bucket);
    if (status != QSGD_OK) worker_fail(&job->f.workers[worker], index, status, bad_bucket);
    fpenv_leave(env);
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Moves payloads together; returns the frame's size. */
static uint64_t close_gaps(struct encode_job *job) {
    if (job->sequential) return job->frame.payload_offset + job->at;
    uint8_t *base = job->dst + job->frame.payload_offset;
    uint64_t at = 0;
    for (uint64_t j = 0; j < job->f.q.layout.chunks; j++) {
        const struct chunk_span span = layout_chunk(&job->f.q.layout, j);
        uint32_t bytes = frame_entry(job->dst, &job->frame, j);
        uint64_t from = slot_offset(job, &span, j);
        if (from != at) memmove(base + at, base + from, bytes);
        at += bytes;
    }
    return job->frame.payload_offset + at;
}

/* The code of the shortest frame, from the surveyed sizes. */
static int32_t shortest_code(const struct encode_job *job, const struct encode_call *call) {
    struct qsgd_params raw = job->f.q.params;
    raw.code = QSGD_CODE_RAW;
    const struct layout l = layout_of(job->f.q.layout.n, 0, raw.chunk_log2, true);
    const uint64_t item = dtype_bytes(job->f.source.dtype);
    uint64_t best = header_bytes_of(&raw, &call->options) +
                    l.chunks * frame_entry_bytes(raw.checksum != 0) + (raw.checksum ? 4 : 0) +
                    l.n * item;
    int32_t code = QSGD_CODE_RAW;
    for (int32_t c = QSGD_CODE_FIXED; c <= QSGD_CODE_RANS; c++) {
        if (!params_code_fits(&job->f.q.params, c)) continue;
        uint64_t bytes = job->frame.payload_offset;
        for (uint32_t w = 0; w < call->options.workers; w++) {
            bytes += job->f.workers[w].auto_bytes[c];
        }
        if (bytes < best) {
            best = bytes;
            code = c;
        }
    }
    return code;
}

/* Encodes with job->code, which is not AUTO. */
static qsgd_status encode_with(struct encode_job *job, const struct encode_call *call,
                               struct memory *memory, uint64_t *frame_bytes,
                               struct qsgd_error *error) {
    struct qsgd_params params = job->f.q.params;
    params.code = job->survey ? QSGD_CODE_RANS : job->code;
    const uint64_t header_bytes = header_write(job->dst, &params, &call->options);
    frame_place(&job->frame, &job->f.q.layout, header_bytes, &params);
    job->sequential = call->options.runner == NULL;
    job->at = 0;
    job->f.scales = (struct scale_array){job->dst + job->frame.scales_offset, params.scale};
    const struct qsgd_encode_options *o = &call->options;
    before_chunks_carve(&job->f, memory, o->workers,
                        quantizer_copies(&job->f.q, o->dtype, o->residual));
    if (job->code != QSGD_CODE_RAW) before_chunks_scales(&job->f, o);
    workers_run(o->runner, o->runner_context, task_chunk, job, job->f.q.layout.chunks);
    qsgd_status status = before_chunks_error(&job->f, o->workers, error);
    if (status != QSGD_OK || job->survey) return status;
    *frame_bytes = close_gaps(job);
    frame_finish(job->dst, &job->frame, *frame_bytes);
    return QSGD_OK;
}

static uint64_t bound_of(const struct qsgd_params *params, const struct encode_call *call,
                         const struct quantizer *q) {
    struct frame f;
    struct qsgd_params coded = *params;
    frame_place(&f, &q->layout, header_bytes_of(&coded, &call->options), &coded);
    uint64_t bound = f.payload_offset + payloads_bound(q, params->code, call->options.dtype);
    if (params->code == QSGD_CODE_AUTO) { /* a raw frame has its own grid of chunks */
        struct layout raw = layout_of(q->layout.n, 0, params->chunk_log2, true);
        bound += raw.chunks * frame_entry_bytes(params->checksum != 0);
    }
    return bound;
}

static uint64_t workspace_of(const struct encode_call *call, const struct quantizer *q) {
    struct before_chunks f;
    struct memory memory = {NULL, 0};
    f.q = *q;
    before_chunks_carve(&f, &memory, call->options.workers,
                        quantizer_copies(q, call->options.dtype, call->options.residual));
    return memory.used;
}

/* A prefix of qsgd_encode's checks, shared with the queries. */
static qsgd_status prepare(const struct qsgd_params *params,
                           const struct qsgd_encode_options *options, uint64_t n,
                           struct encode_call *call, struct quantizer *q,
                           struct qsgd_error *error) {
    qsgd_status status = params_check(params, error);
    if (status == QSGD_OK) status = arguments_encode_call(options, n, call, error);
    if (status == QSGD_OK) status = arguments_check_dtype(params, &call->options, error);
    if (status != QSGD_OK) return status;
    quantizer_init(q, params, n, call->options.nonce, params->code == QSGD_CODE_RAW);
    return QSGD_OK;
}

uint64_t qsgd_encode_bound(const struct qsgd_params *params,
                           const struct qsgd_encode_options *options, uint64_t n) {
    struct encode_call call;
    struct quantizer q;
    if (prepare(params, options, n, &call, &q, NULL) != QSGD_OK) return 0;
    return bound_of(params, &call, &q);
}

uint64_t qsgd_encode_workspace(const struct qsgd_params *params,
                               const struct qsgd_encode_options *options, uint64_t n) {
    struct encode_call call;
    struct quantizer q;
    if (prepare(params, options, n, &call, &q, NULL) != QSGD_OK) return 0;
    return workspace_of(&call, &q);
}

static qsgd_status check_buffers(const struct qsgd_params *params, const struct encode_call *call,
                                 const struct quantizer *q, const void *src, const void *dst,
                                 uint64_t dst_bytes, const void *workspace,
                                 uint64_t workspace_bytes, struct qsgd_error *error) {
    const struct qsgd_encode_options *o = &call->options;
    const uint64_t n = q->layout.n, src_bytes = n * dtype_bytes(o->dtype);
    const uint64_t bound = bound_of(params, call, q);
    if ((src == NULL && n > 0) || dst == NULL || workspace == NULL) {
        return error_parameter(error, QSGD_ERR_NULL,
                               dst == NULL ? "dst" : (workspace == NULL ? "workspace" : "src"),
                               "a buffer that is needed is NULL");
    }
    if (dst_bytes < bound) {
        return error_parameter(error, QSGD_ERR_DST_TOO_SMALL, "dst_bytes",
                               "dst must hold qsgd_encode_bound bytes");
    }
    if (memory_misaligned(workspace) || workspace_bytes < workspace_of(call, q)) {
        return error_parameter(error, QSGD_ERR_WORKSPACE, "workspace",
                               "the workspace must be 64-byte aligned and hold "
                               "qsgd_encode_workspace bytes");
    }
    const uint64_t r_bytes = o->residual == NULL ? 0 : 4 * n;
    if (memory_overlap(src, src_bytes, dst, bound) ||
        memory_overlap(o->residual, r_bytes, dst, bound) ||
        memory_overlap(o->residual, r_bytes, src, src_bytes) ||
        memory_overlap(workspace, workspace_bytes, dst, bound) ||
        memory_overlap(workspace, workspace_bytes, src, src_bytes)) {
        return error_parameter(error, QSGD_ERR_OVERLAP, "dst",
                               "src, residual, dst and workspace must not overlap");
    }
    return QSGD_OK;
}

qsgd_status qsgd_encode(const struct qsgd_params *params, const struct qsgd_encode_options *options,
                        const void *src, uint64_t n, void *dst, uint64_t dst_bytes, void *workspace,
                        uint64_t workspace_bytes, uint64_t *frame_bytes, struct qsgd_error *error) {
    struct encode_call call;
    struct encode_job job;
    qsgd_status status = prepare(params, options, n, &call, &job.f.q, error);
    if (status == QSGD_OK) status = arguments_check_tag(&call.options, error);
    if (status == QSGD_OK) {
        status = arguments_check_scales(params, &call.options, job.f.q.layout.buckets, error);
    }
    if (status == QSGD_OK && frame_bytes == NULL) {
        status = error_parameter(error, QSGD_ERR_NULL, "frame_bytes", "frame_bytes is NULL");
    }
    if (status == QSGD_OK) {
        status = check_buffers(params, &call, &job.f.q, src, dst, dst_bytes, workspace,
                               workspace_bytes, error);
    }
    if (status != QSGD_OK) return status;
    job.f.source =
        (struct source){src, call.options.dtype, call.options.residual, call.options.scales};
    shared_tables_of(params, &job.f.shared);
    job.dst = dst;
    job.code = params->code;
    job.survey = params->code == QSGD_CODE_AUTO;
    struct memory memory = {workspace, 0};
    uint64_t bytes = 0;
    status = encode_with(&job, &call, &memory, &bytes, error);
    if (status == QSGD_OK && job.survey) {
        job.survey = false;
        job.code = shortest_code(&job, &call);
        memory.used = 0;
        if (job.code == QSGD_CODE_RAW) {
            struct qsgd_params raw = *params;
            raw.code = QSGD_CODE_RAW;
            quantizer_init(&job.f.q, &raw, n, call.options.nonce, true);
        }
        status = encode_with(&job, &call, &memory, &bytes, error);
    }
    if (status == QSGD_OK) *frame_bytes = bytes;
    return status;
}
