/* Looks at a frame without decoding it. */
#include <string.h>

#include "base/error.h"
#include "base/given.h"
#include "base/memory.h"
#include "frame/header.h"
#include "frame/params.h"
#include "pipeline/arguments.h"

static const struct struct_row row = STRUCT_ROW(qsgd_frame_info, level_table_len, "info");

qsgd_status qsgd_frame_info_init_sized(qsgd_frame_info *info, size_t struct_size) {
    const qsgd_frame_info none = {.struct_size = sizeof none};
    return struct_init(&row, info, struct_size, &none);
}

qsgd_status qsgd_frame_size(const void *data, uint64_t bytes, uint64_t max_bytes,
                            uint64_t *frame_bytes, qsgd_error *error) {
    uint64_t claimed = 0;
    if ((data == NULL && bytes > 0) || frame_bytes == NULL) {
        return memory_missing(frame_bytes == NULL ? "frame_bytes" : "data", error);
    }
    const qsgd_status status = header_parse_prefix(data, bytes, &claimed, error);
    if (status != QSGD_OK) return status;
    if (claimed > max_bytes) {
        error_parameter(error, QSGD_ERR_LIMIT, "max_bytes",
                        "the frame claims to be longer than max_bytes allows");
        error_at_offset(error, 8);
        return QSGD_ERR_LIMIT;
    }
    *frame_bytes = claimed;
    return QSGD_OK;
}

static qsgd_status parse(const void *frame, uint64_t bytes, struct frame *f, qsgd_error *error) {
    if (frame == NULL && bytes > 0) return memory_missing("frame", error);
    return header_parse(f, frame, bytes, error);
}

qsgd_status qsgd_inspect(const void *frame, uint64_t bytes, qsgd_frame_info *info,
                         qsgd_error *error) {
    struct frame f;
    qsgd_status status = struct_check(&row, info, error);
    if (status == QSGD_OK) status = parse(frame, bytes, &f, error);
    if (status == QSGD_OK) struct_give(&row, &f.info, info);
    return status;
}

/* Raw and lossless frames name no quantizer: the defaults stand for it, so that the codec is one to
 * encode with.
 */
static void fill_exact(qsgd_params *params) {
    const qsgd_params known = *params;
    qsgd_params_init(params);
    params_resolve(params);
    params->code = known.code;
    params->checksum = known.checksum;
    params->chunk_log2 = known.chunk_log2;
}

qsgd_status qsgd_inspect_params(const void *frame, uint64_t bytes, qsgd_params *params,
                                float *level_table, qsgd_error *error) {
    struct frame f;
    qsgd_status status = parse(frame, bytes, &f, error);
    if (status != QSGD_OK) return status;
    if (frame_is_exact(&f)) fill_exact(&f.params);
    const uint64_t levels = f.params.level_table_len;
    if (levels > 0 && level_table == NULL) return memory_missing("level_table", error);
    if (levels > 0) f.params.level_table = level_table;
    status = params_give(&f.params, params, error);
    if (status == QSGD_OK && levels > 0) {
        memcpy(level_table, f.level_table, (size_t)levels * sizeof *level_table);
    }
    return status;
}

qsgd_status qsgd_inspect_report(const void *frame, uint64_t bytes, qsgd_encode_report *report,
                                qsgd_error *error) {
    struct frame f;
    qsgd_status status = arguments_check_report(report, error);
    if (status == QSGD_OK) status = parse(frame, bytes, &f, error);
    if (status != QSGD_OK) return status;
    if (frame_is_exact(&f) || f.params.levels != QSGD_LEVELS_OPEN) {
        return error_parameter(error, QSGD_ERR_COMBINATION, "frame",
                               "only frames of open levels have a step to go on from");
    }
    const uint64_t n = f.info.elements, all = f.info.frame_bytes;
    const qsgd_encode_report r = {.met = 1,
                                  .elements = n,
                                  .frame_bytes = all,
                                  .payload_bytes =
                                      all < f.payload_offset ? 0 : all - f.payload_offset,
                                  .bits = n == 0 ? 0 : (double)all * 8 / (double)n,
                                  .step = (double)f.params.step};
    arguments_give_report(&r, report);
    return QSGD_OK;
}
