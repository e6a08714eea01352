/* Opens a frame for decoding: options, limits, header, index, checksums, scales and tables, all of
 * it before the first write to the caller's buffer. The values follow in pipeline/decode.c. */
#include "pipeline/decode_call.h"

#include <string.h>

#include "base/dtype.h"
#include "base/error.h"
#include "base/sizes.h"
#include "codes/lossless/read.h"
#include "codes/shared_tables.h"
#include "codes/tokens.h"
#include "frame/header.h"
#include "pipeline/arguments.h"

/* ---- open ----------------------------------------------------------------------------------- */

static bool allows(uint64_t allowed, int32_t number) { return (allowed >> number & 1) != 0; }

static qsgd_status check_limits(const struct decode_call *call) {
    const qsgd_decode_options *o = &call->options;
    const qsgd_params *p = &call->frame.params;
    if (call->frame.info.elements > o->max_elements) {
        return error_parameter(call->error, QSGD_ERR_LIMIT, "max_elements",
                               "the frame holds more elements than max_elements allows");
    }
    const char *refused = NULL;
    if (!allows(o->allowed_codes, p->code)) {
        refused = "allowed_codes";
    } else if (!frame_is_exact(&call->frame)) {
        const qsgd_frame_info *info = &call->frame.info;
        if (!allows(o->allowed_norms, (int32_t)info->norm)) refused = "allowed_norms";
        if (!allows(o->allowed_levels, p->levels)) refused = "allowed_levels";
        if (!allows(o->allowed_roundings, (int32_t)info->rounding)) refused = "allowed_roundings";
    }
    if (refused == NULL) return QSGD_OK;
    return error_parameter(call->error, QSGD_ERR_SCHEME, refused,
                           "the frame's code, norm, levels or rounding is not allowed");
}

/* Finds the shared tables that the frame names among those given, which are all checked. */
qsgd_status decode_find_tables(struct decode_call *call) {
    const qsgd_decode_options *o = &call->options;
    const qsgd_frame_info *info = &call->frame.info;
    struct shared_tables t;
    if (!info->has_shared_tables) return QSGD_OK;
    for (uint32_t i = 0; i < o->shared_tables_count; i++) {
        const qsgd_bytes *given = &o->shared_tables[i];
        qsgd_status status = shared_tables_parse(given->data, given->bytes, &t, call->error);
        if (status != QSGD_OK) return status;
        if (memcmp(t.digest, info->shared_tables_digest, sizeof t.digest) == 0) call->shared = t;
    }
    if (call->shared.code == QSGD_CODE_RAW) {
        return error_offset(call->error, QSGD_ERR_SHARED_TABLES, call->frame.tables_offset,
                            "the frame names shared tables that were not given");
    }
    if (call->shared.code != call->frame.params.code ||
        call->shared.direct != tokens_direct(&call->q.levels)) {
        return error_offset(call->error, QSGD_ERR_HEADER, call->frame.tables_offset,
                            "the frame names tables of another code or kind of tokens");
    }
    return QSGD_OK;
}

void decode_carve_chunks(struct decode_call *call, struct memory *memory) {
    call->offsets = memory_take(memory, (call->frame.layout.chunks + 1) * sizeof(uint64_t));
    call->shapes = memory_take(memory, call->frame.layout.chunks);
}

static void carve(struct decode_call *call, struct memory *memory) {
    decode_carve_chunks(call, memory);
    call->workers = workers_carve(memory, &call->q, call->options.workers, QUANTIZE_DECODES);
    call->runner =
        (struct runner){call->options.runner, call->options.runner_context, call->options.workers,
                        task_marks_carve(memory, call->frame.layout.chunks)};
}

/* Bytes that are taken as the frame: its own, if zeros may follow, and nothing else does. */
static uint64_t frame_size_of(const struct decode_call *call, const uint8_t *frame,
                              uint64_t bytes) {
    const uint64_t own = call->frame.info.frame_bytes;
    if ((call->options.flags & QSGD_DECODE_PADDED) == 0) return bytes;
    for (uint64_t i = own; i < bytes; i++) {
        if (frame[i] != 0) return bytes;
    }
    return own < bytes ? own : bytes;
}

