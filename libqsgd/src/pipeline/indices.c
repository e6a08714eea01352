/* Given indices to a frame, and a frame to indices. With `like`, a frame's own indices give back
 * its bytes: the oracle of FORMAT.md section 9. */
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
#include "pipeline/encode_open.h"
#include "pipeline/signs.h"
#include "quantize/values.h"
#include "quantize/zeros.h"

#if QSGD_ENCODER

/* What is to become a frame, and where. */
struct recode {
    qsgd_quantized from;
    qsgd_memory dst;
    const struct quantizer *q;
    const struct shared_tables *shared;
    struct worker *worker;
    struct decode_call *like;         /* whose form is taken; NULL: */
    const struct before_chunks *made; /* the form is chosen */
};

/* True if the groups of zeros that `like` names are those of the indices; where zeros are not
 * marked, if they hold nothing else. Idle buckets may hold anything. */
static bool zeros_agree(const struct recode *r, const struct zero_groups *named,
                        const struct zero_groups *marked, const struct chunk_span *span,
                        const int16_t *k) {
    const struct live all = live_of(&r->q->layout, span, scales_at(r->from.scales, 0));
    for (uint64_t at = 0, end; at < span->len; at = end) {
        bool live, zero, mark;
        end = live_run(&all, at, &live);
        end = zero_run(named, at, end, &zero);
        end = zero_run(marked, at, end, &mark);
        if (!live) continue;
        if (zeros_are_marked(r->q)) {
            if (zero != mark) return false;
            continue;
        }
        for (uint64_t i = at; zero && i < end; i++) {
            if (k[i] != 0) return false;
        }
    }
    return true;
}

/* A chunk's payload in the form of like's. SIZE_MAX if it cannot be written so. */
static size_t write_like(const struct recode *r, uint64_t index, struct payload_head *head,
                         const struct zero_groups *marked, int16_t *k, uint8_t *dst, size_t cap) {
    const struct chunk_span span = layout_chunk(&r->q->layout, index);
    struct code_chunk chunk, own;
    struct payload_form form;
    struct quantize_scratch room = r->worker->quantize;
    uint64_t where;
    room.zeros +=
        zero_words(layout_longest(&r->q->layout)); /* the first are those that are marked */
    if (decode_parse_chunk(r->like, index, &r->worker->codes, &room, &chunk, &form, &where) !=
        QSGD_OK) {
        return SIZE_MAX;
    }
    const struct zero_groups groups = {form.zeros.words, form.zeros.log2, NULL};
    const bool marks = r->q->params.rotation == 0; /* else nothing says what is in a group */
    if (marks && !zeros_agree(r, &groups, marked, &span, k)) return SIZE_MAX;
    head->live.zeros = form.zeros;
    head->signs = form.signs;
    if (r->q->turned && (form.signs & SIGNS_PLAIN) == 0) {
        values_turn(r->q, &span, &head->live.scales, &r->worker->quantize, k, NULL);
    }
    own = worker_code_chunk(r->q, r->shared, r->q->params.code, &span, &r->worker->codes);
    payload_gather(&own, head, &(struct coded_items){k, NULL});
    if (own.len != chunk.len) return SIZE_MAX; /* other buckets are idle */
    if (chunk.signed_tokens) chunk.kernels->swap_signs(k, chunk.len);
    return payload_write_like(&chunk, head, k, &form, dst, cap);
}

/* The payload of a chunk in the form that is best. SIZE_MAX if it is over cap. */
static size_t write_new(const struct recode *r, const struct chunk_span *span,
                        struct payload_head *head, const struct zero_groups *marked, int16_t *k,
                        uint8_t *dst, size_t cap) {
    const struct coded_items items = {k, NULL};
    const struct code_chunk chunk =
        worker_code_chunk(r->q, r->shared, r->q->params.code, span, &r->worker->codes);
    const bool fits = chunk_room(r->q, span->len, true) <= cap;
    const struct payload_space to = {fits ? dst : r->made->spill, fits ? r->made->spill : NULL};
    if (r->q->turned) values_turn(r->q, span, &head->live.scales, &r->worker->quantize, k, NULL);
    worker_zeros(r->q, &chunk, marked, &items, r->worker, &head->live);
    const size_t bytes = signs_write(r->q, span, &chunk, head, &items, &r->worker->quantize, &to);
    if (fits) return bytes;
    if (bytes > cap) return SIZE_MAX;
    memcpy(dst, to.dst, bytes);
    return bytes;
}

