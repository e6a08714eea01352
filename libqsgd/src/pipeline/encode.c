/* The pipeline forward: tensor -> norm -> levels -> rounding -> code -> frame. Reads as a contents
 * page: each chunk is one task that quantizes, codes and checks its own payload. */
#include "pipeline/encode_open.h"

#include <string.h>

#include "base/dtype.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "base/steps.h"
#include "codes/payload.h"
#include "frame/frame.h"
#include "frame/header.h"
#include "frame/params.h"
#include "pipeline/arguments.h"
#include "pipeline/before_chunks.h"
#include "pipeline/exact.h"
#include "pipeline/report.h"
#include "pipeline/signs.h"
#include "pipeline/slot.h"
#include "pipeline/survey.h"
#include "pipeline/target.h"
#include "quantize/feedback.h"
#include "quantize/quantize.h"
#include "quantize/values.h"

struct encode_job {
    struct before_chunks f;
    struct frame frame;
    qsgd_memory dst;
    int32_t code;
    enum { ENCODE_SURVEY, ENCODE_PAYLOADS, ENCODE_RESIDUAL } pass;
    /* The wave: chunks that are written before payloads move together. */
    uint64_t first;
    uint8_t *room;       /* of the wave's payloads; NULL: each has a worker's spill */
    uint64_t at;         /* end of the payloads that are in place */
    uint32_t trials;     /* for a target */
    uint32_t again;      /* for a slot: how often the frame did not fit */
    bool residual_later; /* once the frame is known to fit */
};

/* Bytes reserved for all payloads before chunk `index`, so that chunks may be written in any order.
 */
static uint64_t room_before(const struct encode_job *job, uint64_t index) {
    const struct layout *l = &job->f.t.q.layout;
    const uint64_t first = index < l->chunks ? layout_chunk(l, index).first : l->n;
    if (code_is_exact(job->code)) return exact_bound(&job->f.t.q, job->code, index, first);
    return index == 0 ? 0 : encode_bodies_bound(&job->f.t.q, index, first);
}

/* ---- tasks ---------------------------------------------------------------------------------- */

/* Where the payload of a chunk of the wave is written. */
static uint8_t *payload_at(const struct encode_job *job, uint64_t index, uint32_t worker) {
    const struct before_chunks *f = &job->f;
    if (job->pass == ENCODE_SURVEY) return f->spill + worker * f->spill_bytes;
    if (job->room == NULL) return f->spill + (index - job->first) * f->spill_bytes;
    return job->room + (room_before(job, index) - room_before(job, job->first));
}

/* Codes a quantized chunk, whose indices are moved together. */
static void encode_quantized(struct encode_job *job, const struct chunk_span *span, uint64_t index,
                             uint32_t worker, const struct chunk_indices *c) {
    const struct quantizer *q = &job->f.t.q;
    struct worker *w = &job->f.workers[worker];
    uint8_t *dst = payload_at(job, index, worker);
    const struct coded_items items = {c->k, c->k == NULL ? c->tokens : NULL};
    struct payload_head head = quantizer_head(q, span, c->scales, c->damping, w->quantize.entries);
    const struct code_chunk chunk =
        worker_code_chunk(q, &job->f.shared, job->code, span, &w->codes);
    if (job->pass == ENCODE_SURVEY) {
        survey_codes(q, span, &chunk, &head, c, w, dst);
        return;
    }
    worker_zeros(q, &chunk, &c->zeros, &items, w, &head.live);
    const struct payload_space to = {
        dst, job->room == NULL ? NULL : job->f.spill + worker * job->f.spill_bytes};
    frame_set_entry(job->dst.data, &job->frame, index, dst,
                    signs_write(q, span, &chunk, &head, &items, &w->quantize, &to));
}