qsgd_status decode_open_header(struct decode_call *call, const void *frame, uint64_t bytes,
                               const qsgd_decode_options *options) {
    call->given_options = options;
    qsgd_status status = arguments_decode_options(options, &call->options, call->error);
    if (status != QSGD_OK) return status;
    if (frame == NULL && bytes > 0) return memory_missing("frame", call->error);
    status = header_parse(&call->frame, frame, bytes, call->error);
    if (status == QSGD_OK) status = check_limits(call);
    if (status != QSGD_OK) return status;
    const qsgd_frame_info *info = &call->frame.info;
    call->shared.code = QSGD_CODE_RAW;
    call->size = frame_size_of(call, frame, bytes);
    const struct noise_start start = {info->nonce, info->origin};
    quantizer_init(&call->q, &call->frame.params, info->elements, start,
                   frame_is_exact(&call->frame));
    call->q.dtype = info->dtype;
    return QSGD_OK;
}

qsgd_status decode_check_bytes(const struct decode_call *call, uint64_t bytes) {
    if (bytes >= call->frame.info.frame_bytes) return QSGD_OK;
    return error_offset(call->error, QSGD_ERR_NEED_MORE, bytes, "the frame is cut short");
}

qsgd_status decode_open(struct decode_call *call, const void *frame, uint64_t bytes,
                        const qsgd_decode_options *options, qsgd_memory workspace,
                        qsgd_error *error) {
    call->error = error;
    qsgd_status status = decode_open_header(call, frame, bytes, options);
    if (status == QSGD_OK) status = decode_check_bytes(call, bytes);
    if (status != QSGD_OK) return status;
    struct memory memory = {NULL, 0};
    carve(call, &memory);
    status = memory_open(&call->memory, workspace, memory.used, error);
    if (status != QSGD_OK) return status;
    call->workspace = workspace;
    status = decode_apart(call, NULL, 0, error);
    return status == QSGD_OK ? decode_find_tables(call) : status;
}

qsgd_status decode_begin(struct decode_call *call) {
    carve(call, &call->memory);
    return decode_prepare(call);
}

qsgd_status decode_prepare(struct decode_call *call) {
    if (!frame_is_exact(&call->frame)) values_token_levels(&call->q);
    call->first = 0;
    call->last = call->frame.layout.chunks;
    call->deep = (call->options.flags & QSGD_DECODE_ATOMIC) || !call->frame.params.checksum;
    return frame_check_body(&call->frame, call->size, call->offsets, call->error);
}

qsgd_status decode_apart(const struct decode_call *call, const struct region *outputs, size_t count,
                         qsgd_error *error) {
    const qsgd_decode_options *o = &call->options;
    struct region all[4 + DECODE_OUTPUTS] = {
        {"frame", call->frame.bytes, call->size, false},
        {"options", call->given_options,
         call->given_options == NULL ? 0 : call->given_options->struct_size, false},
        {"shared_tables", o->shared_tables, o->shared_tables_count * sizeof *o->shared_tables,
         false},
        {"workspace", call->workspace.data, call->workspace.bytes, true},
    };
    if (count > 0) memcpy(all + 4, outputs, count * sizeof *outputs);
    qsgd_status status = regions_apart(all, 4 + count, error);
    for (uint32_t i = 0; i < o->shared_tables_count && status == QSGD_OK; i++) {
        all[2] = (struct region){"shared_tables", o->shared_tables[i].data,
                                 o->shared_tables[i].bytes, false};
        status = regions_apart(all, 4 + count, error);
    }
    return status;
}

/* ---- sizes ---------------------------------------------------------------------------------- */

