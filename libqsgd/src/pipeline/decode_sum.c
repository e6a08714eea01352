/* Sums of frames. Each is opened and verified once; then every piece of the output takes all frames
 * in their order before the next piece does, so that it stays in the caches meanwhile. */
#include <string.h>

#include "base/dtype.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "base/sizes.h"
#include "pipeline/arguments.h"
#include "pipeline/decode.h"

struct sum {
    const qsgd_weighted_frame *frames;
    uint32_t count;
    const qsgd_decode_options *given; /* as the caller gave them; options: taken */
    qsgd_decode_options options;
    uint32_t dtype; /* of the output */
    float divisor;  /* of the sums, 1: none */
    uint8_t *out;   /* n elements */
    uint64_t n;
    qsgd_memory workspace;
    struct decode_call *calls; /* of all frames; NULL while memory is counted */
    uint8_t *scratch;          /* of each worker, for the frame at hand */
    uint64_t scratch_bytes;
    float *pieces;  /* of each worker, unless sums are made in the output */
    uint64_t piece; /* chunks of calls[0] that a task takes */
    struct runner runner;
    uint32_t at; /* frame at hand: that of an error */
    qsgd_error *error;
};

/* Chunks of a piece: more leave the second cache. But of rANS chunks those of one shape are read
 * two at once, and more of them find another; and where frames' chunks differ, those at a piece's
 * ends are decoded for both sides. */
#define PIECE_LEAST 2
#define PIECE_MOST 8

/* ---- open ------------------------------------------------------------------------------------ */

/* Makes frame s->at a summand: one of n elements that can be added, apart from the output. */
static qsgd_status aim(const struct sum *s, struct decode_call *call) {
    const struct region out = {"out", s->out, s->n * dtype_bytes(s->dtype), true};
    call->sink = (struct sink){.dtype = QSGD_FLOAT32, .add = true, .alpha = s->frames[s->at].alpha};
    qsgd_status status = decode_aim(call, s->n, s->out);
    if (status == QSGD_OK) status = decode_check_dtype(call, QSGD_FLOAT32, true);
    return status == QSGD_OK ? decode_apart(call, &out, 1, s->error) : status;
}

/* Writes nothing but *call, which is the caller's own while memory is counted: what overlaps is
 * found then. */
static qsgd_status open_one(const struct sum *s, struct decode_call *call) {
    const qsgd_weighted_frame *f = &s->frames[s->at];
    call->error = s->error;
    call->workspace = s->workspace;
    if (f->reserved != 0) {
        return error_parameter(s->error, QSGD_ERR_PARAM, "reserved", "reserved must be 0");
    }
    qsgd_status status = decode_open_header(call, f->frame, f->bytes, s->given);
    if (status == QSGD_OK) status = decode_check_bytes(call, f->bytes);
    return status == QSGD_OK ? aim(s, call) : status;
}

static bool chunks_alike(const struct layout *a, const struct layout *b) {
    if (a->n != b->n || a->chunks != b->chunks || a->chunk != b->chunk) return false;
    return a->per_bucket == b->per_bucket && (a->per_bucket == 0 || a->bucket == b->bucket);
}

/* What memory goes to beside the calls. */
struct sum_memory {
    uint64_t scratch; /* of one worker: the most that any frame asks for */
    uint64_t marks;   /* tasks of a run, at most */
    uint64_t longest; /* elements of a chunk */
    bool alike;       /* frames have the same chunks */
    bool rans;        /* a frame is coded by it */
};

/* Opens the headers, and takes memory of what is known by frame. */
static qsgd_status open_all(struct sum *s, struct memory *memory, struct sum_memory *m) {
    struct layout first = {0};
    *m = (struct sum_memory){.alike = true};
    s->calls = memory_take(memory, s->count * sizeof *s->calls);
    for (s->at = 0; s->at < s->count; s->at++) {
        struct decode_call counted, *const call = s->calls == NULL ? &counted : &s->calls[s->at];
        const qsgd_status status = open_one(s, call);
        if (status != QSGD_OK) return status;
        const struct layout *l = &call->frame.layout;
        struct memory scratch = {NULL, 0};
        struct worker worker;
        worker_carve(&worker, &scratch, &call->q, QUANTIZE_DECODES);
        decode_carve_chunks(call, memory);
        call->workers = memory_take(memory, call->options.workers * sizeof *call->workers);
        if (s->at == 0) first = *l;
        if (scratch.used > m->scratch) m->scratch = scratch.used;
        if (l->chunks > m->marks) m->marks = l->chunks;
        if (l->chunk > m->longest) m->longest = l->chunk;
        m->alike = m->alike && chunks_alike(&first, l);
        m->rans = m->rans || call->frame.params.code == QSGD_CODE_RANS;
    }
    return QSGD_OK;
}

