/* Given indices to a frame, and a frame to indices. With `like`, a frame's own indices give back
 * its bytes: the oracle of FORMAT.md section 10. */
#include <string.h>

#include "base/dtype.h"
#include "base/error.h"
#include "codes/payload.h"
#include "frame/frame.h"
#include "frame/header.h"
#include "frame/params.h"
#include "pipeline/arguments.h"
#include "pipeline/before_chunks.h"
#include "pipeline/decode_call.h"
#include "quantize/values.h"

/* What is to become a frame, and where. */
struct recode {
    const int16_t *indices;
    const float *scales;
    const uint8_t *alphas;
    uint64_t n;
    struct buffers b;
    const struct quantizer *q;
    const struct shared_tables *shared;
    struct decode_call *like; /* NULL: the form is chosen */
    struct worker *worker;
};

static size_t recode_chunk(const struct recode *r, uint64_t index, const struct scale_array *scales,
                           uint8_t *dst, size_t cap) {
    const struct chunk_span span = layout_chunk(&r->q->layout, index);
    const bool dithered = r->q->params.rounding == QSGD_ROUND_DITHERED;
    const uint8_t alpha = dithered && r->alphas != NULL ? r->alphas[index] : 0;
    int16_t *k = r->worker->quantize.indices;
    memcpy(k, r->indices + span.first, (size_t)span.len * sizeof *k);
    values_turn(r->q, &span, scales, &r->worker->quantize, k);
    struct code_chunk chunk =
        worker_code_chunk(r->q, r->shared, r->q->params.code, &span, &r->worker->codes);
    if (r->like == NULL) return payload_write(&chunk, dithered, k, alpha, dst);
    struct payload_form form;
    uint64_t where;
    if (decode_parse_chunk(r->like, index, &r->worker->codes, &chunk, &form, &where) != QSGD_OK) {
        return SIZE_MAX;
    }
    return payload_write_like(&chunk, dithered, k, alpha, &form, dst, cap);
}

/* All behind the header, which is there. */
static qsgd_status recode_all(const struct recode *r, const struct frame *f, uint64_t *frame_bytes,
                              struct qsgd_error *error) {
    const struct layout *l = &r->q->layout;
    uint8_t *dst = r->b.dst;
    const struct scale_array given = scales_native(r->scales);
    const struct scale_array stored = {dst + f->scales_offset, r->q->params.scale};
    scales_copy(&given, &stored, l->buckets);
    uint64_t at = f->payload_offset;
    for (uint64_t j = 0; j < l->chunks; j++) {
        size_t bytes = recode_chunk(r, j, &stored, dst + at, (size_t)(r->b.dst_bytes - at));
        if (bytes == SIZE_MAX) {
            return error_element(error, QSGD_ERR_INDEX, layout_chunk(l, j).first, UINT64_MAX,
                                 "indices cannot be coded in the form of `like`'s chunk");
        }
        frame_set_entry(dst, f, j, dst + at, bytes);
        at += bytes;
    }
    frame_finish(dst, f, at);
    *frame_bytes = at;
    return QSGD_OK;
}

/* Decode options for `like`: the tables that it may name are those of params. */
static qsgd_status like_options(const struct qsgd_params *params,
                                struct qsgd_decode_options *options, struct qsgd_error *error) {
    qsgd_decode_options_init(options);
    if (params == NULL) return QSGD_OK;
    qsgd_status status = error_check_size(error, "params", params->struct_size, sizeof *params,
                                          OTHER_VERSION ": use qsgd_params_init");
    if (status != QSGD_OK) return status;
    options->tables = &params->tables;
    options->tables_bytes = &params->tables_bytes;
    options->tables_count = params->tables != NULL;
    return QSGD_OK;
}