static qsgd_status encode_chunk(struct encode_job *job, uint64_t index, uint32_t worker,
                                uint64_t *bad_bucket) {
    const struct tensor *t = &job->f.t;
    const struct chunk_span span = layout_chunk(&t->q.layout, index);
    struct worker *w = &job->f.workers[worker];
    if (code_is_exact(job->code)) {
        uint8_t *dst = payload_at(job, index, worker);
        if (job->pass != ENCODE_RESIDUAL) {
            frame_set_entry(job->dst.data, &job->frame, index, dst,
                            exact_write(t, job->code, &span, w, dst));
        }
        if (!job->residual_later) exact_clear_residual(&t->source, &span);
        return QSGD_OK;
    }
    struct quantize_scratch *scratch = &w->quantize;
    const bool measured = t->q.measured && job->pass != ENCODE_SURVEY;
    const bool decodes = t->source.residual != NULL || (measured && !quantizer_knows_error(&t->q));
    const bool tokens = job->pass == ENCODE_PAYLOADS && !decodes && quantizer_gives_tokens(&t->q) &&
                        code_find(job->code)->from_tokens;
    struct chunk_indices c = {tokens ? NULL : scratch->indices,
                              w->codes.tokens,
                              chunk_scales_of(t, &span, scratch->scales),
                              0,
                              0,
                              NULL,
                              {NULL, 0, NULL}};
    struct chunk_loss *const loss = &job->f.losses[measured ? index : 0];
    if (measured) *loss = measure_given(t, &span, scratch);
    qsgd_status status = quantize_chunk(t, &span, scratch, &c, bad_bucket);
    if (status != QSGD_OK) return status;
    if (measured && t->source.residual == NULL) loss->error = measure_error(t, &span, scratch, &c);
    if (t->source.residual != NULL) feedback_of_chunk(t, &span, scratch, &c);
    if (t->source.residual != NULL && job->pass != ENCODE_SURVEY && !job->residual_later) {
        outliers_put(c.zeros.outliers, 0, (size_t)span.len,
                     scratch->elements); /* nothing is left */
        const struct dequantizer d = {.q = &t->q,
                                      .scales = c.scales,
                                      .scratch = scratch,
                                      .damping = c.damping,
                                      .turned = t->q.turned,
                                      .zeros = c.zeros,
                                      .first = span.first};
        residual_of_chunk(&d, &t->source, &span, c.x, c.k, t->source.residual + span.first);
        if (measured)
            loss->error = measure_squares(&t->q, t->source.residual + span.first, span.len);
    }
    if (job->pass != ENCODE_RESIDUAL) encode_quantized(job, &span, index, worker, &c);
    return QSGD_OK;
}

static void task_chunk(void *context, uint64_t task, uint32_t worker) {
    struct encode_job *job = context;
    const uint64_t index = job->first + task;
    fpenv env = fpenv_enter();
    uint64_t bad_bucket = 0;
    qsgd_status status = encode_chunk(job, index, worker, &bad_bucket);
    if (status != QSGD_OK) worker_fail(&job->f.workers[worker], index, status, bad_bucket);
    fpenv_leave(env);
}

/* ---- waves ----------------------------------------------------------------------------------- */

/* Runs chunks [job->first, job->first + count). */
static qsgd_status run_chunks(struct encode_job *job, uint64_t count, qsgd_error *error) {
    qsgd_status status = runner_run(&job->f.runner, task_chunk, job, count, error);
    return status == QSGD_OK ? before_chunks_error(&job->f, error) : status;
}

/* Chunks of the next wave, and where it goes: as many as fit behind the payloads that are in place,
 * whatever they hold; or, where dst ends soon, as many as there are spills. Without a runner one at
 * a time, so that payloads are written one behind the other. */
static uint64_t wave_begin(struct encode_job *job) {
    const uint64_t left = job->f.t.q.layout.chunks - job->first;
    const uint64_t at_once = job->f.runner.run == NULL ? 1 : min_u64(left, job->f.runner.workers);
    const uint64_t free = job->dst.bytes - job->at, from = room_before(job, job->first);
    uint64_t fit = 0, beyond = left + 1; /* fit chunks do, `beyond` do not */
    if (job->f.runner.run == NULL) beyond = 2;
    while (beyond - fit > 1) {
        const uint64_t middle = fit + (beyond - fit) / 2;
        if (room_before(job, job->first + middle) - from <= free) {
            fit = middle;
        } else {
            beyond = middle;
        }
    }
    job->room = fit >= at_once ? (uint8_t *)job->dst.data + job->at : NULL;
    return fit >= at_once ? fit : at_once;
}

