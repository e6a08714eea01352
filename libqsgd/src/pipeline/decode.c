/* The pipeline back: frame -> symbols -> indices -> values. What a checksum or a table can say is
 * verified before the first write (pipeline/decode_call.c); then each chunk, or each two, is a
 * task that decodes into its own span of the output. */
#include <string.h>

#include "base/dtype.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "pipeline/decode.h"
#include "pipeline/decode_exact.h"
#include "pipeline/decode_stream.h"
#include "quantize/values_nonzeros.h"

static qsgd_status write_chunk(const struct decode_call *call, uint64_t index,
                               struct worker *worker, uint64_t *where) {
    const struct chunk_span span = layout_chunk(&call->q.layout, index);
    const uint64_t end = span.first + span.len;
    const uint64_t from = call->from > span.first ? call->from : span.first;
    const uint64_t to = min_u64(call->to, end);
    if (frame_is_exact(&call->frame)) return decode_exact(call, index, from, to, worker, where);
    struct decode_chunk c;
    struct decode_chunk *const one = &c;
    qsgd_status status = decode_chunk_open(call, index, worker, false, &c, where);
    if (status != QSGD_OK) return status;
    if (decode_chunk_streams(call, &c)) {
        decode_stream(call, &one, 1, worker, &status);
        return status;
    }
    int16_t *k = worker->quantize.indices;
    const struct dequantizer d = decode_values(call, &span, &worker->quantize, &c.form);
    const struct layout *l = &call->q.layout;
    if (payload_is_sparse(&c.chunk, &c.form) && !c.gathered &&
        values_skip_zeros(&call->q, &call->sink, from, to)) {
        const uint32_t *at;
        size_t count;
        status = payload_read_nonzeros(&c.chunk, &c.form, &at, k, &count);
        if (status != QSGD_OK) return status;
        values_from_nonzeros(&d, &span, from, to, at, k, count);
        return QSGD_OK;
    }
    status = decode_read(call, &span, worker, &c.chunk, &c.form);
    if (status != QSGD_OK) return status;
    uint64_t first = from, last = to;
    const struct bucket_span opens = layout_bucket_at(l, from), ends = layout_bucket_at(l, to - 1);
    if (scale_rotated(&d.scales, opens.bucket)) first = opens.first; /* of which the sink */
    if (scale_rotated(&d.scales, ends.bucket)) last = ends.end;      /* takes its part */
    values_from_indices(&d, &span, first, last, k);
    return QSGD_OK;
}

/* False if chunks `first` and `second` cannot be read at once: then nothing was written. */
static bool write_two(const struct decode_call *call, uint64_t first, uint64_t second,
                      struct worker *worker) {
    const uint64_t index[2] = {first, second};
    struct decode_chunk c[2];
    struct decode_chunk *const both[2] = {&c[0], &c[1]};
    qsgd_status status[2];
    uint64_t where;
    for (int i = 0; i < 2; i++) {
        if (decode_chunk_open(call, index[i], worker, i != 0, &c[i], &where) != QSGD_OK ||
            !decode_chunk_streams(call, &c[i])) {
            return false;
        }
    }
    if (!decode_chunks_pair(&c[0], &c[1])) return false;
    decode_stream(call, both, 2, worker, status);
    for (int i = 0; i < 2; i++) {
        if (status[i] == QSGD_OK) continue;
        worker_fail(worker, index[i], status[i], call->offsets[index[i]]);
    }
    return true;
}

static void write_one(const struct decode_call *call, uint64_t index, struct worker *worker) {
    uint64_t where = call->offsets[index];
    const qsgd_status status = write_chunk(call, index, worker, &where);
    if (status != QSGD_OK) worker_fail(worker, index, status, where);
}

#define GROUP_MOST 8

/* Chunks of one task: two are faster than one and one, and of more, more find one of their shape;
 * but not if workers go without, or wait for the last one. */
static uint64_t group_of(const struct decode_call *call) {
    const uint64_t chunks = call->last - call->first, workers = call->options.workers;
    const bool streams = call->q.params.code == QSGD_CODE_RANS && call->sink.dtype == QSGD_FLOAT32;
    if (!streams || chunks < 2 * workers) return 1;
    uint64_t group = 2;
    while (group < GROUP_MOST && chunks >= 16 * group * workers) group *= 2;
    return group;
}

/* The next chunk below `end` of the same shape that is not done; `end` if there is none. */
static uint64_t partner_of(const struct decode_call *call, uint64_t index, uint64_t end,
                           const bool *done) {
    const uint8_t shape = call->shapes[index];
    for (uint64_t other = index + 1; shape != 0 && other < end; other++) {
        if (!done[other - index] && call->shapes[other] == shape) return other;
    }
    return end;
}

/* Chunks [first, end), at most GROUP_MOST. */
static void write_group(const struct decode_call *call, uint64_t first, uint64_t end,
                        struct worker *w) {
    bool done[GROUP_MOST] = {false};
    for (uint64_t i = first; i < end; i++) {
        if (done[i - first]) continue;
        const uint64_t other = partner_of(call, i, end, done + (i - first));
        if (other < end && write_two(call, i, other, w)) {
            done[other - first] = true;
        } else {
            write_one(call, i, w);
        }
    }
}