/* What a frame that is to be written anew must be. */
static qsgd_status check_like(const struct recode *r, const struct decode_call *like,
                              struct qsgd_error *error) {
    if (frame_is_raw(&like->frame)) {
        return error_parameter(error, QSGD_ERR_SCHEME, "like", "raw frames have no indices");
    }
    if (r->n != like->frame.info.elements) {
        return error_parameter(error, QSGD_ERR_LENGTH, "n", "like has another number of elements");
    }
    if (r->b.dst_bytes < like->frame.payload_offset) {
        return error_parameter(error, QSGD_ERR_DST_TOO_SMALL, "dst_bytes",
                               "dst must hold at least the size of `like`");
    }
    if (memory_overlap(r->b.dst, r->b.dst_bytes, r->b.workspace, r->b.workspace_bytes)) {
        return error_parameter(error, QSGD_ERR_OVERLAP, "dst", "dst and workspace overlap");
    }
    return arguments_check_indices(&like->q, r->indices, r->scales, error);
}

static qsgd_status encode_indices_like(struct recode *r, const struct qsgd_params *params,
                                       const void *like, uint64_t like_bytes, uint64_t *frame_bytes,
                                       struct qsgd_error *error) {
    struct decode_call call;
    struct qsgd_decode_options options;
    qsgd_status status = like_options(params, &options, error);
    if (status == QSGD_OK) {
        status = decode_open(&call, like, like_bytes, &options, r->b.workspace,
                             r->b.workspace_bytes, error);
    }
    if (status == QSGD_OK) status = check_like(r, &call, error);
    if (status == QSGD_OK) status = decode_begin(&call);
    if (status != QSGD_OK) return status;
    r->q = &call.q;
    r->shared = &call.shared;
    r->like = &call;
    r->worker = &call.workers[0];
    memcpy(r->b.dst, like, (size_t)call.frame.info.header_bytes);
    return recode_all(r, &call.frame, frame_bytes, error);
}

/* Parameters and options of a frame that is made of indices. */
static qsgd_status check_new(const struct qsgd_params *params,
                             const struct qsgd_encode_options *options, uint64_t n,
                             struct encode_call *call, struct qsgd_error *error) {
    qsgd_status status = params_check(params, error);
    if (status == QSGD_OK) status = arguments_check_coded(params, error);
    if (status == QSGD_OK && params->code == QSGD_CODE_AUTO) {
        status = error_parameter(error, QSGD_ERR_COMBINATION, "code",
                                 "auto chooses from the tensor: name a code");
    }
    if (status == QSGD_OK) status = arguments_encode_call(options, n, call, error);
    if (status == QSGD_OK) status = arguments_check_tag(&call->options, error);
    if (status == QSGD_OK && !dtype_is_float(call->options.dtype)) {
        status = error_parameter(error, QSGD_ERR_DTYPE, "dtype", "indices stand for float types");
    }
    return status;
}

static qsgd_status encode_indices_new(struct recode *r, const struct qsgd_params *params,
                                      const struct qsgd_encode_options *options,
                                      uint64_t *frame_bytes, struct qsgd_error *error) {
    struct encode_call call;
    struct before_chunks job;
    struct frame f;
    qsgd_status status = check_new(params, options, r->n, &call, error);
    if (status != QSGD_OK) return status;
    if (r->b.dst_bytes < qsgd_encode_bound(params, options, r->n)) {
        return error_parameter(error, QSGD_ERR_DST_TOO_SMALL, "dst_bytes",
                               "dst must hold qsgd_encode_bound bytes");
    }
    quantizer_init(&job.t.q, params, r->n, call.options.nonce, false);
    status = arguments_check_indices(&job.t.q, r->indices, r->scales, error);
    if (status == QSGD_OK) {
        status = before_chunks_open(&job, 1, false, r->b.workspace, r->b.workspace_bytes, error);
    }
    if (status != QSGD_OK) return status;
    shared_tables_of(params, &job.shared);
    r->q = &job.t.q;
    r->shared = &job.shared;
    r->worker = &job.workers[0];
    frame_place(&f, &job.t.q.layout, header_write(r->b.dst, params, &call.options), params);
    return recode_all(r, &f, frame_bytes, error);
}