/* Moves the wave's payloads behind those that are in place. False if they do not fit. */
static bool wave_end(struct encode_job *job, uint64_t count) {
    uint8_t *dst = job->dst.data;
    for (uint64_t i = job->first; i < job->first + count; i++) {
        const uint32_t bytes = frame_entry(dst, &job->frame, i);
        const uint8_t *from = payload_at(job, i, 0);
        if (bytes > job->dst.bytes - job->at) return false;
        if (from != dst + job->at) memmove(dst + job->at, from, bytes);
        job->at += bytes;
    }
    job->first += count;
    return true;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* The code of the shortest frame, from the surveyed sizes. */
static int32_t shortest_code(const struct encode_job *job, const struct encode_call *call) {
    qsgd_params raw = job->f.t.q.params;
    raw.code = QSGD_CODE_RAW;
    const struct layout l = layout_of(job->f.t.q.layout.n, 0, raw.chunk_log2, LAYOUT_RAW);
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

/* Counts what each code would take, by noise of its own: raw is exact, so that to choose it, or
 * not, by the noise would be a bias. Nothing is written to dst. */
static qsgd_status encode_survey(struct encode_job *job, const struct encode_call *call,
                                 qsgd_error *error) {
    job->pass = ENCODE_SURVEY;
    header_place(&job->frame, &job->f.t.q.layout, &job->f.t.q.params, &call->options);
    const struct noise_key key = job->f.t.q.key;
    job->f.t.q.key = quantizer_trial_key(&key);
    qsgd_status status = before_chunks_scales(&job->f, error);
    if (status == QSGD_OK) status = run_chunks(job, job->f.t.q.layout.chunks, error);
    job->f.t.q.key = key;
    return status;
}

/* Encodes with job->code, which is not AUTO. */
static qsgd_status encode_frame(struct encode_job *job, const struct encode_call *call,
                                uint64_t *frame_bytes, qsgd_error *error) {
    qsgd_params params = job->f.t.q.params;
    const uint64_t chunks = job->f.t.q.layout.chunks, bound = encode_bound(call, &job->f.t.q);
    const bool raw = job->code == QSGD_CODE_RAW;
    params.code = job->code;
    header_place(&job->frame, &job->f.t.q.layout, &params, &call->options);
    job->at = job->frame.payload_offset;
    if (job->dst.bytes < job->at + (raw ? room_before(job, chunks) : 0)) {
        return memory_too_small(bound, FRAME_TOO_LONG, error);
    }
    header_write(job->dst.data, &params, &call->options);
    job->pass = ENCODE_PAYLOADS;
    job->residual_later = !raw && (job->dst.bytes < bound || params.slot != 0);
    qsgd_status status = code_is_exact(job->code) ? QSGD_OK : before_chunks_scales(&job->f, error);
    while (status == QSGD_OK && job->first < chunks) {
        const uint64_t count = wave_begin(job);
        status = run_chunks(job, count, error);
        if (status == QSGD_OK && !wave_end(job, count))
            return memory_too_small(bound, FRAME_TOO_LONG, error);
    }
    if (status == QSGD_OK && job->residual_later && job->f.t.source.residual != NULL) {
        job->pass = ENCODE_RESIDUAL;
        job->residual_later = false;
        job->first = 0;
        status = run_chunks(job, chunks, error);
    }
    if (status != QSGD_OK) return status;
    *frame_bytes = job->at;
    frame_finish(job->dst.data, &job->frame, job->at);
    const struct encoded made = {job->at, job->at - job->frame.payload_offset, job->trials,
                                 job->again};
    return report_give(&job->f, call, &made, error);
}

static qsgd_status check_buffers(const struct encode_call *call, const struct encode_job *job,
                                 qsgd_memory workspace, uint64_t *frame_bytes, qsgd_error *error) {
    const qsgd_encode_options *o = &call->options;
    const struct quantizer *q = &job->f.t.q;
    const struct source *source = &job->f.t.source;
    const uint64_t n = q->layout.n;
    if (frame_bytes == NULL) return memory_missing("frame_bytes", error);
    if (job->dst.data == NULL || (source->data == NULL && n > 0)) {
        return memory_missing(job->dst.data == NULL ? "dst" : "src", error);
    }
    const struct region buffers[] = {
        {"src", source->data, n * dtype_bytes(o->dtype), false},
        {"scales", o->scales, q->layout.buckets * sizeof(float), false},
        {"workspace", workspace.data, workspace.bytes, true},
        {"residual", o->residual, n * sizeof(float), true},
        {"dst", job->dst.data, min_u64(job->dst.bytes, encode_bound(call, q)), true},
        {"frame_bytes", frame_bytes, sizeof *frame_bytes, true},
        {"report", o->report, o->report == NULL ? 0 : o->report->struct_size, true},
        {"last", o->last, o->last == NULL ? 0 : o->last->struct_size, false},
    };
    return arguments_apart(call, buffers, sizeof buffers / sizeof *buffers, error);
}

/* Finds the step of a target. The quantizer is that of the tensor again, then, and sums need not be
 * made anew. */
static qsgd_status find_step(struct encode_job *job, struct encode_call *call,
                             const qsgd_encode_report *last, qsgd_memory workspace,
                             qsgd_error *error) {
    struct tensor *const t = &job->f.t;
    const uint64_t n = t->q.layout.n;
    if (call->options.last == NULL) last = NULL;
    const qsgd_status status = target_find(&job->f, call, last, workspace, &job->trials, error);
    if (status != QSGD_OK) return status;
    encode_quantizer(call, n, &t->q);
    t->source.every_log2 = 0;
    t->one_pass = tensor_one_pass(t);
    return status;
}

/* Encodes by the parameters' code; with auto, surveys all codes first. */
static qsgd_status encode_job_run(struct encode_job *job, const struct encode_call *call,
                                  qsgd_memory workspace, uint64_t *frame_bytes, qsgd_error *error) {
    qsgd_status status = before_chunks_open(&job->f, call, workspace, error);
    job->f.sums_known = job->trials != 0;
    job->code = call->params.code;
    job->first = 0;
    if (status != QSGD_OK) return status;
    if (job->code == QSGD_CODE_AUTO) {
        status = encode_survey(job, call, error);
        if (status != QSGD_OK) return status;
        job->code = job->f.t.q.params.code = shortest_code(job, call);
        if (job->code == QSGD_CODE_RAW) {
            qsgd_params raw = call->params;
            raw.code = QSGD_CODE_RAW;
            quantizer_init(&job->f.t.q, &raw, job->f.t.q.layout.n, arguments_noise(call), true);
            job->f.t.q.dtype = call->options.dtype;
        }
        status = before_chunks_open(&job->f, call, workspace, error);
        job->f.sums_known = job->trials != 0;
    }
    return status == QSGD_OK ? encode_frame(job, call, frame_bytes, error) : status;
}

#define AGAIN_MOST 40 /* each time with a step that is 9 % longer */

/* Encodes into a slot, which is sure to take nearly any frame. By the rule of ENCODER.md section 1,
 * the step that did not fit is left by other noise. */
static qsgd_status encode_into_slot(struct encode_job *job, struct encode_call *call,
                                    qsgd_memory workspace, uint64_t *frame_bytes,
                                    qsgd_error *error) {
    const struct encode_call first = *call;
    const uint64_t n = job->f.t.q.layout.n;
    job->dst.bytes = slot_bytes(&call->params, &job->f.t.q.layout) + call->options.tag_bytes;
    for (job->again = 0; job->again <= AGAIN_MOST; job->again++) {
        if (job->again > 0) {
            slot_other_noise(&first, job->again, call);
            call->params.step = step_after(first.params.step, job->again);
            encode_quantizer(call, n, &job->f.t.q);
        }
        const qsgd_status status = encode_job_run(job, call, workspace, frame_bytes, error);
        if (status != QSGD_ERR_DST_TOO_SMALL) return status;
    }
    return error_parameter(error, QSGD_ERR_TARGET, "slot",
                           "no step brings this tensor's frame into its slot");
}

qsgd_status qsgd_encode(const qsgd_params *params, const qsgd_encode_options *options,
                        const void *src, uint64_t n, qsgd_memory dst, qsgd_memory workspace,
                        uint64_t *frame_bytes, qsgd_error *error) {
    struct encode_call call;
    struct encode_job job;
    qsgd_encode_report last;
    qsgd_status status = encode_open(params, options, n, &call, &job.f.t.q, error);
    if (status == QSGD_OK) status = arguments_check_reports(&call.options, &last, error);
    if (status == QSGD_OK) status = arguments_check_tag(&call.options, error);
    if (status != QSGD_OK) return status;
    job.dst = dst;
    job.f.t.source = (struct source){.data = src,
                                     .dtype = call.options.dtype,
                                     .residual = call.options.residual,
                                     .keep = (float)(1 - call.params.feedback_decay),
                                     .given = call.options.scales};
    job.f.t.one_pass = tensor_one_pass(&job.f.t);
    status = check_buffers(&call, &job, workspace, frame_bytes, error);
    if (status == QSGD_OK) {
        status = arguments_check_scales(&call, job.f.t.q.layout.buckets, error);
    }
    if (status != QSGD_OK) return status;
    const uint64_t slot = call.params.slot != 0 ? encode_bound(&call, &job.f.t.q) : 0;
    if (dst.bytes < slot) return memory_too_small(slot, FRAME_TOO_LONG, error);
    shared_tables_of(&call.params, &job.f.shared);
    uint64_t bytes = 0;
    job.trials = job.again = 0;
    if (params_have_target(&call.params)) {
        status = find_step(&job, &call, &last, workspace, error);
        if (status != QSGD_OK) return status;
    }
    status = call.params.slot != 0 ? encode_into_slot(&job, &call, workspace, &bytes, error)
                                   : encode_job_run(&job, &call, workspace, &bytes, error);
    if (status == QSGD_OK) *frame_bytes = bytes;
    return status;
}
