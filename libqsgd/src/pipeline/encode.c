/* The pipeline forward: tensor -> norm -> levels -> rounding -> code -> frame. Reads as a contents
 * page: each chunk is one task that quantizes, codes and checks its own payload. */
#include <string.h>

#include "base/dtype.h"
#include "base/error.h"
#include "base/fpenv.h"
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
    if (job->code == QSGD_CODE_RAW) return span->first * dtype_bytes(job->f.t.source.dtype);
    return index == 0 ? 0 : payload_bound(&job->f.t.q.levels, span->first) + 4 * index;
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
    const uint32_t dtype = job->f.t.source.dtype;
    const size_t item = dtype_bytes(dtype);
    const uint8_t *src = job->f.t.source.data + span->first * item;
    if (job->f.t.source.residual == NULL) {
        dtype_swap_copy(dtype, src, (size_t)span->len, dst);
        return (size_t)span->len * item;
    }
    for (uint64_t i = 0; i < span->len; i++) { /* float32: the sum is stored, nothing is left */
        float x, r, none = 0;
        memcpy(&x, src + 4 * i, 4);
        memcpy(&r, job->f.t.source.residual + span->first + i, 4);
        x = x + r;
        dtype_swap_copy(dtype, &x, 1, dst + 4 * i);
        memcpy(job->f.t.source.residual + span->first + i, &none, 4);
    }
    return (size_t)span->len * item;
}

/* The payload of a quantized chunk; returns its bytes. */
static size_t write_coded(const struct encode_job *job, int32_t code, const struct chunk_span *span,
                          struct worker *worker, const struct chunk_indices *c, uint8_t *dst) {
    const struct quantizer *q = &job->f.t.q;
    const struct code_chunk chunk =
        worker_code_chunk(q, &job->f.shared, code, span, &worker->codes);
    return payload_write(&chunk, q->params.rounding == QSGD_ROUND_DITHERED, c->k, c->alpha, dst);
}

static void survey_codes(const struct encode_job *job, const struct chunk_span *span,
                         struct worker *worker, const struct chunk_indices *c, uint8_t *dst) {
    for (int32_t code = QSGD_CODE_FIXED; code <= QSGD_CODE_RANS; code++) {
        if (!params_code_fits(&job->f.t.q.params, code)) continue;
        worker->auto_bytes[code] += write_coded(job, code, span, worker, c, dst);
    }
}

static void finish_payload(struct encode_job *job, uint64_t index, const uint8_t *payload,
                           size_t bytes) {
    frame_set_entry(job->dst, &job->frame, index, payload, bytes);
    if (job->sequential) job->at += bytes;
}