static size_t recode_chunk(const struct recode *r, uint64_t index, uint8_t *dst, size_t cap) {
    const struct chunk_span span = layout_chunk(&r->q->layout, index);
    const struct scale_array scales = scales_at(r->from.scales, 0);
    struct payload_head head = quantizer_head(
        r->q, &span, scales,
        r->q->dithered && r->from.damping != NULL ? r->from.damping[index] : (uint8_t)0,
        r->worker->quantize.entries);
    int16_t *k = r->worker->quantize.indices;
    memcpy(k, r->from.indices + span.first, (size_t)span.len * sizeof *k);
    const struct zero_groups marked =
        zeros_of_marks(k, span.len, (int16_t)r->q->levels.idle, r->worker->quantize.zeros);
    if (r->like != NULL) return write_like(r, index, &head, &marked, k, dst, cap);
    return write_new(r, &span, &head, &marked, k, dst, cap);
}

/* All behind the header, which is there. UINT64_MAX, or the chunk that does not fit. */
static uint64_t recode_all(const struct recode *r, const struct frame *f, uint64_t *frame_bytes) {
    uint8_t *dst = r->dst.data;
    uint64_t at = f->payload_offset;
    for (uint64_t j = 0; j < r->q->layout.chunks; j++) {
        size_t bytes = recode_chunk(r, j, dst + at, (size_t)(r->dst.bytes - at));
        if (bytes == SIZE_MAX) return j;
        frame_set_entry(dst, f, j, dst + at, bytes);
        at += bytes;
    }
    frame_finish(dst, f, at);
    *frame_bytes = at;
    return UINT64_MAX;
}

/* What is given to either call is there. */
static qsgd_status check_given(const qsgd_quantized *quantized, qsgd_memory dst,
                               const uint64_t *frame_bytes, qsgd_error *error) {
    if (quantized == NULL) return memory_missing("quantized", error);
    if (dst.data == NULL || frame_bytes == NULL) {
        return memory_missing(dst.data == NULL ? "dst" : "frame_bytes", error);
    }
    return QSGD_OK;
}

/* ---- in the form of another frame ------------------------------------------------------------ */

/* What a frame that is to be written anew must be. */
static qsgd_status check_like(const struct recode *r, const struct decode_call *like,
                              uint64_t *frame_bytes, qsgd_error *error) {
    if (frame_is_exact(&like->frame)) {
        return error_parameter(error, QSGD_ERR_SCHEME, "like",
                               "raw and lossless frames have no indices");
    }
    if (r->from.n != like->frame.info.elements) {
        return error_parameter(error, QSGD_ERR_LENGTH, "n", "like has another number of elements");
    }
    if (r->dst.bytes < like->size) {
        return memory_too_small(like->size, "dst must hold the size of `like`", error);
    }
    const struct layout *l = &like->q.layout;
    const struct region buffers[] = {
        QUANTIZED_REGIONS(&r->from, l, false),
        {"dst", r->dst.data, r->dst.bytes, true},
        {"frame_bytes", frame_bytes, sizeof *frame_bytes, true},
    };
    qsgd_status status = decode_apart(like, buffers, sizeof buffers / sizeof *buffers, error);
    return status == QSGD_OK ? arguments_check_quantized(&like->q, &r->from, error) : status;
}