void decode_write(const struct decode_call *call, uint64_t first, uint64_t end,
                  struct worker *worker) {
    for (; first < end; first += GROUP_MOST) {
        write_group(call, first, min_u64(first + GROUP_MOST, end), worker);
    }
}

static void task_write(void *context, uint64_t task, uint32_t worker) {
    struct decode_call *call = context;
    const uint64_t group = group_of(call), first = call->first + task * group;
    fpenv env = fpenv_enter();
    write_group(call, first, min_u64(first + group, call->last), &call->workers[worker]);
    if (call->sink.stream) call->q.kernels->stream_end();
    fpenv_leave(env);
}

/* Outputs of at least so many bytes would push everything else out of the caches, and be gone
 * from them before anyone reads them. */
#define STREAM_BYTES ((uint64_t)16 << 20)

qsgd_status decode_write_all(struct decode_call *call) {
    call->sink.stream = (call->to - call->from) * sizeof(float) >= STREAM_BYTES;
    return decode_run(call, task_write, group_of(call));
}

/* ---- the public calls ------------------------------------------------------------------------ */

static qsgd_status check_sink(const struct decode_call *call, const void *dst, const char *name) {
    const uint32_t out = call->sink.dtype;
    const qsgd_status status = decode_check_dtype(call, out, call->sink.add);
    if (status != QSGD_OK) return status;
    const uint64_t n = call->to - call->from;
    if (dst == NULL && n > 0) return memory_missing(name, call->error);
    const struct region output = {name, dst, n * dtype_bytes(out), true};
    return decode_apart(call, &output, 1, call->error);
}

qsgd_status decode_aim(struct decode_call *call, uint64_t n, void *dst) {
    call->from = 0;
    call->to = n;
    call->sink.data = dst;
    call->sink.origin = call->sink.from = 0;
    call->sink.to = n;
    if (n == call->frame.info.elements) return QSGD_OK;
    return error_parameter(call->error, QSGD_ERR_LENGTH, "n",
                           "the output's number of elements is not the frame's");
}

/* Opens a frame to go whole into call->sink, and verifies it; nothing is written to dst. */
static qsgd_status verify_for(struct decode_call *call, uint64_t n, void *dst, const char *name) {
    qsgd_status status = decode_aim(call, n, dst);
    if (status == QSGD_OK) status = check_sink(call, dst, name);
    if (status == QSGD_OK) status = decode_begin(call);
    if (status == QSGD_OK) status = decode_verify(call);
    return status;
}

qsgd_status qsgd_decode(const void *frame, uint64_t bytes, const qsgd_decode_options *options,
                        void *dst, uint64_t n, qsgd_memory workspace, qsgd_error *error) {
    struct decode_call call;
    qsgd_status status = decode_open(&call, frame, bytes, options, workspace, error);
    if (status != QSGD_OK) return status;
    call.sink = (struct sink){.dtype = decode_dtype(&call)};
    status = verify_for(&call, n, dst, "dst");
    return status == QSGD_OK ? decode_write_all(&call) : status;
}

qsgd_status qsgd_decode_add(const void *frame, uint64_t bytes, const qsgd_decode_options *options,
                            float alpha, float *acc, uint64_t n, qsgd_memory workspace,
                            qsgd_error *error) {
    struct decode_call call;
    qsgd_status status = decode_open(&call, frame, bytes, options, workspace, error);
    if (status != QSGD_OK) return status;
    call.sink = (struct sink){.dtype = QSGD_FLOAT32, .add = true, .alpha = alpha};
    status = verify_for(&call, n, acc, "acc");
    return status == QSGD_OK ? decode_write_all(&call) : status;
}

qsgd_status qsgd_decode_range(const void *frame, uint64_t bytes, const qsgd_decode_options *options,
                              uint64_t start, uint64_t stop, void *dst, qsgd_memory workspace,
                              qsgd_error *error) {
    struct decode_call call;
    qsgd_status status = decode_open(&call, frame, bytes, options, workspace, error);
    if (status != QSGD_OK) return status;
    if (start > stop || stop > call.frame.info.elements) {
        return error_parameter(error, QSGD_ERR_RANGE, start > stop ? "start" : "stop",
                               "0 <= start <= stop <= elements must hold");
    }
    call.from = start;
    call.to = stop;
    call.sink = (struct sink){
        .data = dst, .origin = start, .dtype = decode_dtype(&call), .from = start, .to = stop};
    status = check_sink(&call, dst, "dst");
    if (status == QSGD_OK) status = decode_begin(&call);
    if (status != QSGD_OK || start == stop) return status;
    call.first = layout_chunk_of(&call.q.layout, start);
    call.last = layout_chunk_of(&call.q.layout, stop - 1) + 1;
    status = decode_verify(&call);
    if (status == QSGD_OK) status = decode_write_all(&call);
    return status;
}