/* Sums are made in the output itself: of float32, by chunks that all frames have. */
static bool sums_in_place(const struct sum *s) { return s->dtype == QSGD_FLOAT32; }

/* Takes all the memory there is to take. */
static qsgd_status carve(struct sum *s, struct memory *memory, struct sum_memory *m) {
    const qsgd_status status = open_all(s, memory, m);
    if (status != QSGD_OK) return status;
    const uint32_t workers = s->options.workers;
    s->scratch = memory_take(memory, workers * m->scratch);
    s->scratch_bytes = m->scratch;
    s->runner = (struct runner){s->options.runner, s->options.runner_context, workers,
                                task_marks_carve(memory, m->marks)};
    s->piece = m->alike && !m->rans ? PIECE_LEAST : PIECE_MOST;
    while (workers > 1 && s->piece > 1 && m->marks < 4 * s->piece * workers) s->piece /= 2;
    s->pieces = NULL;
    if (!sums_in_place(s)) {
        const uint64_t most = s->n < s->piece * m->longest ? s->n : s->piece * m->longest;
        s->pieces = memory_take(memory, workers * most * sizeof(float));
    }
    if (s->calls == NULL) return QSGD_OK;
    for (uint32_t f = 0; f < s->count; f++) {
        struct decode_call *call = &s->calls[f];
        call->runner = s->runner;
        for (uint32_t w = 0; w < workers; w++) worker_begin(&call->workers[w]);
    }
    return QSGD_OK;
}

/* Gives a worker the scratch for this frame: what it knew of the frame is gone with that of the one
 * before. */
static struct worker *worker_for(const struct sum *s, const struct decode_call *call, uint32_t w) {
    struct memory own = {s->scratch + w * s->scratch_bytes, 0};
    worker_carve(&call->workers[w], &own, &call->q, QUANTIZE_DECODES);
    return &call->workers[w];
}

static void workers_for(const struct sum *s, const struct decode_call *call) {
    for (uint32_t w = 0; w < s->options.workers; w++) worker_for(s, call, w);
}

/* What is wrong with a frame, before anything is written. */
static qsgd_status verify_all(struct sum *s) {
    for (s->at = 0; s->at < s->count; s->at++) {
        struct decode_call *call = &s->calls[s->at];
        workers_for(s, call);
        qsgd_status status = decode_find_tables(call);
        if (status == QSGD_OK) status = decode_prepare(call);
        if (status == QSGD_OK) status = decode_verify(call);
        if (status != QSGD_OK) return status;
    }
    return QSGD_OK;
}

/* ---- add ------------------------------------------------------------------------------------- */

/* Sums [0, n) become elements of the output from `first` on. */
static void finish(const struct sum *s, const float *sums, uint64_t first, uint64_t n) {
    uint8_t *out = s->out + first * dtype_bytes(s->dtype);
    if (sums_in_place(s) && s->divisor == 1.0F) return;
    for (uint64_t i = 0; i < n; i += 256) {
        float block[256];
        const size_t len = (size_t)min_u64(256, n - i);
        memcpy(block, (const uint8_t *)sums + i * sizeof *sums, len * sizeof *sums);
        for (size_t j = 0; j < len; j++) block[j] /= s->divisor;
        dtype_from_float(s->dtype, block, len, out + i * dtype_bytes(s->dtype));
    }
}

