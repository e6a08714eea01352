/* Opens a frame for decoding: options, limits, header, index, scales, checksums and tables, all of
 * it before the first write to the caller's buffer. The values follow in pipeline/decode.c. */
#include "pipeline/decode_call.h"

#include <string.h>

#include "base/dtype.h"
#include "base/error.h"
#include "codes/shared_tables.h"
#include "codes/tokens.h"
#include "frame/header.h"
#include "pipeline/arguments.h"

qsgd_status qsgd_decode_options_init(struct qsgd_decode_options *options) {
    if (options == NULL) return QSGD_ERR_NULL;
    memset(options, 0, sizeof *options);
    options->struct_size = sizeof *options;
    options->dtype = UINT32_MAX;
    options->workers = 1;
    options->max_elements = UINT64_MAX;
    options->allowed_codes = options->allowed_norms = UINT64_MAX;
    options->allowed_levels = options->allowed_roundings = UINT64_MAX;
    return QSGD_OK;
}

/* ---- open ----------------------------------------------------------------------------------- */

static qsgd_status read_options(struct decode_call *call,
                                const struct qsgd_decode_options *options) {
    if (options == NULL) {
        qsgd_decode_options_init(&call->options);
        return QSGD_OK;
    }
    qsgd_status status =
        error_check_size(call->error, "options", options->struct_size, sizeof *options,
                         OTHER_VERSION ": use qsgd_decode_options_init");
    if (status != QSGD_OK) return status;
    call->options = *options;
    status = arguments_check_workers(options->workers, call->error);
    if (status != QSGD_OK) return status;
    if (options->flags & ~(uint32_t)QSGD_DECODE_ATOMIC) {
        return error_parameter(call->error, QSGD_ERR_PARAM, "flags", "unknown flags are set");
    }
    if (options->tables_count > 0 && (options->tables == NULL || options->tables_bytes == NULL)) {
        return error_parameter(call->error, QSGD_ERR_NULL, "tables", "tables are NULL");
    }
    return QSGD_OK;
}

static qsgd_status check_limits(const struct decode_call *call) {
    const struct qsgd_decode_options *o = &call->options;
    const struct qsgd_params *p = &call->frame.info.params;
    if (call->frame.info.elements > o->max_elements) {
        return error_parameter(call->error, QSGD_ERR_LIMIT, "max_elements",
                               "the frame holds more elements than max_elements allows");
    }
    const bool raw = frame_is_raw(&call->frame);
    if (!(o->allowed_codes >> p->code & 1) ||
        (!raw && (!(o->allowed_norms >> p->norm & 1) || !(o->allowed_levels >> p->levels & 1) ||
                  !(o->allowed_roundings >> p->rounding & 1)))) {
        return error_parameter(call->error, QSGD_ERR_SCHEME, "allowed_codes",
                               "the frame's code, norm, levels or rounding is not allowed");
    }
    return QSGD_OK;
}

/* Finds the shared tables that the frame names among those given, which are all checked. */
static qsgd_status find_tables(struct decode_call *call) {
    const struct qsgd_decode_options *o = &call->options;
    const struct qsgd_frame_info *info = &call->frame.info;
    struct shared_tables t;
    if (!info->has_tables) return QSGD_OK;
    for (uint32_t i = 0; i < o->tables_count; i++) {
        qsgd_status status = shared_tables_parse(o->tables[i], o->tables_bytes[i], &t, call->error);
        if (status != QSGD_OK) return status;
        if (memcmp(t.digest, info->tables_digest, sizeof t.digest) == 0) call->shared = t;
    }
    if (call->shared.code == QSGD_CODE_RAW) {
        return error_offset(call->error, QSGD_ERR_TABLES, call->frame.tables_offset,
                            "the frame names shared tables that were not given");
    }
    if (call->shared.code != info->params.code ||
        call->shared.direct != tokens_direct(&call->q.levels)) {
        return error_offset(call->error, QSGD_ERR_HEADER, call->frame.tables_offset,
                            "the frame names tables of another code or kind of tokens");
    }
    return QSGD_OK;
}

static void carve(struct decode_call *call, struct memory *memory) {
    call->offsets = memory_take(memory, (call->frame.layout.chunks + 1) * sizeof(uint64_t));
    call->shapes = memory_take(memory, call->frame.layout.chunks);
    call->workers = workers_carve(memory, &call->q, call->options.workers, false);
}

static qsgd_status open_header(struct decode_call *call, const void *frame, uint64_t size,
                               const struct qsgd_decode_options *options) {
    qsgd_status status = read_options(call, options);
    if (status != QSGD_OK) return status;
    if (frame == NULL && size > 0) {
        return error_parameter(call->error, QSGD_ERR_NULL, "frame", "frame is NULL");
    }
    status = header_parse(&call->frame, frame, size, call->error);
    if (status == QSGD_OK) status = check_limits(call);
    if (status != QSGD_OK) return status;
    const struct qsgd_frame_info *info = &call->frame.info;
    if (size < info->frame_bytes) {
        return error_offset(call->error, QSGD_ERR_NEED_MORE, size, "the frame is cut short");
    }
    call->shared.code = QSGD_CODE_RAW;
    quantizer_init(&call->q, &info->params, info->elements, info->nonce,
                   frame_is_raw(&call->frame));
    return QSGD_OK;
}