qsgd_status qsgd_encode_indices_like(const void *like, uint64_t like_bytes,
                                     const qsgd_decode_options *options,
                                     const qsgd_quantized *quantized, qsgd_memory dst,
                                     qsgd_memory workspace, uint64_t *frame_bytes,
                                     qsgd_error *error) {
    struct decode_call call;
    qsgd_status status = check_given(quantized, dst, frame_bytes, error);
    if (status != QSGD_OK) return status;
    struct recode r = {.from = *quantized, .dst = dst, .like = &call};
    status = decode_open(&call, like, like_bytes, options, workspace, error);
    if (status == QSGD_OK) status = check_like(&r, &call, frame_bytes, error);
    if (status == QSGD_OK) status = decode_begin(&call);
    if (status != QSGD_OK) return status;
    r.q = &call.q;
    r.shared = &call.shared;
    r.worker = &call.workers[0];
    memcpy(dst.data, like, (size_t)call.frame.info.header_bytes);
    const uint64_t bad = recode_all(&r, &call.frame, frame_bytes);
    if (bad == UINT64_MAX) return QSGD_OK;
    return error_element(error, QSGD_ERR_INDEX, layout_chunk(&call.q.layout, bad).first, UINT64_MAX,
                         "indices cannot be coded in the form of `like`'s chunk");
}

/* ---- in a form of their own ------------------------------------------------------------------ */

/* Parameters and options of a frame that is made of indices. */
static qsgd_status check_new(const struct encode_call *call, qsgd_error *error) {
    qsgd_status status = arguments_check_coded(&call->params, error);
    if (status == QSGD_OK && call->params.code == QSGD_CODE_AUTO) {
        status = error_parameter(error, QSGD_ERR_COMBINATION, "code",
                                 "auto chooses from the tensor: name a code");
    }
    if (status == QSGD_OK) status = arguments_check_tag(&call->options, error);
    if (status == QSGD_OK && !dtype_is_float(call->options.dtype)) {
        status = error_parameter(error, QSGD_ERR_DTYPE, "dtype", "indices stand for float types");
    }
    return status;
}

static qsgd_status check_new_buffers(const struct recode *r, const struct encode_call *call,
                                     qsgd_memory workspace, uint64_t *frame_bytes,
                                     qsgd_error *error) {
    const struct layout *l = &r->q->layout;
    const struct region buffers[] = {
        QUANTIZED_REGIONS(&r->from, l, false),
        {"workspace", workspace.data, workspace.bytes, true},
        {"dst", r->dst.data, min_u64(r->dst.bytes, encode_bound(call, r->q)), true},
        {"frame_bytes", frame_bytes, sizeof *frame_bytes, true},
    };
    return arguments_apart(call, buffers, sizeof buffers / sizeof *buffers, error);
}

qsgd_status qsgd_encode_indices(const qsgd_params *params, const qsgd_encode_options *options,
                                const qsgd_quantized *quantized, qsgd_memory dst,
                                qsgd_memory workspace, uint64_t *frame_bytes, qsgd_error *error) {
    struct encode_call call;
    struct before_chunks job;
    struct frame f;
    qsgd_status status = check_given(quantized, dst, frame_bytes, error);
    if (status != QSGD_OK) return status;
    status = arguments_encode_call(params, options, quantized->n, &call, error);
    if (status == QSGD_OK) status = check_new(&call, error);
    if (status != QSGD_OK) return status;
    quantizer_init(&job.t.q, &call.params, quantized->n, arguments_noise(&call), false);
    struct recode r = {.from = *quantized, .dst = dst, .q = &job.t.q, .made = &job};
    status = check_new_buffers(&r, &call, workspace, frame_bytes, error);
    if (status == QSGD_OK) status = before_chunks_open(&job, &call, workspace, error);
    if (status == QSGD_OK) status = arguments_check_quantized(r.q, &r.from, error);
    if (status != QSGD_OK) return status;
    shared_tables_of(&call.params, &job.shared);
    r.shared = &job.shared;
    r.worker = &job.workers[0];
    header_place(&f, &r.q->layout, &call.params, &call.options);
    bool fits = f.payload_offset <= dst.bytes;
    if (fits) {
        header_write(dst.data, &call.params, &call.options);
        fits = recode_all(&r, &f, frame_bytes) == UINT64_MAX;
    }
    if (fits) return QSGD_OK;
    return memory_too_small(encode_bound(&call, r.q), FRAME_TOO_LONG, error);
}

#endif /* QSGD_ENCODER */

/* ---- decode to indices ----------------------------------------------------------------------- */

struct index_sink {
    struct decode_call call; /* first: decode_run passes its address */
    qsgd_quantized out;
};