static void task_sum(void *context, uint64_t task, uint32_t worker) {
    const struct sum *s = context;
    const struct layout *l = &s->calls[0].frame.layout;
    const struct chunk_span start = layout_chunk(l, task * s->piece);
    const struct chunk_span stop = layout_chunk(l, min_u64((task + 1) * s->piece, l->chunks) - 1);
    const uint64_t from = start.first, to = stop.first + stop.len;
    float *sums = (float *)(void *)(s->out + from * sizeof(float)); /* at any alignment */
    if (!sums_in_place(s)) sums = s->pieces + worker * min_u64(s->n, s->piece * l->chunk);
    fpenv env = fpenv_enter();
    memset(sums, 0, (size_t)(to - from) * sizeof *sums);
    for (uint32_t f = 0; f < s->count; f++) {
        struct decode_call call = s->calls[f]; /* with this piece as its output */
        const struct layout *own = &call.frame.layout;
        call.from = call.sink.from = call.sink.origin = from;
        call.to = call.sink.to = to;
        call.sink.data = (uint8_t *)sums;
        decode_write(&call, layout_chunk_of(own, from), layout_chunk_of(own, to - 1) + 1,
                     worker_for(s, &s->calls[f], worker));
    }
    finish(s, sums, from, to - from);
    fpenv_leave(env);
}

/* Piece by piece. */
static qsgd_status add_pieces(struct sum *s) {
    const uint64_t tasks = div_up(s->calls[0].frame.layout.chunks, s->piece);
    qsgd_status status = runner_run(&s->runner, task_sum, s, tasks, s->error);
    if (status != QSGD_OK) return status;
    for (s->at = 0; s->at < s->count; s->at++) {
        status = decode_failure(&s->calls[s->at]);
        if (status != QSGD_OK) return status;
    }
    return QSGD_OK;
}

static void clear(const struct sum *s) {
    const size_t item = dtype_bytes(s->dtype);
    for (uint64_t i = 0; i < s->n; i++) memset(s->out + i * item, 0, item);
}

/* Frame by frame: chunks that differ would be decoded for both sides of each piece. */
static qsgd_status add_frames(struct sum *s) {
    clear(s);
    for (s->at = 0; s->at < s->count; s->at++) {
        workers_for(s, &s->calls[s->at]);
        const qsgd_status status = decode_write_all(&s->calls[s->at]);
        if (status != QSGD_OK) return status;
    }
    fpenv env = fpenv_enter();
    finish(s, (const float *)(const void *)s->out, 0, s->n);
    fpenv_leave(env);
    return QSGD_OK;
}

/* ---- the calls ------------------------------------------------------------------------------- */

static qsgd_status check_buffers(const struct sum *s) {
    if ((s->count > 0 && s->frames == NULL) || (s->out == NULL && s->n > 0)) {
        return memory_missing(s->frames == NULL && s->count > 0 ? "frames" : "out", s->error);
    }
    const qsgd_status status = arguments_check_elements(s->n, s->error);
    if (status != QSGD_OK) return status;
    const struct region buffers[] = {
        {"frames", s->frames, s->count * sizeof *s->frames, false},
        {"workspace", s->workspace.data, s->workspace.bytes, true},
        {"out", s->out, s->n * dtype_bytes(s->dtype), true},
    };
    return regions_apart(buffers, sizeof buffers / sizeof *buffers, s->error);
}

static qsgd_status check_output(struct sum *s) {
    const uint32_t dtype = s->options.dtype;
    s->dtype = dtype == QSGD_DTYPE_OF_FRAME ? (uint32_t)QSGD_FLOAT32 : dtype;
    if (!dtype_is_float(s->dtype)) {
        return error_parameter(s->error, QSGD_ERR_DTYPE, "dtype", "sums are of floating point");
    }
    if (s->divisor > 0 || s->divisor < 0) return QSGD_OK;
    return error_parameter(s->error, QSGD_ERR_PARAM, "divisor", "divisor must be a number, not 0");
}

/* Says which frame is at fault; not in an error that lies in a buffer, which is not written. */
static qsgd_status numbered(const struct sum *s, qsgd_status status) {
    if (status != QSGD_OK && status != QSGD_ERR_OVERLAP && s->at < s->count) {
        error_at_frame(s->error, s->at);
    }
    return status;
}

/* In a workspace of the largest frame alone: all are verified, and then each once more as it is
 * added. */