qsgd_status decode_open(struct decode_call *call, const void *frame, uint64_t size,
                        const struct qsgd_decode_options *options, void *workspace,
                        uint64_t workspace_bytes, struct qsgd_error *error) {
    call->error = error;
    qsgd_status status = open_header(call, frame, size, options);
    if (status != QSGD_OK) return status;
    struct memory memory = {NULL, 0};
    carve(call, &memory);
    if (workspace == NULL) {
        return error_parameter(error, QSGD_ERR_NULL, "workspace", "workspace is NULL");
    }
    status = memory_check_workspace(workspace, workspace_bytes, memory.used,
                                    WORKSPACE_MUST_HOLD("qsgd_decode_workspace"), error);
    if (status != QSGD_OK) return status;
    if (memory_overlap(frame, size, workspace, workspace_bytes)) {
        return error_parameter(error, QSGD_ERR_OVERLAP, "workspace",
                               "frame, dst and workspace must not overlap");
    }
    call->workspace = workspace;
    call->workspace_bytes = workspace_bytes;
    call->size = size;
    return find_tables(call);
}

qsgd_status decode_begin(struct decode_call *call) {
    struct memory memory = {call->workspace, 0};
    carve(call, &memory);
    values_token_levels(&call->q);
    call->first = 0;
    call->last = call->frame.layout.chunks;
    call->deep = (call->options.flags & QSGD_DECODE_ATOMIC) || !call->frame.info.params.checksum;
    return frame_check_body(&call->frame, call->size, call->offsets, call->error);
}

bool decode_overlaps(const struct decode_call *call, const void *out, uint64_t bytes) {
    return memory_overlap(out, bytes, call->frame.bytes, call->size) ||
           memory_overlap(out, bytes, call->workspace, call->workspace_bytes);
}

qsgd_status qsgd_decode_workspace(const void *frame, uint64_t size,
                                  const struct qsgd_decode_options *options,
                                  uint64_t *workspace_bytes, struct qsgd_error *error) {
    struct decode_call call;
    struct memory memory = {NULL, 0};
    call.error = error;
    if (workspace_bytes == NULL) {
        return error_parameter(error, QSGD_ERR_NULL, "workspace_bytes", "it is NULL");
    }
    qsgd_status status = open_header(&call, frame, size, options);
    if (status != QSGD_OK) return status;
    carve(&call, &memory);
    *workspace_bytes = memory.used;
    return QSGD_OK;
}

/* ---- one chunk ------------------------------------------------------------------------------- */

const uint8_t *decode_payload(const struct decode_call *call, uint64_t index, size_t *bytes) {
    *bytes = (size_t)(call->offsets[index + 1] - call->offsets[index]);
    return call->frame.bytes + call->offsets[index];
}

qsgd_status decode_parse_chunk(const struct decode_call *call, uint64_t index,
                               struct code_scratch *scratch, struct code_chunk *chunk,
                               struct payload_form *form, uint64_t *where) {
    const struct chunk_span span = layout_chunk(&call->q.layout, index);
    size_t bytes, at = 0;
    const uint8_t *p = decode_payload(call, index, &bytes);
    *chunk = worker_code_chunk(&call->q, &call->shared, call->q.params.code, &span, scratch);
    qsgd_status status =
        payload_parse(chunk, call->q.params.rounding == QSGD_ROUND_DITHERED, p, bytes, form, &at);
    *where = call->offsets[index] + at;
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

/* Lanes, P, and if classes are split, where there are lanes enough for two streams to gain; 0
 * elsewhere. */
static uint8_t shape_of(const struct decode_call *call, const struct payload_form *form) {
    const bool words = call->q.params.code == QSGD_CODE_RANS && payload_is_coded(form);
    if (!words || form->plan.rans.lanes_log2 < 4) return 0;
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
    if (frame_is_raw(&call->frame)) return verify_raw(call, index, where);
    struct code_chunk chunk;
    struct payload_form form;
    qsgd_status status = decode_parse_chunk(call, index, &worker->codes, &chunk, &form, where);
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
    const struct qsgd_decode_options *o = &call->options;
    workers_run(o->runner, o->runner_context, task, call, div_up(call->last - call->first, group));
    const struct worker *failed = workers_error(call->workers, o->workers);
    if (failed == NULL) return QSGD_OK;
    return error_offset(call->error, failed->error, failed->error_where,
                        failed->error == QSGD_ERR_CHUNK_CRC ? "a chunk's checksum does not match"
                                                            : payload_reason(failed->error));
}

qsgd_status decode_verify(struct decode_call *call) { return decode_run(call, task_verify, 1); }