static qsgd_status encode_chunk(struct encode_job *job, uint64_t index, struct worker *worker,
                                uint64_t *bad_bucket) {
    const struct tensor *t = &job->f.t;
    const struct chunk_span span = layout_chunk(&t->q.layout, index);
    uint8_t *dst = job->dst + job->frame.payload_offset + slot_offset(job, &span, index);
    if (job->code == QSGD_CODE_RAW) {
        finish_payload(job, index, dst, write_raw(job, &span, dst));
        return QSGD_OK;
    }
    struct quantize_scratch *scratch = &worker->quantize;
    const bool tokens = !job->survey && t->source.residual == NULL &&
                        quantizer_gives_tokens(&t->q) && code_find(job->code)->from_tokens;
    struct chunk_indices c = {tokens ? NULL : scratch->indices, worker->codes.tokens, 0};
    const float *x = source_read(&t->source, span.first, span.len, scratch->elements);
    qsgd_status status = quantize_chunk(t, &span, x, scratch, &c, bad_bucket);
    if (status != QSGD_OK) return status;
    if (job->survey) {
        survey_codes(job, &span, worker, &c, dst);
        return QSGD_OK;
    }
    finish_payload(job, index, dst, write_coded(job, job->code, &span, worker, &c, dst));
    if (t->source.residual != NULL) {
        const struct dequantizer d = {&t->q, t->scales, scratch, NULL, c.alpha};
        residual_of_chunk(&d, &t->source, &span, x, c.k);
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
    for (uint64_t j = 0; j < job->f.t.q.layout.chunks; j++) {
        const struct chunk_span span = layout_chunk(&job->f.t.q.layout, j);
        uint32_t bytes = frame_entry(job->dst, &job->frame, j);
        uint64_t from = slot_offset(job, &span, j);
        if (from != at) memmove(base + at, base + from, bytes);
        at += bytes;
    }
    return job->frame.payload_offset + at;
}

/* The code of the shortest frame, from the surveyed sizes. */
static int32_t shortest_code(const struct encode_job *job, const struct encode_call *call) {
    struct qsgd_params raw = job->f.t.q.params;
    raw.code = QSGD_CODE_RAW;
    const struct layout l = layout_of(job->f.t.q.layout.n, 0, raw.chunk_log2, true);
    const uint64_t item = dtype_bytes(job->f.t.source.dtype);
    uint64_t best = header_bytes_of(&raw, &call->options) +
                    l.chunks * frame_entry_bytes(raw.checksum != 0) + (raw.checksum ? 4 : 0) +
                    l.n * item;
    int32_t code = QSGD_CODE_RAW;
    for (int32_t c = QSGD_CODE_FIXED; c <= QSGD_CODE_RANS; c++) {
        if (!params_code_fits(&job->f.t.q.params, c)) continue;
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
    struct qsgd_params params = job->f.t.q.params;
    params.code = job->survey ? QSGD_CODE_RANS : job->code;
    const uint64_t header_bytes = header_write(job->dst, &params, &call->options);
    frame_place(&job->frame, &job->f.t.q.layout, header_bytes, &params);
    job->sequential = call->options.runner == NULL;
    job->at = 0;
    job->f.t.scales = (struct scale_array){job->dst + job->frame.scales_offset, params.scale};
    const struct qsgd_encode_options *o = &call->options;
    before_chunks_carve(&job->f, memory, o->workers,
                        quantizer_copies(&job->f.t.q, o->dtype, o->residual));
    if (job->code != QSGD_CODE_RAW) before_chunks_scales(&job->f, o);
    workers_run(o->runner, o->runner_context, task_chunk, job, job->f.t.q.layout.chunks);
    qsgd_status status = before_chunks_error(&job->f, o->workers, error);
    if (status != QSGD_OK || job->survey) return status;
    *frame_bytes = close_gaps(job);
    frame_finish(job->dst, &job->frame, *frame_bytes);
    return QSGD_OK;
}

static uint64_t bound_of(const struct encode_call *call, const struct quantizer *q) {
    struct frame f;
    const struct qsgd_params *params = &q->params;
    frame_place(&f, &q->layout, header_bytes_of(params, &call->options), params);
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
    f.t.q = *q;
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
    return bound_of(&call, &q);
}

uint64_t qsgd_encode_workspace(const struct qsgd_params *params,
                               const struct qsgd_encode_options *options, uint64_t n) {
    struct encode_call call;
    struct quantizer q;
    if (prepare(params, options, n, &call, &q, NULL) != QSGD_OK) return 0;
    return workspace_of(&call, &q);
}

static qsgd_status check_buffers(const struct encode_call *call, const struct quantizer *q,
                                 const void *src, const struct buffers *b,
                                 struct qsgd_error *error) {
    const struct qsgd_encode_options *o = &call->options;
    const uint64_t n = q->layout.n, src_bytes = n * dtype_bytes(o->dtype);
    const uint64_t bound = bound_of(call, q);
    if ((src == NULL && n > 0) || b->dst == NULL || b->workspace == NULL) {
        return memory_missing(b->dst == NULL ? "dst" : (b->workspace == NULL ? "workspace" : "src"),
                              error);
    }
    if (b->dst_bytes < bound) {
        return error_parameter(error, QSGD_ERR_DST_TOO_SMALL, "dst_bytes",
                               "dst must hold qsgd_encode_bound bytes");
    }
    const qsgd_status status =
        memory_check_workspace(b->workspace, b->workspace_bytes, workspace_of(call, q),
                               WORKSPACE_MUST_HOLD("qsgd_encode_workspace"), error);
    if (status != QSGD_OK) return status;
    const uint64_t r_bytes = o->residual == NULL ? 0 : 4 * n;
    if (memory_overlap(src, src_bytes, b->dst, bound) ||
        memory_overlap(o->residual, r_bytes, b->dst, bound) ||
        memory_overlap(o->residual, r_bytes, src, src_bytes) ||
        memory_overlap(b->workspace, b->workspace_bytes, b->dst, bound) ||
        memory_overlap(b->workspace, b->workspace_bytes, src, src_bytes)) {
        return error_parameter(error, QSGD_ERR_OVERLAP, "dst",
                               "src, residual, dst and workspace must not overlap");
    }
    return QSGD_OK;
}

/* Encodes by the parameters' code; with auto, surveys all codes first. */
static qsgd_status encode_job_run(struct encode_job *job, const struct encode_call *call,
                                  const struct buffers *b, uint64_t *frame_bytes,
                                  struct qsgd_error *error) {
    const struct qsgd_params params = job->f.t.q.params;
    struct memory memory = {b->workspace, 0};
    job->dst = b->dst;
    job->code = params.code;
    job->survey = params.code == QSGD_CODE_AUTO;
    qsgd_status status = encode_with(job, call, &memory, frame_bytes, error);
    if (status != QSGD_OK || !job->survey) return status;
    job->survey = false;
    job->code = shortest_code(job, call);
    memory.used = 0;
    if (job->code == QSGD_CODE_RAW) {
        struct qsgd_params raw = params;
        raw.code = QSGD_CODE_RAW;
        quantizer_init(&job->f.t.q, &raw, job->f.t.q.layout.n, call->options.nonce, true);
    }
    return encode_with(job, call, &memory, frame_bytes, error);
}

qsgd_status qsgd_encode(const struct qsgd_params *params, const struct qsgd_encode_options *options,
                        const void *src, uint64_t n, void *dst, uint64_t dst_bytes, void *workspace,
                        uint64_t workspace_bytes, uint64_t *frame_bytes, struct qsgd_error *error) {
    struct encode_call call;
    struct encode_job job;
    qsgd_status status = prepare(params, options, n, &call, &job.f.t.q, error);
    if (status == QSGD_OK) status = arguments_check_tag(&call.options, error);
    if (status == QSGD_OK) {
        status = arguments_check_scales(params, &call.options, job.f.t.q.layout.buckets, error);
    }
    if (status == QSGD_OK && frame_bytes == NULL) {
        status = error_parameter(error, QSGD_ERR_NULL, "frame_bytes", "frame_bytes is NULL");
    }
    const struct buffers b = {dst, dst_bytes, workspace, workspace_bytes};
    if (status == QSGD_OK) status = check_buffers(&call, &job.f.t.q, src, &b, error);
    if (status != QSGD_OK) return status;
    job.f.t.source =
        (struct source){src, call.options.dtype, call.options.residual, call.options.scales};
    shared_tables_of(params, &job.f.shared);
    uint64_t bytes = 0;
    status = encode_job_run(&job, &call, &b, &bytes, error);
    if (status == QSGD_OK) *frame_bytes = bytes;
    return status;
}