qsgd_status qsgd_encode_indices(const struct qsgd_params *params,
                                const struct qsgd_encode_options *options, const void *like,
                                uint64_t like_bytes, const int16_t *indices, const float *scales,
                                const uint8_t *alphas, uint64_t n, void *dst, uint64_t dst_bytes,
                                void *workspace, uint64_t workspace_bytes, uint64_t *frame_bytes,
                                struct qsgd_error *error) {
    if (dst == NULL || frame_bytes == NULL || (n > 0 && (indices == NULL || scales == NULL))) {
        return memory_missing(dst == NULL ? "dst" : "indices", error);
    }
    if (memory_overlap(indices, 2 * n, dst, dst_bytes) ||
        memory_overlap(like, like_bytes, dst, dst_bytes)) {
        return error_parameter(error, QSGD_ERR_OVERLAP, "dst", "inputs and dst overlap");
    }
    struct recode r = {.indices = indices,
                       .scales = scales,
                       .alphas = alphas,
                       .n = n,
                       .b = {dst, dst_bytes, workspace, workspace_bytes}};
    if (like != NULL) return encode_indices_like(&r, params, like, like_bytes, frame_bytes, error);
    return encode_indices_new(&r, params, options, frame_bytes, error);
}

/* ---- decode to indices ----------------------------------------------------------------------- */

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
    struct payload_form form;
    uint64_t where = 0;
    qsgd_status status = decode_parse_chunk(&sink->call, index, &w->codes, &chunk, &form, &where);
    if (status == QSGD_OK) status = payload_read(&chunk, &form, w->quantize.indices);
    if (status != QSGD_OK) {
        worker_fail(w, index, status, where);
        return;
    }
    const struct scale_array scales = frame_scales(&sink->call.frame);
    values_turn(&sink->call.q, &span, &scales, &w->quantize, w->quantize.indices);
    memcpy(sink->indices + span.first, w->quantize.indices, (size_t)span.len * sizeof(int16_t));
    if (sink->alphas != NULL) sink->alphas[index] = form.alpha;
}

static qsgd_status check_outputs(const struct index_sink *sink, const float *scales, uint64_t n) {
    if (frame_is_raw(&sink->call.frame)) {
        return error_parameter(sink->call.error, QSGD_ERR_SCHEME, "frame",
                               "raw frames have no indices");
    }
    if (n != sink->call.frame.info.elements) {
        return error_parameter(sink->call.error, QSGD_ERR_LENGTH, "n",
                               "the output's number of elements is not the frame's");
    }
    if (n > 0 && (sink->indices == NULL || scales == NULL)) {
        return error_parameter(sink->call.error, QSGD_ERR_NULL, "indices", "an output is NULL");
    }
    if (decode_overlaps(&sink->call, sink->indices, 2 * n) ||
        decode_overlaps(&sink->call, scales, 4 * sink->call.q.layout.buckets) ||
        decode_overlaps(&sink->call, sink->alphas,
                        sink->alphas == NULL ? 0 : sink->call.q.layout.chunks)) {
        return error_parameter(sink->call.error, QSGD_ERR_OVERLAP, "indices",
                               "outputs, frame and workspace must not overlap");
    }
    return QSGD_OK;
}

qsgd_status qsgd_decode_indices(const void *frame, uint64_t size,
                                const struct qsgd_decode_options *options, int16_t *indices,
                                float *scales, uint8_t *alphas, uint64_t n, void *workspace,
                                uint64_t workspace_bytes, struct qsgd_error *error) {
    struct index_sink sink = {.indices = indices, .alphas = alphas};
    qsgd_status status =
        decode_open(&sink.call, frame, size, options, workspace, workspace_bytes, error);
    if (status != QSGD_OK) return status;
    status = check_outputs(&sink, scales, n);
    if (status == QSGD_OK) status = decode_begin(&sink.call);
    if (status != QSGD_OK) return status;
    sink.call.deep = true;
    status = decode_verify(&sink.call);
    if (status == QSGD_OK) status = decode_run(&sink.call, task_indices, 1);
    if (status != QSGD_OK) return status;
    const struct scale_array stored = frame_scales(&sink.call.frame), to = scales_native(scales);
    scales_copy(&stored, &to, sink.call.q.layout.buckets);
    return QSGD_OK;
}