uint32_t decode_dtype(const struct decode_call *call) {
    const uint32_t dtype = call->options.dtype;
    return dtype == QSGD_DTYPE_OF_FRAME ? call->frame.info.dtype : dtype;
}

qsgd_status decode_check_dtype(const struct decode_call *call, uint32_t dtype, bool add) {
    const uint32_t source = call->frame.info.dtype;
    const bool convertible = dtype_is_float(source) && dtype_is_float(dtype);
    if (convertible || (frame_is_raw(&call->frame) && source == dtype && !add)) return QSGD_OK;
    return error_parameter(call->error, QSGD_ERR_DTYPE, "dtype",
                           "the frame's elements do not convert to that type");
}

qsgd_status qsgd_decode_sizes(const void *frame, uint64_t bytes, const qsgd_decode_options *options,
                              qsgd_sizes *sizes, qsgd_error *error) {
    struct decode_call call;
    struct memory memory = {NULL, 0};
    call.error = error;
    qsgd_status status = decode_open_header(&call, frame, bytes, options);
    if (status == QSGD_OK) status = decode_check_dtype(&call, decode_dtype(&call), false);
    if (status != QSGD_OK) return status;
    carve(&call, &memory);
    const qsgd_frame_info *info = &call.frame.info;
    return sizes_give(&(qsgd_sizes){.dtype = decode_dtype(&call),
                                    .elements = info->elements,
                                    .buckets = info->buckets,
                                    .chunks = info->chunks,
                                    .dst_bytes = info->elements * dtype_bytes(decode_dtype(&call)),
                                    .workspace_bytes = memory.used},
                      sizes, error);
}

/* ---- one chunk ------------------------------------------------------------------------------- */

const uint8_t *decode_payload(const struct decode_call *call, uint64_t index, size_t *bytes) {
    *bytes = (size_t)(call->offsets[index + 1] - call->offsets[index]);
    return call->frame.bytes + call->offsets[index];
}

qsgd_status decode_parse_chunk(const struct decode_call *call, uint64_t index,
                               struct code_scratch *scratch,
                               const struct quantize_scratch *quantize, struct code_chunk *chunk,
                               struct payload_form *form, uint64_t *where) {
    const struct chunk_span span = layout_chunk(&call->q.layout, index);
    size_t bytes, at = 0;
    const uint8_t *p = decode_payload(call, index, &bytes);
    *chunk = worker_code_chunk(&call->q, &call->shared, call->q.params.code, &span, scratch);
    struct payload_head head =
        quantizer_head(&call->q, &span, scales_at(NULL, span.bucket), 0, NULL);
    const struct payload_room room = {quantize->scales, quantize->zeros, quantize->outliers};
    qsgd_status status = payload_parse(chunk, &head, p, bytes, form, &room, &at);
    *where = call->offsets[index] + at;
    return status;
}

qsgd_status decode_read(const struct decode_call *call, const struct chunk_span *span,
                        struct worker *worker, const struct code_chunk *chunk,
                        const struct payload_form *form) {
    int16_t *k = worker->quantize.indices;
    const qsgd_status status = payload_read(chunk, form, k + (span->len - chunk->len));
    if (status != QSGD_OK || chunk->len == span->len) return status;
    const struct live live = decode_live(call, span, &worker->quantize, form);
    live_scatter(&live, k, sizeof *k);
    return status;
}

static qsgd_status verify_raw(const struct decode_call *call, uint64_t index, uint64_t *where) {
    const struct chunk_span span = layout_chunk(&call->q.layout, index);
    size_t bytes;
    const uint8_t *p = decode_payload(call, index, &bytes);
    *where = call->offsets[index];
    if (bytes != span.len * dtype_bytes(call->frame.info.dtype)) return QSGD_ERR_CHUNK;
    if (call->frame.info.dtype != QSGD_BOOL) return QSGD_OK;
    for (size_t i = 0; i < bytes; i++) {
        *where = call->offsets[index] + i;
        if (p[i] > 1) return QSGD_ERR_STREAM;
    }
    return QSGD_OK;
}