/* Scales of the chunk's buckets; of one that is cut into chunks, the first one's. */
static void put_scales(const struct index_sink *sink, const struct chunk_span *span,
                       const float *scales) {
    const struct layout *l = &sink->call.q.layout;
    if (span->first % l->bucket != 0) return;
    memcpy(sink->out.scales + span->bucket, scales, (size_t)span->buckets * sizeof *scales);
}

/* What stands for elements of idle buckets, and of groups of zeros where these are marked; rotated
 * frames have indices of all. */
static void fill_dead(const struct decode_call *call, const struct live *live, int16_t *k) {
    const int16_t idle = (int16_t)call->q.levels.idle;
    for (uint64_t at = 0, end; at < live->len; at = end) {
        bool is_live;
        end = live_run(live, at, &is_live);
        for (uint64_t i = at; !is_live && i < end; i++) k[i] = idle;
    }
    if (zeros_are_marked(&call->q) && call->q.params.rotation == 0) {
        zeros_mark(live, &live->zeros, idle, k);
    }
}

static void task_indices(void *context, uint64_t index, uint32_t worker) {
    struct index_sink *sink = context;
    const struct decode_call *call = &sink->call;
    struct worker *w = &sink->call.workers[worker];
    const struct chunk_span span = layout_chunk(&call->q.layout, index);
    int16_t *k = w->quantize.indices;
    struct code_chunk chunk;
    struct payload_form form;
    uint64_t where = 0;
    qsgd_status status =
        decode_parse_chunk(call, index, &w->codes, &w->quantize, &chunk, &form, &where);
    if (status == QSGD_OK) status = decode_read(call, &span, w, &chunk, &form);
    if (status != QSGD_OK) {
        worker_fail(w, index, status, where);
        return;
    }
    const struct scale_array scales = scales_at(w->quantize.scales, span.bucket);
    if (call->q.turned && (form.signs & SIGNS_PLAIN) == 0) {
        values_turn(&call->q, &span, &scales, &w->quantize, k, NULL);
    }
    const struct live live = decode_live(call, &span, &w->quantize, &form);
    if (chunk.len < span.len) fill_dead(call, &live, k);
    put_scales(sink, &span, w->quantize.scales);
    memcpy(sink->out.indices + span.first, k, (size_t)span.len * sizeof *k);
    if (sink->out.damping != NULL) sink->out.damping[index] = form.damping;
}

static qsgd_status check_outputs(const struct index_sink *sink) {
    const struct decode_call *call = &sink->call;
    const struct layout *l = &call->q.layout;
    const qsgd_quantized *out = &sink->out;
    if (frame_is_exact(&call->frame)) {
        return error_parameter(call->error, QSGD_ERR_SCHEME, "frame",
                               "raw and lossless frames have no indices");
    }
    if (out->n != call->frame.info.elements) {
        return error_parameter(call->error, QSGD_ERR_LENGTH, "n",
                               "the output's number of elements is not the frame's");
    }
    if (out->n > 0 && (out->indices == NULL || out->scales == NULL)) {
        return memory_missing(out->indices == NULL ? "indices" : "scales", call->error);
    }
    const struct region outputs[] = {
        QUANTIZED_REGIONS(out, l, true),
    };
    return decode_apart(call, outputs, sizeof outputs / sizeof *outputs, call->error);
}

qsgd_status qsgd_decode_indices(const void *frame, uint64_t bytes,
                                const qsgd_decode_options *options, const qsgd_quantized *quantized,
                                qsgd_memory workspace, qsgd_error *error) {
    if (quantized == NULL) return memory_missing("quantized", error);
    struct index_sink sink = {.out = *quantized};
    qsgd_status status = decode_open(&sink.call, frame, bytes, options, workspace, error);
    if (status == QSGD_OK) status = check_outputs(&sink);
    if (status == QSGD_OK) status = decode_begin(&sink.call);
    if (status != QSGD_OK) return status;
    sink.call.deep = true;
    status = decode_verify(&sink.call);
    return status == QSGD_OK ? decode_run(&sink.call, task_indices, 1) : status;
}