static qsgd_status run_apart(struct sum *s) {
    for (uint32_t pass = 0; pass < 2; pass++) {
        if (pass == 1) clear(s);
        for (s->at = 0; s->at < s->count; s->at++) {
            const qsgd_weighted_frame *f = &s->frames[s->at];
            struct decode_call call;
            qsgd_status status =
                decode_open(&call, f->frame, f->bytes, s->given, s->workspace, s->error);
            if (status == QSGD_OK) status = aim(s, &call);
            if (status == QSGD_OK) status = decode_begin(&call);
            if (status == QSGD_OK) status = decode_verify(&call);
            if (status == QSGD_OK && pass == 1) status = decode_write_all(&call);
            if (status != QSGD_OK) return status;
        }
    }
    return QSGD_OK;
}

/* sparing: the workspace may be too small for all frames at once. */
static qsgd_status run(struct sum *s, bool sparing) {
    struct memory memory = {NULL, 0};
    struct sum_memory m;
    qsgd_status status = carve(s, &memory, &m);
    if (status != QSGD_OK) return status;
    const uint64_t used = memory.used;
    status = memory_open(&memory, s->workspace, used, sparing ? NULL : s->error);
    if (status != QSGD_OK && sparing) return run_apart(s);
    if (status == QSGD_OK) status = carve(s, &memory, &m);
    if (status == QSGD_OK) status = verify_all(s);
    if (status != QSGD_OK) return status;
    s->at = s->count;
    if (s->n == 0) return QSGD_OK;
    if (s->count == 0) {
        clear(s);
        return QSGD_OK;
    }
    return m.alike || !sums_in_place(s) ? add_pieces(s) : add_frames(s);
}

static struct sum sum_of(const qsgd_weighted_frame *frames, uint32_t count,
                         const qsgd_decode_options *options, uint64_t n, qsgd_error *error) {
    return (struct sum){.frames = frames,
                        .count = count,
                        .given = options,
                        .divisor = 1.0F,
                        .n = n,
                        .at = count, /* no frame is at hand yet */
                        .error = error};
}

qsgd_status qsgd_decode_sum_sizes(const qsgd_weighted_frame *frames, uint32_t count,
                                  const qsgd_decode_options *options, uint64_t n, qsgd_sizes *sizes,
                                  qsgd_error *error) {
    struct sum s = sum_of(frames, count, options, n, error);
    struct memory memory = {NULL, 0};
    struct sum_memory m;
    qsgd_status status = arguments_decode_options(options, &s.options, error);
    if (status == QSGD_OK) status = check_output(&s);
    if (status == QSGD_OK) status = arguments_check_elements(n, error);
    if (status == QSGD_OK && count > 0 && frames == NULL) status = memory_missing("frames", error);
    if (status == QSGD_OK) status = carve(&s, &memory, &m);
    if (status != QSGD_OK) return numbered(&s, status);
    return sizes_give(&(qsgd_sizes){.dtype = s.dtype,
                                    .elements = n,
                                    .dst_bytes = n * dtype_bytes(s.dtype),
                                    .workspace_bytes = memory.used},
                      sizes, error);
}

qsgd_status qsgd_decode_sum_to(const qsgd_weighted_frame *frames, uint32_t count,
                               const qsgd_decode_options *options, float divisor, void *out,
                               uint64_t n, qsgd_memory workspace, qsgd_error *error) {
    struct sum s = sum_of(frames, count, options, n, error);
    s.divisor = divisor;
    s.out = out;
    s.workspace = workspace;
    qsgd_status status = arguments_decode_options(options, &s.options, error);
    if (status == QSGD_OK) status = check_output(&s);
    if (status == QSGD_OK) status = check_buffers(&s);
    if (status == QSGD_OK) status = run(&s, false);
    return numbered(&s, status);
}

qsgd_status qsgd_decode_sum(const qsgd_weighted_frame *frames, uint32_t count,
                            const qsgd_decode_options *options, float *out, uint64_t n,
                            qsgd_memory workspace, qsgd_error *error) {
    struct sum s = sum_of(frames, count, options, n, error);
    s.out = (uint8_t *)out;
    s.workspace = workspace;
    qsgd_status status = arguments_decode_options(options, &s.options, error);
    s.dtype = QSGD_FLOAT32;
    if (status == QSGD_OK) status = check_buffers(&s);
    if (status == QSGD_OK) status = run(&s, true);
    return numbered(&s, status);
}