qsgd_status decode_parse_lossless(const struct decode_call *call, uint64_t index,
                                  struct worker *worker, struct lossless_plan *plan,
                                  uint64_t *where) {
    size_t bytes, at = 0;
    const uint8_t *p = decode_payload(call, index, &bytes);
    const size_t n = (size_t)layout_chunk(&call->q.layout, index).len;
    const qsgd_status status = lossless_parse(call->q.kernels, call->frame.info.dtype, n,
                                              &worker->codes, p, bytes, plan, &at);
    *where = call->offsets[index] + at;
    return status;
}

static qsgd_status verify_exact(const struct decode_call *call, uint64_t index,
                                struct worker *worker, uint64_t *where) {
    if (frame_is_raw(&call->frame)) return verify_raw(call, index, where);
    struct lossless_plan plan;
    const qsgd_status status = decode_parse_lossless(call, index, worker, &plan, where);
    if (status != QSGD_OK || !call->deep) return status;
    *where = call->offsets[index];
    return lossless_read(call->q.kernels, call->frame.info.dtype,
                         (size_t)layout_chunk(&call->q.layout, index).len, &plan, &worker->lossless,
                         worker->lossless.elements);
}

/* Lanes, P, and if classes are split, where there are lanes enough for two streams to gain; 0
 * elsewhere. */
static uint8_t shape_of(const struct decode_call *call, const struct payload_form *form) {
    const bool words = call->q.params.code == QSGD_CODE_RANS && payload_is_coded(form);
    if (!words || form->plan.rans.lanes_log2 < 4) return 0;
    if (form->plan.rans.lanes_log2 > RANS_ROW_LOG2) return 0;
    return (uint8_t)((form->plan.rans.split != 0 ? 128 : 0) | form->plan.rans.lanes_log2 << 4 |
                     form->plan.rans.prob_bits);
}

static qsgd_status verify_chunk(const struct decode_call *call, uint64_t index,
                                struct worker *worker, uint64_t *where) {
    size_t bytes;
    const uint8_t *p = decode_payload(call, index, &bytes);
    call->shapes[index] = 0;
    *where = call->offsets[index];
    if (!frame_chunk_intact(&call->frame, index, p, bytes)) return QSGD_ERR_CHUNK_CRC;
    if (frame_is_exact(&call->frame)) return verify_exact(call, index, worker, where);
    struct code_chunk chunk;
    struct payload_form form;
    qsgd_status status =
        decode_parse_chunk(call, index, &worker->codes, &worker->quantize, &chunk, &form, where);
    if (status == QSGD_OK) call->shapes[index] = shape_of(call, &form);
    if (status != QSGD_OK || !call->deep) return status;
    *where = call->offsets[index];
    return payload_read(&chunk, &form, worker->quantize.indices);
}

static void task_verify(void *context, uint64_t task, uint32_t worker) {
    struct decode_call *call = context;
    uint64_t where = 0;
    qsgd_status status = verify_chunk(call, call->first + task, &call->workers[worker], &where);
    if (status != QSGD_OK) worker_fail(&call->workers[worker], task, status, where);
}

qsgd_status decode_run(struct decode_call *call, qsgd_task task, uint64_t group) {
    const qsgd_status status =
        runner_run(&call->runner, task, call, div_up(call->last - call->first, group), call->error);
    return status == QSGD_OK ? decode_failure(call) : status;
}

qsgd_status decode_failure(const struct decode_call *call) {
    const struct worker *failed = workers_error(call->workers, call->options.workers);
    if (failed == NULL) return QSGD_OK;
    return error_offset(call->error, failed->error, failed->error_where,
                        failed->error == QSGD_ERR_CHUNK_CRC ? "a chunk's checksum does not match"
                                                            : payload_reason(failed->error));
}

qsgd_status decode_verify(struct decode_call *call) { return decode_run(call, task_verify, 1); }
